use super::*;
use crate::charge::{Enforcement, charge_all};
use crate::decision::Decision;
use crate::limit::Limit;
use crate::time::SECOND;

fn charge(key: u64, limit: &str) -> Charge {
    // Equal halves would put all keys of a table into one group; the index takes any hash.
    let key = LimitKey { high: key, low: key.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
    Charge { id: LimitId(0), key, limit: limit.parse().unwrap(), cost: 1, enforcement: Enforcement::Enforce }
}

fn decide(shard: &mut Shard, charges: &[Charge], now: u64) -> Decision {
    let now = shard.observe(Micros(now));
    charge_all(shard, charges, now).unwrap()
}

fn admit(shard: &mut Shard, key: u64, limit: &str, now: u64) -> bool {
    decide(shard, &[charge(key, limit)], now).is_admitted()
}

/// Every key in the table has something in use.
fn full(keys: u64) -> Shard {
    let mut shard = Shard::new(usize::try_from(keys).unwrap());
    for key in 0..keys {
        assert!(admit(&mut shard, key, "2/h", 0));
    }
    shard
}

#[test]
fn a_throttled_key_is_never_refilled_by_new_keys() {
    let mut shard = Shard::new(8);
    assert!(admit(&mut shard, 0, "1/h", 0));
    for key in 1..100_000 {
        admit(&mut shard, key, "1000/s", 0);
        assert!(!admit(&mut shard, 0, "1/h", 0));
    }
    assert_eq!(shard.stats().keys, 8);
}

#[test]
fn a_key_with_nothing_in_use_gives_its_place_to_a_new_one() {
    let mut shard = full(8);
    // The sixth pays back: its key was charged at another rate.
    shard.forget(charge(5, "2/h").key).unwrap();
    assert!(admit(&mut shard, 100, "2/h", 0));
    assert_eq!(shard.usage(charge(5, "2/h").key), None);
    assert!(shard.usage(charge(100, "2/h").key).is_some());
    assert_eq!(shard.stats(), StoreStats { keys: 8, evictions: 1, overflow_charges: 0 });
    for key in [0, 1, 2, 3, 4, 6, 7, 100] {
        assert!(admit(&mut shard, key, "2/h", 0), "{key}");
        assert!(!admit(&mut shard, key, "2/h", 0), "{key}");
    }
}

#[test]
fn new_keys_share_one_allowance_while_the_table_is_full() {
    let mut shard = full(8);
    assert!(admit(&mut shard, 100, "2/h", 0));
    assert!(admit(&mut shard, 101, "2/h", 0));
    assert!(!admit(&mut shard, 102, "2/h", 0));
    // Another limit, or another rate, has an allowance of its own.
    assert!(admit(&mut shard, 102, "2/min", 0));
    let other = Charge { id: LimitId(1), ..charge(102, "2/h") };
    assert!(decide(&mut shard, &[other], 0).is_admitted());
    // Keys that are in the table notice nothing.
    assert!(admit(&mut shard, 3, "2/h", 0));
    assert_eq!(shard.stats(), StoreStats { keys: 8, evictions: 0, overflow_charges: 4 });
}

/// Otherwise a key would have its limit twice: once in the overflow, and once of its own.
#[test]
fn a_key_takes_along_what_it_used_in_the_overflow() {
    let mut shard = full(8);
    assert!(admit(&mut shard, 100, "2/h", 0));
    assert!(admit(&mut shard, 100, "2/h", 0));
    shard.forget(charge(0, "2/h").key).unwrap();
    assert!(!admit(&mut shard, 100, "2/h", 0));
    assert!(admit(&mut shard, 100, "2/h", 1_800 * SECOND));
    assert!(shard.usage(charge(100, "2/h").key).is_some());
    assert!(!admit(&mut shard, 100, "2/h", 1_800 * SECOND));
}

#[test]
fn a_request_whose_new_keys_want_the_same_place_is_charged_for_each() {
    let mut shard = full(8);
    shard.forget(charge(0, "2/h").key).unwrap();
    let both = [charge(100, "2/h"), charge(101, "2/h")];
    assert!(decide(&mut shard, &both, 0).is_admitted());
    assert_eq!(shard.stats(), StoreStats { keys: 8, evictions: 1, overflow_charges: 1 });
    assert!(decide(&mut shard, &both, 0).is_admitted());
    assert!(!decide(&mut shard, &both[..1], 0).is_admitted());
    assert!(!decide(&mut shard, &both[1..], 0).is_admitted());
}

#[test]
fn the_overflow_is_bounded_too() {
    let mut shard = full(2);
    for rate in 1..1_000 {
        let admitted = admit(&mut shard, 100 + rate, &format!("{rate}/h"), 0);
        assert_eq!(admitted, rate <= MAX_OVERFLOWS as u64);
    }
    assert_eq!(shard.overflow.len(), MAX_OVERFLOWS);
    // Once one has drained, it can be used for another limit.
    assert!(admit(&mut shard, 2_000, "2000/h", 1_800 * SECOND));
    assert_eq!(shard.overflow.len(), MAX_OVERFLOWS);
}

#[test]
fn a_table_stays_near_the_number_of_keys_in_use() {
    let mut shard = Shard::new(1_000_000);
    for key in 0..100_000_u64 {
        // Each key is in use for 100 ms, and 100 of them come in that time.
        assert!(admit(&mut shard, key, "10/s", key * 1_000));
    }
    assert!(shard.stats().keys < 400, "{:?}", shard.stats());
}

#[test]
fn a_clock_that_goes_back_costs_the_time_of_one_burst() {
    let mut shard = Shard::new(2);
    let hour = 3_600 * SECOND;
    for key in 0..4 {
        // The last two share the overflow.
        assert_eq!(admit(&mut shard, key, "1/s", hour), key != 3);
    }
    assert!(!admit(&mut shard, 0, "1/s", 5));
    for (now, admitted) in [(SECOND + 4, false), (SECOND + 5, true)] {
        for key in [0, 1, 2] {
            assert_eq!(admit(&mut shard, key, "1/s", now), admitted, "{key}");
        }
    }
}

/// Found with 8 threads: a thread that had lost its processor with the time in its hand bounded the usage to one burst at
/// that time, and so gave back what the others had used since.
#[test]
fn a_late_caller_gives_nothing_back() {
    let mut shard = Shard::new(1);
    for now in 0..10 {
        assert!(admit(&mut shard, 0, "10/s;burst=2", now * SECOND));
    }
    assert!(admit(&mut shard, 0, "10/s;burst=2", 9 * SECOND));
    for late in [8 * SECOND, SECOND, 0] {
        assert!(!admit(&mut shard, 0, "10/s;burst=2", late));
        assert!(!admit(&mut shard, 0, "10/s;burst=2", 9 * SECOND));
    }
    // A new key that takes the place of one that has paid back is charged at the latest time too.
    assert!(admit(&mut shard, 1, "1/s", 19 * SECOND));
    assert!(admit(&mut shard, 1, "1/s", 20 * SECOND));
    assert!(admit(&mut shard, 2, "1/s", 22 * SECOND));
    assert!(admit(&mut shard, 1, "1/s", 23 * SECOND));
    assert!(!admit(&mut shard, 1, "1/s", 22 * SECOND));
    assert!(!admit(&mut shard, 1, "1/s", 24 * SECOND - 1));
}

#[test]
fn memory_is_bounded_by_the_keys() {
    assert_eq!(size_of::<Entry>(), 72);
    let mut shard = Shard::new(1_000);
    let limit: Limit = "1/h".parse().unwrap();
    for key in 0..20_000 {
        decide(&mut shard, &[Charge { limit, ..charge(key, "1/h") }], 0);
    }
    assert!(shard.entries.capacity() <= 1_024 && shard.index.capacity() <= 2_048);
}
