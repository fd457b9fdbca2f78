//! Refunds, against an exact leaky bucket from which the refunded units are taken at the time of their charge.

use proptest::prelude::*;

use super::*;
use crate::time::SECOND;

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

fn charge(usage: &mut Usage, limit: Limit, cost: u64, now: u64) -> ChargePoint {
    let (verdict, after) = usage.charge(limit, cost, Micros(now));
    assert_eq!(verdict, Verdict::Admitted);
    *usage = after;
    after.point(Micros(now))
}

fn refund(usage: &mut Usage, units: u64, point: ChargePoint, now: u64) -> u64 {
    let (back, after) = usage.refund(units, point, Micros(now));
    *usage = after;
    back
}

#[test]
fn a_refund_is_worth_what_has_not_been_paid_back() {
    let limit = limit("10/s;burst=10");
    let mut usage = Usage::unused(limit);
    let point = charge(&mut usage, limit, 8, 0);
    let at = |units, point, now| {
        let (back, after) = usage.refund(units, point, Micros(now));
        (back, after.remaining(limit, Micros(now)))
    };
    assert_eq!(at(5, point, 0), (5, 7));
    // 5 of 8 are still to be paid back after 300 ms, and 3 after 500 ms.
    assert_eq!(at(5, point, 300_000), (5, 10));
    assert_eq!(at(5, point, 500_000), (3, 10));
    // If only the time is known, 3 of the 5 may have been paid back after 300 ms.
    assert_eq!(at(5, ChargePoint::at(Micros(0)), 300_000), (2, 7));
    assert_eq!(at(5, ChargePoint::at(Micros(0)), 500_000), (0, 7));
    // Not more than was in use, whatever the numbers are.
    assert_eq!(at(u64::MAX, point, 0), (8, 10));
    assert_eq!(at(u64::MAX, point, u64::MAX), (0, 10));
    // The clock went back.
    assert_eq!(at(5, ChargePoint::at(Micros(1)), 0), (0, 2));
}

/// Each refund was worth the cost less what was paid back in 10 s, which is nothing: 997,222 units stayed in use.
#[test]
fn an_estimate_is_corrected_when_the_response_takes_ten_seconds() {
    let limit = limit("1000000/h");
    let mut usage = Usage::unused(limit);
    let points: Vec<_> = (0..2_000).map(|_| charge(&mut usage, limit, 500, 0)).collect();
    let now = 10 * SECOND;
    let back: u64 = points.into_iter().map(|point| refund(&mut usage, 450, point, now)).sum();
    // 100,000 less the 2,778 of 10 s would be exact. 57 of the first estimates are paid back by then.
    let in_use = usage.in_use(Micros(now));
    assert!((97_223..125_000).contains(&in_use), "{in_use}");
    assert_eq!(back, 997_223 - in_use);
}

#[test]
fn a_failure_after_half_a_minute_is_released() {
    let limit = limit("1000000/h");
    let mut usage = Usage::unused(limit);
    charge(&mut usage, limit, 999_500, 0);
    let point = charge(&mut usage, limit, 500, 0);
    assert_eq!(refund(&mut usage, 500, point, 30 * SECOND), 500);
}

/// Requests of one key can have different limits. Between the charge and its refund, the key had a faster rate than at both ends,
/// by which the charge was paid back. Its refund gave back the units of another one.
#[test]
fn a_refund_counts_the_rates_in_between() {
    let (slow, fast) = (limit("1/h;burst=100"), limit("1000/s;burst=100"));
    let mut usage = Usage::unused(slow);
    let first = charge(&mut usage, slow, 50, 0);
    charge(&mut usage, fast, 1, 1);
    assert!(usage.is_unused(Micros(SECOND)));
    charge(&mut usage, slow, 100, SECOND);
    assert_eq!(refund(&mut usage, 50, first, SECOND), 0);
    assert_eq!(usage.remaining(slow, Micros(SECOND)), 0);
}

#[test]
fn a_count_that_is_too_high_begins_again_and_refunds_nothing() {
    let limit = limit("1000000000/h");
    let history = History { since: Micros(0), charged: MAX_CHARGED - 5 };
    let usage = Usage::unused(limit).add(limit, 1_000, Micros(0));
    let mut usage = Usage { history, ..usage };
    let before = charge(&mut usage, limit, 5, 1);
    let after = charge(&mut usage, limit, 5, 2);
    assert_eq!(usage.history(), History { since: Micros(2), charged: 5 });
    assert_eq!((refund(&mut usage, 5, before, 2), refund(&mut usage, 5, after, 2)), (0, 5));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Charge { limit: usize, cost: u64 },
    Refund { which: usize, units: u64, is_lease: bool },
    Carry { which: usize, units: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3 * SECOND).prop_map(Step::Wait),
        (0..20_u64).prop_map(|millis| Step::Wait(millis * 1_000)),
        (0..3_usize, 1..12_u64).prop_map(|(limit, cost)| Step::Charge { limit, cost }),
        (0..3_usize, 1..4_u64).prop_map(|(limit, cost)| Step::Charge { limit, cost }),
        (0..40_usize, 0..14_u64, any::<bool>()).prop_map(|(which, units, is_lease)| Step::Refund {
            which,
            units,
            is_lease
        }),
        (0..40_usize, 0..30_u64).prop_map(|(which, units)| Step::Carry { which, units }),
    ];
    prop::collection::vec(step, 1..60)
}

struct Made {
    limit: Limit,
    cost: u64,
    point: ChargePoint,
    /// In [`Bucket::charged`].
    place: usize,
}

/// An exact leaky bucket. Its unit of level is a part of a unit that all rates divide: 1 an hour takes one each microsecond.
#[derive(Default)]
struct Bucket {
    /// Times and units, which refunds lower later.
    charged: Vec<(u64, i128)>,
    /// The rates in force from a time on, in levels each microsecond.
    rates: Vec<(u64, i128)>,
}

const UNIT: i128 = 3_600_000_000;

impl Bucket {
    fn level(&self, now: u64) -> i128 {
        let (mut level, mut last) = (0, 0);
        for (at, units) in self.charged.iter().copied().chain([(now, 0)]) {
            level = (level - self.paid_back(last, at)).max(0) + units * UNIT;
            last = at;
        }
        level
    }

    fn paid_back(&self, from: u64, to: u64) -> i128 {
        let ends = self.rates.iter().skip(1).map(|(at, _)| *at).chain([u64::MAX]);
        let spans = self.rates.iter().zip(ends);
        spans.map(|((start, rate), end)| i128::from(to.min(end).saturating_sub(from.max(*start))) * rate).sum()
    }
}

/// Runs a trace until a debt is cut to the burst, after which less is in use than the bucket has.
fn run(steps: &[Step], limits: [Limit; 3]) -> Result<(), TestCaseError> {
    let mut usage = Usage::unused(limits[0]);
    let (mut now, mut made, mut bucket) = (0_u64, Vec::<Made>::new(), Bucket::default());
    for step in steps {
        match step {
            Step::Wait(micros) => now += micros,
            Step::Charge { limit, cost } => {
                let limit = limits[*limit];
                let (verdict, after) = usage.charge(limit, *cost, Micros(now));
                usage = after;
                if verdict == Verdict::Admitted {
                    made.push(Made {
                        limit,
                        cost: *cost,
                        point: after.point(Micros(now)),
                        place: bucket.charged.len(),
                    });
                    bucket.charged.push((now, i128::from(*cost)));
                }
            }
            Step::Refund { which, units, is_lease } if !made.is_empty() => {
                // Each charge is settled once.
                let charge = made.remove(which % made.len());
                let units = (*units).min(charge.cost);
                let point = if *is_lease { ChargePoint::at(charge.point.time()) } else { charge.point };
                let (before, back) = (usage.in_use(Micros(now)), refund(&mut usage, units, point, now));
                prop_assert!(back <= units && before - usage.in_use(Micros(now)) >= back);
                bucket.charged[charge.place].1 -= i128::from(units);
            }
            Step::Carry { which, units } if !made.is_empty() => {
                let charge = made.remove(which % made.len());
                let before = usage.in_use(Micros(now));
                usage = usage.carry(charge.limit, *units, Micros(now));
                prop_assert!(usage.in_use(Micros(now)) >= before, "a carry gave units back");
                if before + *units > u64::from(usage.limit().burst()) {
                    return Ok(());
                }
                bucket.charged.push((now, i128::from(*units)));
            }
            Step::Refund { .. } | Step::Carry { .. } => {}
        }
        let rate = usage.limit().rate();
        bucket.rates.push((now, i128::from(rate.count()) * UNIT / i128::from(rate.period())));
        prop_assert!(usage.level(Micros(now)) <= usage.limit().capacity(), "more than the burst is in use");
        let level = i128::try_from(usage.level(Micros(now))).unwrap() * UNIT;
        let truth = bucket.level(now) * i128::from(rate.period());
        prop_assert!(level >= truth, "{level} is stored, and {truth} is in use");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn at_one_rate_at_least_what_is_really_used_stays_in_use(steps in steps()) {
        run(&steps, [limit("10/s"), limit("10/s;burst=30"), limit("10/s")])?;
    }

    #[test]
    fn at_changing_rates_at_least_what_is_really_used_stays_in_use(steps in steps()) {
        run(&steps, [limit("10/s"), limit("1/h;burst=20"), limit("1000/s;burst=11")])?;
    }
}
