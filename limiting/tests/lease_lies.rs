//! Answers and reports of any content: no panic, memory within its bounds, and no unit that was not granted.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use cellgate_limiting::{
    Answer, Charge, Enforcement, Grant, KeyHasher, KeyReport, LeaseCache, LeaseLedger, LeaseRules, Limit, LimitId,
    LimitKey, MAX_LEASED_KEYS, MAX_SYNC_KEYS, MAX_TERM, Micros, Report, SECOND, SessionId, Standing,
};
use proptest::prelude::*;

fn key(number: u8) -> LimitKey {
    LimitKey::from_words([number.into(); 2])
}

fn limit(number: u8) -> Limit {
    ["10/s;burst=40", "1/s", "1000000000/s"].map(|text| text.parse().unwrap())[usize::from(number % 3)]
}

/// Numbers of all sizes, small ones most.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..6_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn units() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..20_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn standings() -> impl Strategy<Value = Standing> {
    prop_oneof![
        6 => Just(Standing::Open),
        1 => Just(Standing::Withdrawn),
        1 => Just(Standing::Unknown),
        1 => Just(Standing::Full),
        1 => Just(Standing::Elsewhere),
    ]
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let grant = (0..4_u8, 0..3_u8, units()).prop_map(|(number, of, units)| Grant {
        key: key(number),
        id: LimitId(0),
        limit: limit(of),
        units,
    });
    prop::collection::vec(grant, 0..6)
}

/// An answer, of which the session and the number may be right.
#[derive(Clone, Debug)]
struct Lie {
    is_answer: bool,
    session: SessionId,
    number: u64,
    epoch: u64,
    configuration: u64,
    standing: Standing,
    term: u64,
    interval: u64,
    secret: u8,
    grants: Vec<Grant>,
}

fn lies() -> impl Strategy<Value = Lie> {
    let identity = (prop::bool::weighted(0.8), 0..2_u64, 0..3_u32, numbers());
    let terms = (0..3_u64, 0..2_u64, standings(), numbers(), numbers(), 0..2_u8, grants());
    (identity, terms).prop_map(|((is_answer, vm, generation, number), terms)| {
        let (epoch, configuration, standing, term, interval, secret, grants) = terms;
        let session = SessionId { vm, generation };
        let term = if term < 6 { term * SECOND } else { term };
        Lie { is_answer, session, number, epoch, configuration, standing, term, interval, secret, grants }
    })
}

#[derive(Clone, Debug)]
enum Step {
    Spend(u8, u8, u64),
    Report,
    Close,
    Configure(u64),
    Apply(Lie),
    Clock(u64),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, 0..3_u8, numbers()).prop_map(|(key, limit, cost)| Step::Spend(key, limit, cost)),
        3 => Just(Step::Report),
        1 => Just(Step::Close),
        1 => (0..2_u64).prop_map(Step::Configure),
        4 => lies().prop_map(Step::Apply),
        1 => any::<u64>().prop_map(Step::Clock),
        2 => (0..3 * SECOND).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Of each key, the cache spends at most what answers to its reports have granted, a burst for each.
    #[test]
    fn a_cache_takes_any_answer(steps in steps()) {
        let mut cache = LeaseCache::new(1, 1);
        let mut report = cache.report(Micros(0));
        let (mut now, mut granted) = (0_u64, BTreeMap::<LimitKey, u64>::new());
        for step in steps {
            match step {
                Step::Spend(number, of, cost) => {
                    let (key, limit) = (key(number), limit(of));
                    let charge = Charge { id: LimitId(0), key, limit, cost, enforcement: Enforcement::Enforce };
                    if cache.spend(&[charge], Micros(now)) && cost > 0 {
                        let left = granted.get(&key).and_then(|left| left.checked_sub(cost));
                        prop_assert!(left.is_some(), "{} of {:?}", cost, granted.get(&key));
                        granted.insert(key, left.unwrap_or(0));
                    }
                }
                Step::Report => report = cache.report(Micros(now)),
                Step::Close => report = cache.close(Micros(now)),
                Step::Configure(configuration) => cache.set_configuration(configuration),
                Step::Apply(lie) => {
                    let (session, number) =
                        if lie.is_answer { (report.session, report.number) } else { (lie.session, lie.number) };
                    let answer = Answer {
                        session,
                        number,
                        epoch: lie.epoch,
                        configuration: lie.configuration,
                        standing: lie.standing,
                        term: lie.term,
                        interval: lie.interval,
                        hasher: KeyHasher::new([lie.secret; 16]),
                        grants: lie.grants,
                    };
                    cache.apply(&answer, Micros(now));
                    for grant in &answer.grants {
                        *granted.entry(grant.key).or_default() += u64::from(grant.units.min(grant.limit.burst()));
                    }
                }
                Step::Clock(time) => now = time,
                Step::Wait(micros) => now = now.saturating_add(micros),
            }
            let stats = cache.stats();
            prop_assert!(stats.keys <= 4 && stats.units <= 4_000_000_000);
            prop_assert!((100_000..=10 * SECOND).contains(&cache.interval()));
        }
        // However long the term is said to be: without an answer nothing is left.
        let mut end = cache;
        end.spend(&[], Micros(0));
        let charge = |of| Charge { id: LimitId(0), key: key(0), limit: limit(of), cost: 1, enforcement: Enforcement::Enforce };
        for of in 0..3 {
            prop_assert!(!end.spend(&[charge(of)], Micros(MAX_TERM)));
        }
    }

    /// Of each key, the ledger refunds at most what was charged for it, and what it holds is within its bounds.
    #[test]
    fn a_ledger_takes_any_report(
        reports in prop::collection::vec(
            (
                (0..3_u64, 0..2_u32, 0..6_u64, 0..6_u64, 0..3_u64, 0..2_u64, prop::bool::weighted(0.1)),
                prop::collection::vec((0..4_u8, 0..3_u8, units(), 0..3_u32, 0..3_u32), 0..6),
                (0..3 * SECOND, any::<bool>(), any::<bool>()),
            ),
            0..40,
        ),
        is_store_shared in any::<bool>(),
    ) {
        let rules = LeaseRules {
            epoch: 1,
            configuration: 1,
            hasher: KeyHasher::new([7; 16]),
            term: 5 * SECOND,
            interval: SECOND,
            share_bits: 1,
            max_sessions: 2,
            max_keys: 5,
            is_store_shared,
        };
        let mut ledger = LeaseLedger::new(rules);
        let mut charged = BTreeMap::<LimitKey, u64>::new();
        let mut now = 0;
        for ((vm, generation, number, acknowledged, epoch, configuration, is_last), keys, (wait, is_made, is_finished)) in
            reports
        {
            now += wait;
            let keys = keys.into_iter().map(|(number, of, wanted, spent, returned)| KeyReport {
                key: key(number),
                id: LimitId(number.into()),
                limit: limit(of),
                spent,
                returned,
                wanted,
            });
            let session = SessionId { vm, generation };
            let keys = keys.collect();
            let report = Report { session, number, acknowledged, epoch, configuration, is_last, keys };
            let mut turn = ledger.begin(&report, |id, _| id != LimitId(3), Micros(now));
            let mut refunds = turn.refunds();
            let remaining = vec![100; turn.probes().len()];
            let charges = ledger.share(&mut turn, &remaining);
            if is_made {
                for charge in &charges {
                    *charged.entry(charge.key).or_default() += charge.cost;
                }
            }
            if is_finished {
                let made = is_made.then_some(Micros(now));
                let finished = ledger.finish(&turn, &vec![made; charges.len()]);
                refunds.extend(finished.refunds);
                prop_assert!(finished.answer.is_none_or(|answer| answer.grants.len() <= MAX_SYNC_KEYS));
            }
            for refund in refunds {
                let left = charged.get(&refund.key).and_then(|left| left.checked_sub(refund.units.into()));
                prop_assert!(left.is_some(), "{:?} of {:?}", refund, charged.get(&refund.key));
                charged.insert(refund.key, left.unwrap_or(0));
            }
            let stats = ledger.stats(Micros(now));
            prop_assert!(stats.sessions <= 2 && stats.keys <= 5.min(MAX_LEASED_KEYS), "{:?}", stats);
            let outstanding = stats.outstanding.values().sum::<u64>();
            prop_assert!(outstanding <= charged.values().sum(), "{:?}", stats);
        }
        // Nothing is left when all sessions are over.
        let stats = ledger.stats(Micros(now + 5 * SECOND));
        prop_assert_eq!((stats.sessions, stats.keys, stats.outstanding.len()), (0, 0, 0));
    }
}
