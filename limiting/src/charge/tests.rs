use std::collections::BTreeMap;

use super::*;
use crate::time::SECOND;

/// A store without bounds.
#[derive(Default)]
struct Table(BTreeMap<LimitKey, Usage>);

impl Usages for Table {
    fn get(&mut self, charge: &Charge, now: Micros) -> Usage {
        self.0.get(&charge.key).map_or(Usage::unused(charge.limit), |usage| usage.bounded(now))
    }

    fn put(&mut self, charge: &Charge, usage: Usage, _: Micros) {
        self.0.insert(charge.key, usage);
    }
}

fn charge(key: u64, limit: &str, cost: u64) -> Charge {
    let key = LimitKey { high: key, low: key };
    Charge { id: LimitId(0), key, limit: limit.parse().unwrap(), cost, enforcement: Enforcement::Enforce }
}

fn shadow(key: u64, limit: &str, cost: u64) -> Charge {
    Charge { enforcement: Enforcement::Shadow, ..charge(key, limit, cost) }
}

fn remaining(decision: &Decision) -> Vec<u32> {
    decision.outcomes().iter().map(Outcome::remaining).collect()
}

#[test]
fn a_refusal_charges_no_limit() {
    let mut table = Table::default();
    let charges = [charge(1, "100/min", 1), charge(2, "1/min", 1), charge(3, "50/min", 1)];
    let decision = charge_all(&mut table, &charges, Micros(0)).unwrap();
    assert!(decision.is_admitted());
    assert_eq!(remaining(&decision), [99, 0, 49]);
    assert_eq!((decision.wait(), decision.retry_after()), (None, None));

    let stored = table.0.clone();
    let decision = charge_all(&mut table, &charges, Micros(1)).unwrap();
    assert!(!decision.is_admitted());
    assert_eq!(remaining(&decision), [99, 0, 49]);
    let verdicts: Vec<_> = decision.outcomes().iter().map(Outcome::verdict).collect();
    let refused = Verdict::Refused { wait: 60 * SECOND - 1 };
    assert_eq!(verdicts, [Verdict::Admitted, refused, Verdict::Admitted]);
    assert_eq!((decision.wait(), decision.retry_after()), (Some(60 * SECOND - 1), Some(60)));
    assert_eq!(table.0, stored);
}

#[test]
fn the_longest_wait_counts_and_never_is_longer() {
    let mut table = Table::default();
    let all = [charge(1, "1/s", 1), charge(2, "1/min", 1), charge(3, "1/h;burst=2", 1)];
    assert!(charge_all(&mut table, &all, Micros(0)).unwrap().is_admitted());
    assert_eq!(charge_all(&mut table, &all, Micros(0)).unwrap().retry_after(), Some(60));

    let never = [charge(1, "1/s", 1), charge(3, "1/h;burst=2", 3)];
    let decision = charge_all(&mut table, &never, Micros(0)).unwrap();
    assert_eq!((decision.is_admitted(), decision.retry_after()), (false, None));
}

#[test]
fn a_shadow_limit_refuses_nothing_and_is_charged_like_an_enforced_one() {
    let mut table = Table::default();
    let charges = [charge(1, "3/min", 1), shadow(2, "2/min", 1)];
    let mut decide = || charge_all(&mut table, &charges, Micros(0)).unwrap();
    assert_eq!(remaining(&decide()), [2, 1]);
    assert_eq!(remaining(&decide()), [1, 0]);
    let third = decide();
    assert!(third.is_admitted());
    assert_eq!(remaining(&third), [0, 0]);
    assert_eq!(third.outcomes()[1].verdict(), Verdict::Refused { wait: 30 * SECOND });
    assert_eq!(third.retry_after(), None);

    // The enforced limit refuses, so the other one is not charged.
    let charges = [charge(1, "3/min", 1), shadow(3, "2/min", 1)];
    let decision = charge_all(&mut table, &charges, Micros(0)).unwrap();
    assert_eq!((decision.is_admitted(), remaining(&decision)), (false, vec![0, 2]));
}

#[test]
fn a_key_that_is_charged_twice_is_charged_for_both() {
    let mut table = Table::default();
    let twice = [charge(1, "5/min", 2), charge(1, "5/min", 2)];
    assert_eq!(remaining(&charge_all(&mut table, &twice, Micros(0)).unwrap()), [3, 1]);
    let decision = charge_all(&mut table, &[charge(1, "5/min", 1), charge(1, "5/min", 1)], Micros(0)).unwrap();
    assert_eq!((decision.is_admitted(), remaining(&decision)), (false, vec![1, 1]));
    assert_eq!(remaining(&charge_all(&mut table, &[charge(1, "5/min", 1)], Micros(0)).unwrap()), [0]);
}

#[test]
fn a_request_without_charges_is_admitted_and_one_with_too_many_is_an_error() {
    let mut table = Table::default();
    assert!(charge_all(&mut table, &[], Micros(0)).unwrap().is_admitted());
    let charges: Vec<_> = (0..33).map(|key| charge(key, "1/s", 1)).collect();
    assert_eq!(charge_all(&mut table, &charges, Micros(0)), Err(TooManyCharges(33)));
    assert!(table.0.is_empty());
    assert!(charge_all(&mut table, &charges[1..], Micros(0)).unwrap().is_admitted());
}

#[test]
fn a_cost_of_0_stores_nothing() {
    let mut table = Table::default();
    assert!(charge_all(&mut table, &[charge(1, "1/s", 0)], Micros(0)).unwrap().is_admitted());
    assert!(table.0.is_empty());
}
