use proptest::prelude::*;

use super::*;
use crate::key::KeyHasher;

fn key(name: &str) -> LimitKey {
    KeyHasher::new([3; 16]).key(name, [])
}

fn charge(name: &str, at_most: u32) -> ConcurrencyCharge {
    ConcurrencyCharge { id: LimitId(0), key: key(name), at_most, enforcement: Enforcement::Enforce }
}

#[test]
fn the_next_request_enters_when_one_has_left() {
    let mut table = InFlight::default();
    let acme = [charge("acme", 2)];
    assert!(table.enter(&acme).is_admitted());
    assert!(table.enter(&acme).is_admitted());
    let refused = table.enter(&acme);
    assert_eq!((refused.is_admitted(), refused.over()), (false, &[true][..]));
    assert!(table.enter(&[charge("globex", 2)]).is_admitted());
    table.leave(&acme);
    assert!(table.enter(&acme).is_admitted());
    assert_eq!(table.count(key("acme")), 2);
}

#[test]
fn a_request_enters_under_all_its_limits_or_under_none() {
    let mut table = InFlight::default();
    let (tenant, cell) = (charge("tenant", 1), charge("cell", 5));
    assert!(table.enter(&[tenant, cell]).is_admitted());
    let refused = table.enter(&[cell, tenant]);
    assert_eq!((refused.is_admitted(), refused.over()), (false, &[false, true][..]));
    assert_eq!(table.count(cell.key), 1);
}

#[test]
fn a_limit_that_only_measures_counts_and_refuses_nothing() {
    let mut table = InFlight::default();
    let shadow = [ConcurrencyCharge { enforcement: Enforcement::Shadow, ..charge("acme", 1) }];
    assert_eq!(table.enter(&shadow).over(), [false]);
    let over = table.enter(&shadow);
    assert_eq!((over.is_admitted(), over.over()), (true, &[true][..]));
    assert_eq!(table.count(key("acme")), 2);
}

#[test]
fn a_lower_limit_lets_those_that_have_entered_leave() {
    let mut table = InFlight::default();
    for _ in 0..3 {
        assert!(table.enter(&[charge("acme", 3)]).is_admitted());
    }
    let lowered = [charge("acme", 1)];
    for _ in 0..3 {
        assert!(!table.enter(&lowered).is_admitted());
        table.leave(&lowered);
    }
    assert!(table.enter(&lowered).is_admitted());
}

#[test]
fn a_key_that_is_charged_twice_takes_two_places() {
    let mut table = InFlight::default();
    let twice = [charge("acme", 1); 2];
    assert_eq!(table.enter(&twice).over(), [false, true]);
    assert_eq!(table.keys(), 0);
    let twice = [charge("acme", 2); 2];
    assert!(table.enter(&twice).is_admitted());
    table.leave(&twice);
    assert_eq!(table.keys(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Enter(Vec<(usize, u32, bool)>),
    Leave(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let charges = prop::collection::vec((0..4_usize, 1..4_u32, any::<bool>()), 0..4);
    let step = prop_oneof![charges.prop_map(Step::Enter), any::<prop::sample::Index>().prop_map(Step::Leave)];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// The oracle is the list of the requests in flight.
    #[test]
    fn the_table_counts_the_requests_in_flight(steps in steps()) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let mut table = InFlight::default();
        let mut inside: Vec<Vec<ConcurrencyCharge>> = Vec::new();
        let count = |inside: &[Vec<ConcurrencyCharge>], key| {
            inside.iter().flatten().filter(|charge| charge.key == key).count()
        };
        for step in steps {
            match step {
                Step::Enter(charges) => {
                    let charges: Vec<_> = charges.into_iter().map(|(name, at_most, shadow)| ConcurrencyCharge {
                        enforcement: if shadow { Enforcement::Shadow } else { Enforcement::Enforce },
                        ..charge(NAMES[name], at_most)
                    }).collect();
                    let admitted = table.enter(&charges).is_admitted();
                    inside.push(charges.clone());
                    let fits = charges.iter().enumerate().all(|(index, charge)| {
                        // The later charges of the same key have not entered yet when this one is judged.
                        let later = charges[index + 1..].iter().filter(|later| later.key == charge.key).count();
                        charge.enforcement == Enforcement::Shadow
                            || count(&inside, charge.key) - later <= charge.at_most as usize
                    });
                    prop_assert_eq!(admitted, fits);
                    if !admitted {
                        inside.pop();
                    }
                }
                Step::Leave(index) if !inside.is_empty() => {
                    let charges = inside.swap_remove(index.index(inside.len()));
                    table.leave(&charges);
                }
                Step::Leave(_) => {}
            }
            for name in NAMES {
                prop_assert_eq!(table.count(key(name)) as usize, count(&inside, key(name)));
            }
            prop_assert!(table.keys() <= inside.iter().map(Vec::len).sum());
        }
        for charges in inside.drain(..) {
            table.leave(&charges);
        }
        prop_assert_eq!(table.keys(), 0);
    }
}
