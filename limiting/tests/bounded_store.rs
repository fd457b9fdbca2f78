//! A store that is far too small, against a log for each key: no key is ever admitted more than its limit.

use std::collections::BTreeMap;

use cellgate_limiting::{Charge, EmbeddedStore, Enforcement, KeyHasher, Limit, LimitId, MAX_UNITS, Micros};
use proptest::prelude::*;

/// All that a key was admitted, as (time, cost).
type Log = Vec<(u64, u64)>;

/// Whether no span of time between two entries has more than `burst + rate × span` units.
fn is_within(log: &[(u64, u64)], limit: Limit) -> bool {
    let (count, period) = (u128::from(limit.rate().count()), u128::from(limit.rate().period()));
    let mut rest = log;
    while let [(start, _), later @ ..] = rest {
        let mut units = 0;
        let fits = |(time, cost): &(u64, u64)| {
            units += u128::from(*cost);
            units * period <= u128::from(limit.burst()) * period + u128::from(time - start) * count
        };
        if !rest.iter().all(fits) {
            return false;
        }
        rest = later;
    }
    true
}

fn charge(limit_and_id: (&Limit, u16), tenant: u64, cost: u64) -> Charge {
    let (limit, id) = (*limit_and_id.0, LimitId(limit_and_id.1));
    let key = KeyHasher::new([3; 16]).key(&id.0.to_string(), [tenant.to_le_bytes().as_slice()]);
    Charge { id, key, limit, cost, enforcement: Enforcement::Enforce }
}

/// A request: a pause, a tenant, a cost, and whether it falls under one limit or two.
fn requests() -> impl Strategy<Value = Vec<(u64, u64, u64, bool)>> {
    let pause = prop_oneof![4 => Just(0_u64), 2 => 0..400_000_u64, 1 => 0..4_000_000_u64];
    prop::collection::vec((pause, 0..40_u64, 1..4_u64, any::<bool>()), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_key_exceeds_its_limit_while_the_store_is_full(requests in requests(), max_keys in 1..20_usize) {
        let store = EmbeddedStore::new(max_keys);
        let limits: [Limit; 2] = ["5/s;burst=7".parse().unwrap(), "100/min;burst=4".parse().unwrap()];
        let mut logs: BTreeMap<_, (Limit, Log)> = BTreeMap::new();
        let mut now = 0;
        for (pause, tenant, cost, is_under_both) in requests {
            now += pause;
            // The second limit has few keys, as cells are few.
            let both = [charge((&limits[0], 0), tenant, cost), charge((&limits[1], 1), tenant % 3, 1)];
            let charges = if is_under_both { &both[..] } else { &both[..1] };
            if store.charge(charges, Micros(now)).unwrap().is_admitted() {
                for charge in charges {
                    logs.entry(charge.key).or_insert((charge.limit, Log::new())).1.push((now, charge.cost));
                }
            }
            prop_assert!(store.stats().keys <= max_keys);
        }
        for (limit, log) in logs.values() {
            prop_assert!(is_within(log, *limit), "{:?} {:?}", limit, log);
        }
    }

    /// With room for all keys, the store decides like one that has each key alone.
    #[test]
    fn a_store_with_room_refuses_nobody_for_want_of_it(requests in requests()) {
        let store = EmbeddedStore::new(10_000);
        let limit: Limit = "5/s;burst=7".parse().unwrap();
        let mut alone: BTreeMap<u64, EmbeddedStore> = BTreeMap::new();
        let mut now = 0;
        for (pause, tenant, cost, _) in requests {
            now += pause;
            let charges = [charge((&limit, 0), tenant, cost)];
            let alone = alone.entry(tenant).or_insert_with(|| EmbeddedStore::new(1));
            let [together, alone] = [&store, alone].map(|store| {
                let decision = store.charge(&charges, Micros(now)).unwrap();
                let outcome = decision.outcomes()[0];
                (outcome.verdict(), outcome.remaining(), outcome.reset())
            });
            prop_assert_eq!(together, alone);
        }
        prop_assert_eq!(store.stats().overflow_charges, 0);
    }

    /// Any charges at any time: no panic.
    #[test]
    fn no_charge_causes_a_panic(
        requests in prop::collection::vec(
            (any::<u64>(), prop::collection::vec((any::<u16>(), any::<u64>(), any::<u64>(), any::<bool>()), 0..40)),
            1..40,
        ),
        count in 1..=MAX_UNITS,
    ) {
        let store = EmbeddedStore::new(3);
        let limit: Limit = format!("{count}/s").parse().unwrap();
        for (now, charges) in requests {
            let charges: Vec<_> = charges.into_iter().map(|(id, tenant, cost, is_shadow)| {
                let enforcement = if is_shadow { Enforcement::Shadow } else { Enforcement::Enforce };
                Charge { enforcement, ..charge((&limit, id % 4), tenant % 8, cost) }
            }).collect();
            let decision = store.charge(&charges, Micros(now));
            prop_assert_eq!(decision.is_err(), charges.len() > 32);
            if let Ok(decision) = decision {
                prop_assert_eq!(decision.outcomes().len(), charges.len());
                prop_assert!(decision.is_admitted() || decision.retry_after() != Some(0));
            }
        }
    }
}
