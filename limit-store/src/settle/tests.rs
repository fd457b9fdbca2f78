use cellgate_limiting::{Enforcement, KeyHasher, LimitId, Micros};

use super::*;
use crate::clock::Clock;
use WhenStoreFails::{Allow, Deny, Local as Locally};

fn charge(id: u16, limit: &str, when_store_fails: WhenStoreFails) -> StoreCharge {
    let key = KeyHasher::new([1; 16]).key("limit", [id.to_le_bytes().as_slice()]);
    let enforcement = Enforcement::Enforce;
    let charge = Charge { id: LimitId(id), key, limit: limit.parse().unwrap(), cost: 1, enforcement };
    StoreCharge { charge, when_store_fails }
}

fn shadow(charge: StoreCharge) -> StoreCharge {
    StoreCharge { charge: Charge { enforcement: Enforcement::Shadow, ..charge.charge }, ..charge }
}

fn local() -> Local {
    Local::new(100, 1, Clock::new(|| Micros(7)))
}

/// Judged by a store of its own, at a time of its own.
fn by_store(store: &cellgate_limiting::EmbeddedStore, charge: &StoreCharge) -> Outcome {
    store.charge(&[charge.charge], Micros(1_000_000_000)).unwrap().outcomes()[0]
}

#[test]
fn without_a_store_each_limit_answers_as_it_says() {
    let charges = [charge(0, "1/d", Allow), charge(1, "1/d", Locally)];
    let local = local();
    let first = settle(&charges, &[None, None], &local);
    assert!(first.is_admitted() && first.judges() == [Judge::Allowed, Judge::Local]);
    assert_eq!(first.decision().outcomes().len(), 1);
    let answers: Vec<_> =
        first.answers().map(|(judge, outcome)| (judge, outcome.map(|outcome| outcome.id().0))).collect();
    assert_eq!(answers, [(Judge::Allowed, None), (Judge::Local, Some(1))]);

    let second = settle(&charges, &[None, None], &local);
    assert!(!second.is_admitted() && !second.is_denied());
    assert_eq!(second.retry_after(), Some(86_400));
}

#[test]
fn a_limit_that_denies_lets_nobody_be_charged() {
    let charges = [charge(0, "1/d", Locally), charge(1, "1/d", Deny), charge(2, "1/d", Allow)];
    let local = local();
    let denied = settle(&charges, &[None, None, None], &local);
    assert!(!denied.is_admitted() && denied.is_denied());
    assert_eq!(denied.judges(), [Judge::Skipped, Judge::Denied, Judge::Allowed]);
    assert_eq!((denied.retry_after(), denied.decision().outcomes().len()), (None, 0));
    assert_eq!(denied.charged().flatten().count(), 0);
    // In shadow mode it only measures.
    let admitted = settle(&[charges[0], shadow(charges[1])], &[None, None], &local);
    assert!(admitted.is_admitted() && admitted.judges() == [Judge::Local, Judge::Denied]);
}

#[test]
fn what_a_part_of_a_cluster_refuses_is_not_charged_locally() {
    let store = cellgate_limiting::EmbeddedStore::new(10);
    let charges = [charge(0, "1/d", Locally), charge(1, "1/d", Locally)];
    let local = local();
    let admitted = settle(&charges, &[None, Some(by_store(&store, &charges[1]))], &local);
    assert!(admitted.is_admitted() && admitted.judges() == [Judge::Local, Judge::Store]);
    assert_eq!(admitted.charged().flatten().count(), 2);
    local.forget(charges[0].charge.key);

    let refused = settle(&charges, &[None, Some(by_store(&store, &charges[1]))], &local);
    assert!(!refused.is_admitted() && refused.judges() == [Judge::Skipped, Judge::Store]);
    assert_eq!(local.forget(charges[0].charge.key), None);
}
