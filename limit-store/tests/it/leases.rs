//! Leases on a store: units are charged when they are granted, and come back when they are given up.

use cellgate_limit_store::{Charged, Clock, Judge, LimitStore, StoreCharge, WhenStoreFails};
use cellgate_limiting::{Charge, KeyHasher, LeaseCache, LeaseLedger, LeaseRules, Micros, Refund, Report, SECOND};

use crate::support::{charge, costs};

const NOW: Micros = Micros(5 * SECOND);

/// A grant must be counted by the store, so it is refused while the store is gone.
fn deny(charge: Charge) -> StoreCharge {
    StoreCharge { charge, when_store_fails: WhenStoreFails::Deny }
}

async fn refund(store: &LimitStore, refunds: Vec<Refund>) {
    for refund in refunds {
        let charged = Charged::by_store(refund.charge(), refund.charged);
        assert!(store.refund(&charged, refund.units.into()).await.is_some());
    }
}

/// The units of the grants.
async fn answer(ledger: &mut LeaseLedger, store: &LimitStore, cache: &mut LeaseCache, report: &Report) -> Vec<u32> {
    let mut turn = ledger.begin(report, |_, _| true, NOW);
    refund(store, turn.refunds()).await;
    let mut remaining = Vec::new();
    for probe in turn.probes() {
        let decision = store.charge(&[deny(probe)]).await;
        let (_, outcome) = decision.answers().next().unwrap();
        remaining.push(outcome.map_or(0, |outcome| outcome.remaining()));
    }
    let mut charged = Vec::new();
    for charge in ledger.share(&mut turn, &remaining) {
        let made = store.charge(&[deny(charge)]).await.charged().next().flatten();
        charged.push(made.filter(|made| made.judge() == Judge::Store).map(|made| made.at()));
    }
    let finished = ledger.finish(&turn, &charged);
    refund(store, finished.refunds).await;
    let answer = finished.answer.unwrap();
    cache.apply(&answer, NOW);
    answer.grants.iter().map(|grant| grant.units).collect()
}

#[tokio::test]
async fn a_lease_is_charged_when_it_is_granted_and_its_rest_comes_back() {
    let store = LimitStore::embedded(100, Clock::new(|| NOW));
    let mut ledger = LeaseLedger::new(LeaseRules {
        epoch: 1,
        configuration: 1,
        hasher: KeyHasher::new([7; 16]),
        term: 10 * SECOND,
        interval: SECOND,
        share_bits: 2,
        max_sessions: 10,
        max_keys: 100,
        is_store_shared: false,
    });
    let mut cache = LeaseCache::new(7, 1);
    let request = costs(charge("a", "100/h", WhenStoreFails::Deny), 3);
    let in_use = async || store.usage(request.charge.key).await.unwrap().map_or(0, |(usage, now)| usage.in_use(now));

    assert!(!cache.spend(&[request.charge], NOW));
    let report = cache.report(NOW);
    assert_eq!(answer(&mut ledger, &store, &mut cache, &report).await, [6]);
    assert_eq!(in_use().await, 6);
    // Two requests that the store does not see, and a third one that it decides.
    assert!(cache.spend(&[request.charge], NOW) && cache.spend(&[request.charge], NOW));
    assert!(!cache.spend(&[request.charge], NOW));
    assert!(store.charge(&[request]).await.is_admitted());
    let report = cache.report(NOW);
    assert_eq!(answer(&mut ledger, &store, &mut cache, &report).await, [18]);
    assert_eq!(in_use().await, 6 + 3 + 18);
    assert!(cache.spend(&[request.charge], NOW));

    let last = cache.close(NOW);
    assert_eq!(answer(&mut ledger, &store, &mut cache, &last).await, [0; 0]);
    // Four requests of 3 units.
    assert_eq!(in_use().await, 12);
}
