//! GCRA against a log of everything that was admitted: the two agree on each request, exactly.

use cellgate_limiting::{ChargePoint, Limit, MAX_PERIOD, MAX_UNITS, Micros, Rate, SECOND, Usage, Verdict};
use proptest::prelude::*;

/// Admits a cost if afterwards no span of time that ends now has more than `burst + rate × span` units.
struct SlidingLog {
    limit: Limit,
    admitted: Vec<(u64, u64)>,
}

impl SlidingLog {
    /// The units that fit at a moment, times the period.
    fn room(&self, now: u64) -> i128 {
        let (count, period) = (i128::from(self.limit.rate().count()), i128::from(self.limit.rate().period()));
        let mut room = i128::from(self.limit.burst()) * period;
        let mut units = 0;
        for (time, cost) in self.admitted.iter().rev() {
            units += i128::from(*cost);
            let allowed = i128::from(self.limit.burst()) * period + i128::from(now - time) * count;
            room = room.min(allowed - units * period);
        }
        room
    }

    fn admit(&mut self, cost: u64, now: u64) -> bool {
        let fits = i128::from(cost) * i128::from(self.limit.rate().period()) <= self.room(now);
        if fits && cost > 0 {
            self.admitted.push((now, cost));
        }
        fits || cost == 0
    }
}

/// Limits of all sizes, also at the bounds.
fn limits() -> impl Strategy<Value = Limit> {
    let count = prop_oneof![1..20_u64, 1..=MAX_UNITS, Just(MAX_UNITS)];
    let period = prop_oneof![Just(SECOND), Just(60 * SECOND), 1_000..10 * SECOND, 1_000..=MAX_PERIOD];
    let burst = prop_oneof![1..10_u64, 1..=MAX_UNITS];
    (count, period, burst).prop_filter_map("refills in time", |(count, period, burst)| {
        Limit::new(Rate::new(count, period).ok()?, burst).ok()
    })
}

/// Pauses in parts of the time of one unit, so that requests come near the moment when one fits.
fn traces() -> impl Strategy<Value = (Limit, Vec<(u64, u64)>)> {
    let pause = prop_oneof![Just(0_u64), 0..300_u64, 0..100_000_u64];
    let cost = prop_oneof![4 => Just(1_u64), 2 => 0..5_u64, 1 => Just(u64::MAX), 1 => 1..=MAX_UNITS];
    (limits(), prop::collection::vec((pause, cost), 1..80)).prop_map(|(limit, steps)| {
        let unit = limit.rate().period().div_ceil(u64::from(limit.rate().count()));
        let steps = steps.into_iter().map(|(percent, cost)| (unit.saturating_mul(percent) / 100, cost)).collect();
        (limit, steps)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn each_request_is_decided_as_by_the_log((limit, steps) in traces(), start in 0..1_u64 << 50) {
        let mut log = SlidingLog { limit, admitted: Vec::new() };
        let mut usage = Usage::unused(limit);
        let mut now = start;
        for (pause, cost) in steps {
            now += pause;
            let (verdict, after) = usage.charge(limit, cost, Micros(now));
            prop_assert_eq!(verdict == Verdict::Admitted, log.admit(cost, now), "{} at {}", cost, now);
            prop_assert_eq!(after.bounded(Micros(now)), after);
            usage = after;
            let left = log.room(now) / i128::from(limit.rate().period());
            prop_assert_eq!(i128::from(usage.remaining(limit, Micros(now))), left);
        }
    }

    #[test]
    fn a_wait_is_exact((limit, steps) in traces()) {
        let mut usage = Usage::unused(limit);
        let mut now = 0;
        for (pause, cost) in steps {
            now += pause;
            let (verdict, after) = usage.charge(limit, cost, Micros(now));
            if let Verdict::Refused { wait } = verdict {
                prop_assert_eq!(usage.charge(limit, cost, Micros(now + wait)).0, Verdict::Admitted);
                prop_assert_eq!(usage.charge(limit, cost, Micros(now + wait - 1)).0, Verdict::Refused { wait: 1 });
            }
            prop_assert!(after.is_unused(Micros(now + after.reset(Micros(now)))));
            prop_assert!(after.reset(Micros(now)) == 0 || !after.is_unused(Micros(now + after.reset(Micros(now)) - 1)));
            usage = after;
        }
    }

    /// The limit changes between requests. From each change on, the new limit holds for itself, and waits stay exact.
    #[test]
    fn a_change_of_limits_neither_admits_more_nor_gives_units_back(
        limits in prop::collection::vec(limits(), 2..4),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..SECOND, 1..20_u64), 1..60),
    ) {
        let mut usage = Usage::unused(limits[0]);
        let mut log = SlidingLog { limit: limits[0], admitted: Vec::new() };
        let mut now = 0;
        for (index, pause, cost) in steps {
            let limit = *index.get(&limits);
            now += pause;
            if limit != log.limit {
                log = SlidingLog { limit, admitted: Vec::new() };
            }
            let (verdict, after) = usage.charge(limit, cost, Micros(now));
            match verdict {
                Verdict::Admitted => {
                    prop_assert!(log.admit(cost, now));
                    // Converted units round up, by less than one.
                    let (before, left) = (usage.remaining(limit, Micros(now)), after.remaining(limit, Micros(now)));
                    prop_assert!(u64::from(before) - cost >= u64::from(left));
                    prop_assert!(u64::from(before) - cost <= u64::from(left) + 1);
                }
                Verdict::Refused { wait } => {
                    prop_assert_eq!(after.charge(limit, cost, Micros(now + wait)).0, Verdict::Admitted);
                    prop_assert_eq!(after.charge(limit, cost, Micros(now + wait - 1)).0, Verdict::Refused { wait: 1 });
                    if limit.rate().exceeds(usage.limit().rate()) {
                        prop_assert_eq!(after.limit().rate(), limit.rate());
                        prop_assert_eq!(after.in_use(Micros(now)), usage.in_use(Micros(now)));
                    } else {
                        prop_assert_eq!(after, usage);
                    }
                }
                Verdict::Never => prop_assert!(cost > u64::from(limit.burst())),
            }
            usage = after;
        }
    }

    /// A refund takes a charge out of the log, or less: what is admitted afterwards is within the limit without it.
    #[test]
    fn a_refund_gives_back_no_more_than_the_charge(
        (limit, steps) in traces(),
        refunds in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 80),
    ) {
        let mut log = SlidingLog { limit, admitted: Vec::new() };
        let mut points = Vec::new();
        let mut usage = Usage::unused(limit);
        let mut now = 0;
        for ((pause, cost), refund) in steps.into_iter().zip(refunds) {
            now += pause;
            let (verdict, after) = usage.charge(limit, cost, Micros(now));
            if verdict == Verdict::Admitted {
                prop_assert!(log.admit(cost, now), "{} at {}", cost, now);
                if cost > 0 {
                    points.push(after.point(Micros(now)));
                }
                for point in [after.point(Micros(now)), ChargePoint::at(Micros(now))] {
                    let (back, refunded) = after.refund(cost, point, Micros(now));
                    let left = usage.remaining(limit, Micros(now));
                    prop_assert_eq!((back, refunded.remaining(limit, Micros(now))), (cost, left));
                }
            }
            usage = after;
            if let Some(index) = refund && !log.admitted.is_empty() {
                let index = index.index(log.admitted.len());
                let ((_, cost), point) = (log.admitted.remove(index), points.remove(index));
                usage = usage.refund(cost, point, Micros(now)).1;
            }
        }
    }

    /// Any numbers, and a clock that jumps: no panic, and no more than a burst at any moment.
    #[test]
    fn no_clock_admits_more_than_a_burst_at_one_moment(
        limit in limits(),
        moments in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u64>(), 1..5)), 1..20),
    ) {
        let mut usage = Usage::unused(limit);
        for (now, costs) in moments {
            let mut admitted = 0;
            usage = usage.bounded(Micros(now));
            for cost in costs.into_iter().chain([1, u64::from(limit.burst())]) {
                let (verdict, after) = usage.charge(limit, cost, Micros(now));
                admitted += if verdict == Verdict::Admitted { cost } else { 0 };
                usage = after;
            }
            prop_assert!(admitted <= u64::from(limit.burst()) || now.checked_add(MAX_PERIOD).is_none());
            prop_assert!(usage.reset(Micros(now)) <= MAX_PERIOD);
        }
    }
}

#[test]
fn any_numbers_are_a_limit_or_have_a_reason() {
    proptest!(|(count in any::<u64>(), period in any::<u64>(), burst in any::<u64>(), text in "[0-9/;a-z=+-]{0,70}")| {
        let rate = Rate::new(count, period);
        prop_assert_eq!(rate.is_ok(), (1..=MAX_UNITS).contains(&count) && (1_000..=MAX_PERIOD).contains(&period));
        if let Ok(rate) = rate {
            let _ = Limit::new(rate, burst);
        }
        let _ = text.parse::<Limit>();
    });
}
