//! The time of leases in the filter and in the service: `cargo bench -p cellgate-limiting --bench lease`.

use cellgate_limiting::{
    Answer, Charge, Enforcement, Grant, KeyHasher, KeyReport, LeaseCache, LeaseLedger, LeaseRules, Limit, LimitId,
    LimitKey, MAX_SYNC_KEYS, Micros, Report, SECOND, SessionId, Standing,
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn key(number: u64) -> LimitKey {
    KeyHasher::new([7; 16]).key("per-tenant", [format!("tenant-{number:08}").as_bytes()])
}

fn limit() -> Limit {
    "1000000000/s".parse().unwrap_or_else(|_| std::process::abort())
}

fn charge(number: u64) -> Charge {
    charge_of(key(number))
}

fn charge_of(key: LimitKey) -> Charge {
    Charge { id: LimitId(0), key, limit: limit(), cost: 1, enforcement: Enforcement::Enforce }
}

fn answer(report: &Report, keys: impl Iterator<Item = u64>) -> Answer {
    let grant = |number| Grant { key: key(number), id: LimitId(0), limit: limit(), units: 500_000_000 };
    Answer {
        session: report.session,
        number: report.number,
        epoch: 1,
        configuration: 1,
        standing: Standing::Open,
        term: 60 * SECOND,
        interval: SECOND,
        hasher: KeyHasher::new([7; 16]),
        grants: keys.map(grant).collect(),
    }
}

/// A cache that holds units of many keys.
fn holding(keys: u64) -> LeaseCache {
    let mut cache = LeaseCache::new(1, 1);
    let most = MAX_SYNC_KEYS as u64;
    for first in (0..keys).step_by(MAX_SYNC_KEYS) {
        let report = cache.report(Micros(0));
        cache.apply(&answer(&report, first..keys.min(first + most)), Micros(0));
        // So that they are not given up as unused.
        for number in 0..keys.min(first + most) {
            cache.spend(&[charge(number), charge(number)], Micros(0));
        }
    }
    cache
}

/// Keys in a stride that no cache of the processor foresees.
#[divan::bench(args = [1, 10_000])]
fn spend(bencher: Bencher<'_, '_>, keys: u64) {
    let mut cache = holding(keys);
    let charges: Vec<_> = (0..keys).map(charge).collect();
    let mut next = 0;
    let mut spent = 0_u64;
    bencher.bench_local(|| {
        next = (next + 611_953) % charges.len();
        let is_spent = charges.get(next..=next).is_some_and(|charges| cache.spend(black_box(charges), Micros(1)));
        spent += u64::from(is_spent);
    });
    assert!(spent > 0, "nothing was spent");
}

/// A request under three limits.
#[divan::bench]
fn spend_three(bencher: Bencher<'_, '_>) {
    let mut cache = holding(10_000);
    let charges: Vec<_> = (0..10_000).map(|number| [charge(number), charge(number % 16), charge(0)]).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 611_953) % charges.len();
        charges.get(next).map(|charges| cache.spend(black_box(charges), Micros(1)))
    });
}

/// A new key each time: no room is left for most.
#[divan::bench]
fn miss(bencher: Bencher<'_, '_>) {
    let mut cache = holding(10_000);
    let mut number = 1 << 60;
    bencher.bench_local(|| {
        number += 1;
        let key = LimitKey::from_words([number, number.wrapping_mul(0x9e37_79b9_7f4a_7c15)]);
        cache.spend(black_box(&[charge_of(key)]), Micros(1))
    });
}

/// The filter's work of each second with 10,000 keys in use: the report, and the answer without grants.
#[divan::bench(sample_count = 100)]
fn report_and_apply(bencher: Bencher<'_, '_>) {
    let cache = holding(10_000);
    let charges: Vec<_> = (0..10_000).map(charge).collect();
    bencher
        .with_inputs(|| {
            let mut cache = cache.clone();
            for charge in &charges {
                cache.spend(&[*charge], Micros(1));
            }
            cache
        })
        .bench_local_refs(|cache| {
            let report = cache.report(Micros(2));
            cache.apply(&answer(&report, 0..0), Micros(2))
        });
}

/// The service's work for a report of 1024 keys that wants more of each, without the store.
#[divan::bench(sample_count = 100)]
fn ledger(bencher: Bencher<'_, '_>) {
    let rules = LeaseRules {
        epoch: 1,
        configuration: 1,
        hasher: KeyHasher::new([7; 16]),
        term: 60 * SECOND,
        interval: SECOND,
        share_bits: 2,
        max_sessions: 10,
        max_keys: 100_000,
        is_store_shared: false,
    };
    let mut ledger = LeaseLedger::new(rules);
    let keys: Vec<_> = (0..MAX_SYNC_KEYS as u64).map(key).collect();
    let mut number = 0;
    bencher.bench_local(|| {
        let told = |key: &LimitKey| KeyReport {
            key: *key,
            id: LimitId(0),
            limit: limit(),
            spent: u32::from(number > 0),
            returned: u32::from(number > 0),
            wanted: 0,
        };
        let mut keys: Vec<_> = keys.iter().map(told).collect();
        if number == 0 {
            keys.iter_mut().for_each(|told| told.wanted = 1);
        }
        number += 1;
        let session = SessionId { vm: 1, generation: 0 };
        let acknowledged = number - 1;
        let epoch = u64::from(number > 1);
        let report = Report { session, number, acknowledged, epoch, configuration: 1, is_last: false, keys };
        let mut turn = ledger.begin(&report, |_, _| true, Micros(number));
        let refunds = turn.refunds();
        let remaining = vec![1_000; turn.probes().len()];
        let charges = ledger.share(&mut turn, &remaining);
        let finished = ledger.finish(&turn, &vec![Some(Micros(number)); charges.len()]);
        let is_granted = finished.answer.is_some_and(|answer| answer.grants.len() == MAX_SYNC_KEYS);
        assert!(is_granted, "{number}: {} refunds, {} charges", refunds.len(), charges.len());
        is_granted
    });
}
