//! Envoy's units of time for rates.

use cellgate_limiting::{Rate, SECOND};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::RateLimit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;

const DAY: u64 = 24 * 60 * 60 * SECOND;

/// The units in ascending order, in microseconds. A month has 30 days and a year 365, as in Envoy.
const UNITS: [(Unit, u64); 7] = [
    (Unit::Second, SECOND),
    (Unit::Minute, 60 * SECOND),
    (Unit::Hour, 60 * 60 * SECOND),
    (Unit::Day, DAY),
    (Unit::Week, 7 * DAY),
    (Unit::Month, 30 * DAY),
    (Unit::Year, 365 * DAY),
];

/// The length of a unit. `None` if it is unknown. The numbers are the same in calls and in answers.
pub(super) fn unit_micros(number: i32) -> Option<u64> {
    UNITS.iter().find(|(unit, _)| *unit as i32 == number).map(|(_, micros)| *micros)
}

/// A rate as requests for one unit: the shortest unit, of those that are at least as long as the period, of which it is a
/// whole number. If there is none, the shortest of them, with the number rounded down, and at least 1.
pub(super) fn in_units(rate: Rate, name: &str) -> RateLimit {
    let requests = |micros: u64| u128::from(rate.count()) * u128::from(micros);
    let period = u128::from(rate.period());
    let mut units = UNITS.iter().filter(|(_, micros)| u128::from(*micros) >= period);
    let exact = units.clone().find(|(_, micros)| requests(*micros) % period == 0);
    let (unit, micros) = exact.or_else(|| units.next()).copied().unwrap_or((Unit::Year, 365 * DAY));
    let number = u32::try_from(requests(micros) / period).unwrap_or(u32::MAX).max(1);
    RateLimit { name: name.to_owned(), requests_per_unit: number, unit: unit.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_limiting::{Limit, MAX_PERIOD, MAX_UNITS, MIN_PERIOD};

    #[test]
    fn a_rate_is_a_whole_number_in_the_shortest_unit_that_has_one() {
        for (limit, requests, unit) in [
            ("10/s", 10, Unit::Second),
            ("100/min", 100, Unit::Minute),
            ("5/2h", 60, Unit::Day),
            ("1/500ms", 2, Unit::Second),
            ("143/1500ms", 5720, Unit::Minute),
            ("1/7d", 1, Unit::Week),
            ("7/11h", 15, Unit::Day),
            ("3/365d", 3, Unit::Year),
            ("1/366d", 1, Unit::Year),
            ("3/8d", 11, Unit::Month),
        ] {
            let rate = limit.parse::<Limit>().unwrap().rate();
            let expected = RateLimit { name: "a".into(), requests_per_unit: requests, unit: unit.into() };
            assert_eq!(in_units(rate, "a"), expected, "{limit}");
        }
    }

    #[test]
    fn the_extremes_saturate() {
        assert_eq!(in_units(Rate::new(MAX_UNITS, MIN_PERIOD).unwrap(), "").requests_per_unit, u32::MAX);
        assert_eq!(in_units(Rate::new(1, MAX_PERIOD).unwrap(), "").requests_per_unit, 1);
    }

    #[test]
    fn the_units_of_calls_are_known_by_their_numbers() {
        use envoy_types::pb::envoy::r#type::v3::RateLimitUnit;
        assert_eq!(unit_micros(RateLimitUnit::Hour.into()), Some(3_600_000_000));
        assert_eq!(unit_micros(RateLimitUnit::Year.into()), Some(365 * DAY));
        assert_eq!(unit_micros(Unit::Week.into()), Some(7 * DAY));
        for number in [0, 8, -1, i32::MAX] {
            assert_eq!(unit_micros(number), None, "{number}");
        }
    }
}
