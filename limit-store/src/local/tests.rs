use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limiting::{Enforcement, KeyHasher, LimitId, Micros, SECOND};

use super::*;

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

fn charge(limit: Limit, cost: u64) -> Charge {
    let key = KeyHasher::new([1; 16]).key("limit", [b"k".as_slice()]);
    Charge { id: LimitId(0), key, limit, cost, enforcement: Enforcement::Enforce }
}

fn local(replicas: u32) -> (Local, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(1));
    let clock = Arc::clone(&time);
    (Local::new(100, replicas, Clock::new(move || Micros(clock.load(Ordering::Relaxed)))), time)
}

#[test]
fn shares_add_up_to_the_limit() {
    for (text, replicas, expected) in [
        ("100/min", 4, "100/4min;burst=25"),
        ("100/min;burst=20", 3, "100/3min;burst=6"),
        ("100/min", 1, "100/min"),
        // At least one unit.
        ("2/min", 3, "2/3min;burst=1"),
        // 366 days are the longest period.
        ("1000/200d", 2, "500/200d"),
        ("1/366d", 5, "1/366d"),
    ] {
        assert_eq!(share(limit(text), replicas, 1), limit(expected), "{text}");
    }
}

#[test]
fn a_share_has_room_for_the_cost_but_never_for_more_than_the_limit() {
    assert_eq!(share(limit("10/s"), 5, 3), limit("10/5s;burst=3"));
    assert_eq!(share(limit("10/s"), 5, 300), limit("10/5s;burst=10"));
    // A whole burst at a fifth of this rate would take years.
    assert_eq!(share(limit("10/366d"), 5, 10), limit("10/366d"));
}

#[test]
fn units_go_to_the_store_once_and_come_back_if_it_fails() {
    let (local, time) = local(2);
    let one = charge(limit("10/s"), 1);
    assert_eq!(local.take(&one), 0);
    let admitted = (0..20).filter(|_| local.judge(&[one]).is_admitted()).count();
    assert_eq!(admitted, 5);
    assert_eq!(local.take(&one), 5);
    assert_eq!(local.take(&one), 0);

    local.put_back(&one, 5);
    assert!(!local.judge(&[one]).is_admitted());
    // At 5 a second.
    time.fetch_add(SECOND / 5, Ordering::Relaxed);
    assert!(local.judge(&[one]).is_admitted());
    time.fetch_add(SECOND, Ordering::Relaxed);
    assert_eq!(local.take(&one), 0);
}
