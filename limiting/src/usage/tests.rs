use super::*;
use crate::rate::Rate;
use crate::time::SECOND;

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

/// What is in use, whatever was charged before.
fn used(usage: Usage) -> (Limit, (Micros, u32)) {
    (usage.limit(), usage.arrival())
}

fn admit(usage: &mut Usage, limit: Limit, cost: u64, now: u64) -> Verdict {
    let (verdict, after) = usage.charge(limit, cost, Micros(now));
    *usage = after;
    verdict
}

#[test]
fn a_burst_is_admitted_at_once_and_then_the_rate() {
    let limit = limit("10/s;burst=3");
    let mut usage = Usage::unused(limit);
    let now = 7 * SECOND;
    for left in [2, 1, 0] {
        assert_eq!(admit(&mut usage, limit, 1, now), Verdict::Admitted);
        assert_eq!(usage.remaining(limit, Micros(now)), left);
    }
    assert_eq!(usage.reset(Micros(now)), 300_000);
    assert_eq!(admit(&mut usage, limit, 1, now), Verdict::Refused { wait: 100_000 });
    assert_eq!(admit(&mut usage, limit, 1, now + 99_999), Verdict::Refused { wait: 1 });
    assert_eq!(admit(&mut usage, limit, 1, now + 100_000), Verdict::Admitted);
    assert_eq!(admit(&mut usage, limit, 3, now + 100_000), Verdict::Refused { wait: 300_000 });
    assert_eq!(admit(&mut usage, limit, 3, now + 400_000), Verdict::Admitted);
}

/// 143 a second is a unit every 6,993.007 µs. With intervals of whole microseconds, 700,000 a second would be 500,000.
#[test]
fn a_rate_that_does_not_divide_is_exact() {
    for (count, seconds) in [(143, 1_000), (700_000, 1), (3, 100_000), (999_983, 1)] {
        let limit = Limit::new(Rate::new(count, SECOND).unwrap(), 2).unwrap();
        let (mut usage, mut admitted, mut now) = (Usage::unused(limit), 0, 0);
        while now <= seconds * SECOND {
            match admit(&mut usage, limit, 1, now) {
                Verdict::Admitted => admitted += 1,
                Verdict::Refused { wait } => now += wait,
                Verdict::Never => unreachable!(),
            }
        }
        assert_eq!(admitted, 2 + count * seconds);
    }
}

#[test]
fn a_cost_over_the_burst_is_never_admitted() {
    let limit = limit("10/s;burst=3");
    let mut usage = Usage::unused(limit);
    assert_eq!(admit(&mut usage, limit, 4, 0), Verdict::Never);
    assert_eq!(admit(&mut usage, limit, u64::MAX, 0), Verdict::Never);
    assert_eq!(usage, Usage::unused(limit));
}

#[test]
fn a_cost_of_0_is_admitted_and_changes_nothing() {
    let limit = limit("1/s");
    let mut usage = Usage::exhausted(limit, Micros(5));
    assert_eq!(admit(&mut usage, limit, 0, 5), Verdict::Admitted);
    assert_eq!(usage, Usage::exhausted(limit, Micros(5)));
}

#[test]
fn raising_a_limit_keeps_the_units_in_use() {
    let (low, high) = (limit("10/min"), limit("1000/min"));
    let mut usage = Usage::unused(low);
    assert_eq!(admit(&mut usage, low, 10, 0), Verdict::Admitted);
    assert_eq!(usage.remaining(high, Micros(0)), 990);
    assert_eq!(admit(&mut usage, high, 990, 0), Verdict::Admitted);
    assert_eq!(admit(&mut usage, high, 1, 0), Verdict::Refused { wait: 60_000 });
}

#[test]
fn a_lowered_limit_holds_at_once_and_the_rest_goes_down_at_the_old_rate() {
    let (high, low) = (limit("1000/min"), limit("10/min"));
    let mut usage = Usage::unused(high);
    assert_eq!(admit(&mut usage, high, 500, 0), Verdict::Admitted);
    assert_eq!(usage.remaining(low, Micros(0)), 0);
    // From 500 down to 9 at 60 ms each.
    assert_eq!(admit(&mut usage, low, 1, 0), Verdict::Refused { wait: 491 * 60_000 });
    assert_eq!(admit(&mut usage, low, 1, 491 * 60_000), Verdict::Admitted);
    assert_eq!(admit(&mut usage, low, 1, 491 * 60_000), Verdict::Refused { wait: 6 * SECOND });
}

/// A refusal stores nothing: otherwise a request with a smaller limit would cap what another one used.
#[test]
fn a_refusal_under_a_smaller_limit_forgets_nothing() {
    let (high, low) = (limit("1000/min"), limit("10/min"));
    let mut usage = Usage::unused(high);
    assert_eq!(admit(&mut usage, high, 500, 0), Verdict::Admitted);
    assert!(matches!(admit(&mut usage, low, 1, 0), Verdict::Refused { .. }));
    assert_eq!(usage.remaining(high, Micros(0)), 500);
}

/// 0.999999 units in use are 999.999 of the new rate's levels, and become 1,000.
#[test]
fn a_change_of_limits_rounds_up_what_is_in_use() {
    let old = Limit::of(Rate::new(1, 1_000_003).unwrap());
    let new = Limit::new(Rate::new(1, 1_000).unwrap(), 2).unwrap();
    let mut usage = Usage::unused(old);
    assert_eq!(admit(&mut usage, old, 1, 0), Verdict::Admitted);
    assert_eq!(admit(&mut usage, new, 1, 1), Verdict::Admitted);
    assert_eq!(admit(&mut usage, new, 1, 1), Verdict::Refused { wait: 1_000 });
}

#[test]
fn a_clock_that_goes_back_costs_at_most_the_time_of_one_burst() {
    let limit = limit("10/s;burst=3");
    let hour = 3_600 * SECOND;
    let mut usage = Usage::exhausted(limit, Micros(hour));
    assert_eq!(usage.bounded(Micros(hour)), usage);
    // Within a burst nothing changes.
    usage = usage.bounded(Micros(hour));
    assert_eq!(admit(&mut usage, limit, 1, hour - 10), Verdict::Refused { wait: 100_010 });
    usage = usage.bounded(Micros(10));
    assert_eq!(used(usage), used(Usage::exhausted(limit, Micros(10))));
    assert_eq!(admit(&mut usage, limit, 1, 10), Verdict::Refused { wait: 100_000 });
}

#[test]
fn the_end_of_time_is_no_overflow() {
    let limit = limit("1000000000/366d");
    let mut usage = Usage::unused(limit);
    assert_eq!(admit(&mut usage, limit, 1_000_000_000, u64::MAX), Verdict::Admitted);
    assert_eq!(usage.reset(Micros(u64::MAX)), 0);
    assert_eq!(used(usage.bounded(Micros(0))), used(Usage::exhausted(limit, Micros(0))));
}

#[test]
fn carried_units_leave_at_most_the_burst_in_use() {
    let limit = limit("10/s");
    let (verdict, usage) = Usage::unused(limit).charge(limit, 4, Micros(0));
    assert_eq!(verdict, Verdict::Admitted);
    assert_eq!(usage.carry(limit, 3, Micros(0)).in_use(Micros(0)), 7);
    assert_eq!(used(usage.carry(limit, 7, Micros(0))), used(Usage::exhausted(limit, Micros(0))));
    assert_eq!(used(usage.carry(limit, u64::MAX, Micros(0))), used(Usage::exhausted(limit, Micros(0))));
    assert_eq!(usage.carry(limit, 3, Micros(SECOND)).in_use(Micros(SECOND)), 3);
}

/// By the smaller burst of the earlier charge, 490 of the units in use would have come back.
#[test]
fn units_of_an_earlier_charge_give_nothing_back_after_a_change() {
    let (small, large) = (limit("10/s"), limit("1000/s"));
    let usage = Usage::unused(large).add(large, 500, Micros(0));
    let carried = usage.carry(small, 20, Micros(0));
    assert_eq!((carried.limit(), carried.in_use(Micros(0))), (large, 520));
    assert_eq!(Usage::unused(large).carry(small, 20, Micros(0)), Usage::exhausted(small, Micros(0)));
}

#[test]
fn a_usage_is_the_same_from_its_arrival() {
    let limit = limit("7/s;burst=3");
    let (_, usage) = Usage::unused(limit).charge(limit, 2, Micros(SECOND));
    let (micros, fraction) = usage.arrival();
    assert_eq!((micros, fraction), (Micros(SECOND + 285_714), 2));
    assert_eq!(Usage::arriving(limit, micros, fraction, usage.history()), Some(usage));
    assert_eq!(Usage::arriving(limit, micros, 7, usage.history()), None);
    assert_eq!((usage.in_use(Micros(SECOND)), usage.in_use(micros), usage.in_use(micros.after(1))), (2, 1, 0));
}

/// A key that had spent 10 a day waited over two hours under 1000 a second: a refusal kept the old rate.
#[test]
fn a_raised_rate_takes_force_with_the_first_refusal() {
    let (low, high) = (limit("10/d"), limit("1000/s;burst=10"));
    let mut usage = Usage::unused(low).carry(low, 10, Micros(0));
    assert_eq!(admit(&mut usage, high, 1, SECOND), Verdict::Refused { wait: 1_000 });
    assert_eq!(admit(&mut usage, high, 1, SECOND + 999), Verdict::Refused { wait: 1 });
    assert_eq!(admit(&mut usage, high, 1, SECOND + 1_000), Verdict::Admitted);
    // The larger of both bursts is kept, by which nothing in use is cut.
    let mut usage = Usage::unused(limit("100/d")).carry(limit("100/d"), 100, Micros(0));
    assert!(matches!(admit(&mut usage, high, 1, 0), Verdict::Refused { wait: 91_000 }));
    assert_eq!((usage.limit().burst(), usage.bounded(Micros(0)).in_use(Micros(0))), (100, 100));
}
