use std::sync::atomic::{AtomicU64, Ordering};

use loom::sync::Arc;

use super::*;
use crate::charge::Enforcement;
use crate::key::LimitId;
use crate::limit::Limit;
use crate::rate::Rate;
use crate::time::SECOND;

fn charge(key: u64, limit: Limit) -> Charge {
    let key = LimitKey { high: key, low: key };
    Charge { id: LimitId(0), key, limit, cost: 1, enforcement: Enforcement::Enforce }
}

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

/// Runs 8 threads that each ask 100,000 times, and returns how many were admitted.
fn admitted_of_800_000(ask: impl Fn(u64) -> bool + Sync) -> u64 {
    std::thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> =
            (0..8).map(|thread| scope.spawn(move || (0..100_000).filter(|_| ask(thread)).count() as u64)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn eight_threads_are_admitted_exactly_the_burst_while_the_clock_stands() {
    let store = EmbeddedStore::new(1_000);
    let charge = charge(1, Limit::new(Rate::new(1_000, SECOND).unwrap(), 123_457).unwrap());
    let admitted = admitted_of_800_000(|_| store.charge(&[charge], Micros(5)).unwrap().is_admitted());
    assert_eq!(admitted, 123_457);
}

#[test]
fn eight_threads_are_admitted_exactly_the_rate_while_the_clock_goes() {
    let store = EmbeddedStore::new(1_000);
    let charge = charge(1, Limit::new(Rate::new(333_333, SECOND).unwrap(), 10).unwrap());
    // The clock goes 1 µs with each request, and a thread may be late with its time.
    let clock = AtomicU64::new(0);
    let admitted = admitted_of_800_000(|_| {
        let now = Micros(clock.fetch_add(1, Ordering::Relaxed));
        store.charge(&[charge], now).unwrap().is_admitted()
    });
    let end = u128::from(clock.into_inner() - 1);
    let most = 10 + end * 333_333 / u128::from(SECOND);
    assert!(u128::from(admitted) <= most, "{admitted} of {most}");
    assert!(u128::from(admitted) > most / 2, "{admitted} of {most}");
}

/// Each thread has a limit of its own and one that all share, in an order of its own, in different shards.
#[test]
fn eight_threads_with_several_limits_are_charged_for_all_or_none() {
    let store = EmbeddedStore::new(1_000);
    let shared = charge(0, limit("1000/s;burst=40000"));
    let own = limit("1000/s;burst=9000");
    let admitted = admitted_of_800_000(|thread| {
        let mut charges = [charge(thread + 1, own), shared];
        if thread % 2 == 0 {
            charges.reverse();
        }
        store.charge(&charges, Micros(0)).unwrap().is_admitted()
    });
    assert_eq!(admitted, 40_000);
    let used = |charge: Charge| {
        let left =
            store.usage(charge.key).map_or(charge.limit.burst(), |usage| usage.remaining(charge.limit, Micros(0)));
        u64::from(charge.limit.burst() - left)
    };
    assert_eq!(used(shared), 40_000);
    assert_eq!((1..=8).map(|key| used(charge(key, own))).sum::<u64>(), 40_000);
}

#[test]
fn a_million_new_keys_stay_within_the_bound_and_no_known_key_is_refilled() {
    let store = EmbeddedStore::new(10_000);
    let known = charge(u64::MAX, limit("1/d"));
    assert!(store.charge(&[known], Micros(0)).unwrap().is_admitted());
    let hasher = crate::key::KeyHasher::new([1; 16]);
    for number in 0..1_000_000_u64 {
        let key = hasher.key("limit", [number.to_le_bytes().as_slice()]);
        store.charge(&[Charge { key, ..charge(0, limit("10/min")) }], Micros(number)).unwrap();
    }
    assert!(!store.charge(&[known], Micros(SECOND)).unwrap().is_admitted());
    let stats = store.stats();
    assert!(stats.keys <= 10_000 && stats.overflow_charges > 0, "{stats:?}");
}

#[test]
fn a_forgotten_key_begins_anew() {
    let store = EmbeddedStore::new(0);
    let charge = charge(1, limit("1/d"));
    assert_eq!((store.usage(charge.key), store.forget(charge.key)), (None, None));
    assert!(store.charge(&[charge], Micros(0)).unwrap().is_admitted());
    assert!(!store.charge(&[charge], Micros(0)).unwrap().is_admitted());
    assert_eq!(store.forget(charge.key), Some(Usage::exhausted(charge.limit, Micros(0))));
    assert!(store.charge(&[charge], Micros(0)).unwrap().is_admitted());
}

#[test]
fn a_refund_gives_back_at_most_the_cost_of_the_charge() {
    let store = EmbeddedStore::new(100);
    let (five, two) = (Charge { cost: 5, ..charge(1, limit("10/h")) }, Charge { cost: 2, ..charge(1, limit("10/h")) });
    let [_, point] = [five, two].map(|charge| store.charge(&[charge], Micros(7)).unwrap().outcomes()[0].point());
    assert_eq!(store.refund(&two, u64::MAX, point, Micros(7)), 2);
    assert_eq!(store.usage(five.key).unwrap().remaining(five.limit, Micros(7)), 5);
    assert_eq!(store.refund(&charge(2, limit("10/h")), 1, point, Micros(7)), 0);
    assert_eq!(store.stats().keys, 1);
}

/// In one shard or in two, a late caller is judged at the latest time, and a clock that goes back bounds the usages.
#[test]
fn late_callers_and_clocks_that_go_back_are_told_apart() {
    let (slow, fast) = (limit("1/h"), limit("10/s;burst=2"));
    for other in [None, Some(charge(2, limit("1000/s")))] {
        let store = EmbeddedStore::new(1_000);
        let ask = |limit, now| {
            let charges: Vec<_> = other.into_iter().chain([charge(1, limit)]).collect();
            store.charge(&charges, Micros(now)).unwrap().is_admitted()
        };
        let minute = 60 * SECOND;
        assert!((0..10).all(|second| ask(fast, minute + second * SECOND)));
        assert!(ask(fast, minute + 9 * SECOND));
        assert!(!ask(fast, minute));
        assert!(!ask(fast, minute + 9 * SECOND));

        assert!(!ask(fast, SECOND));
        assert!(ask(fast, SECOND + 100_000));
        assert!(ask(slow, 2 * SECOND));
    }
}

/// All interleavings of three requests on two shards: no deadlock, and never one more than a limit or a partial charge.
#[test]
fn every_interleaving_charges_all_or_none() {
    loom::model(|| {
        let store = Arc::new(Sharded::<loom::sync::Mutex<Shard>>::new(2, 4));
        let (a, b) = (charge(0, limit("2/d")), charge(1, limit("1/d")));
        let threads = [vec![a, b], vec![b, a]].map(|charges| {
            let store = Arc::clone(&store);
            loom::thread::spawn(move || store.charge(&charges, Micros(0)).unwrap().is_admitted())
        });
        let single = store.charge(&[a], Micros(0)).unwrap().is_admitted();
        let pairs = threads.map(|thread| thread.join().unwrap()).into_iter().filter(|admitted| *admitted).count();

        // The second limit admits one of the pairs, whatever comes first, and the first limit has room for two.
        assert!(single || pairs == 1);
        assert_eq!(pairs, 1);
        let left = |charge: Charge| {
            store
                .with_shard(charge.key, |shard| shard.usage(charge.key))
                .flatten()
                .unwrap()
                .remaining(charge.limit, Micros(0))
        };
        assert_eq!((left(a), left(b)), (1 - u32::from(single), 0));
    });
}

#[test]
fn what_is_carried_is_in_use_and_is_at_most_the_burst() {
    let store = EmbeddedStore::new(10);
    let used = |cost| Charge { cost, ..charge(1, limit("10/s")) };
    store.carry(&used(4), Micros(0));
    assert_eq!(store.usage(used(1).key).map(|usage| usage.in_use(Micros(0))), Some(4));
    store.carry(&used(40), Micros(0));
    assert_eq!(store.usage(used(1).key).map(|usage| usage.in_use(Micros(0))), Some(10));
    // One has come back, though 44 were carried.
    assert_eq!(store.usage(used(1).key).map(|usage| usage.in_use(Micros(100_000))), Some(9));
}
