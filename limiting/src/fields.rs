//! The response fields `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10.
//!
//! Both are Lists of Structured Fields (RFC 9651) with an item for each enforced limit. Limits in shadow mode are in neither.

use std::cmp::Reverse;
use std::fmt::Write;

use crate::decision::{Decision, Outcome};
use crate::key::LimitId;
use crate::time::SECOND;
use crate::usage::Verdict;

/// The values of `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, which no standard defines. They are those
/// of one limit: the one that refuses with the longest wait, or has the least left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XRateLimit {
    /// The most units at once: the burst.
    pub limit: u32,
    /// The units that are left.
    pub remaining: u32,
    /// Seconds, rounded up: the wait if the limit refuses, and otherwise the time until the allowance is full.
    pub reset: u64,
}

impl Decision {
    /// The values of the `X-RateLimit` fields. `None` without an enforced limit.
    #[must_use]
    pub fn x_rate_limit(&self) -> Option<XRateLimit> {
        let enforced = self.outcomes().iter().filter(|outcome| outcome.is_enforced());
        let wait = |outcome: &Outcome| match outcome.verdict() {
            Verdict::Never => u64::MAX,
            Verdict::Refused { wait } => wait,
            Verdict::Admitted => 0,
        };
        // As `Retry-After`, a refusal names the longest wait.
        let tightest = enforced.min_by_key(|outcome| (Reverse(wait(outcome)), outcome.remaining()))?;
        let (limit, remaining) = (tightest.limit().burst(), tightest.remaining());
        Some(XRateLimit { limit, remaining, reset: seconds(tightest) })
    }

    /// The value of `RateLimit`: `"tenant";r=99;t=1`. `r` is the number of units that are left. `t` is in seconds, rounded up:
    /// the wait if the limit refuses, and otherwise the time until the allowance is full. `None` without an enforced limit.
    ///
    /// `name` gives the name of a limit.
    #[must_use]
    pub fn rate_limit_field<'a>(&self, name: impl Fn(LimitId) -> &'a str) -> Option<String> {
        self.list(name, |item, outcome| {
            // Writing to a `String` does not fail.
            let _ = write!(item, ";r={};t={}", outcome.remaining(), seconds(outcome));
        })
    }

    /// The value of `RateLimit-Policy`: `"tenant";q=100;w=60`. `q` is the count of the rate and `w` its period in seconds,
    /// which is left out if it is not a whole number of them. If the burst differs from the count, it is `cellgate-burst`.
    /// `None` without an enforced limit.
    ///
    /// `name` gives the name of a limit.
    #[must_use]
    pub fn policy_field<'a>(&self, name: impl Fn(LimitId) -> &'a str) -> Option<String> {
        self.list(name, |item, outcome| {
            let (rate, burst) = (outcome.limit().rate(), outcome.limit().burst());
            let _ = write!(item, ";q={}", rate.count());
            if rate.period().is_multiple_of(SECOND) {
                let _ = write!(item, ";w={}", rate.period() / SECOND);
            }
            if burst != rate.count() {
                let _ = write!(item, ";cellgate-burst={burst}");
            }
        })
    }

    fn list<'a>(
        &self,
        name: impl Fn(LimitId) -> &'a str,
        write_parameters: impl Fn(&mut String, &Outcome),
    ) -> Option<String> {
        let mut list = String::new();
        for (place, outcome) in self.outcomes().iter().enumerate() {
            if !outcome.is_enforced() || self.has_tighter(place, outcome) {
                continue;
            }
            if !list.is_empty() {
                list.push_str(", ");
            }
            push_string(&mut list, name(outcome.id()));
            write_parameters(&mut list, outcome);
        }
        (!list.is_empty()).then_some(list)
    }

    /// Whether another outcome of the same limit, with another key, has less left. The draft allows one item for a name.
    fn has_tighter(&self, place: usize, outcome: &Outcome) -> bool {
        let order = |place: usize, outcome: &Outcome| (!outcome.refuses(), outcome.remaining(), place);
        let same = |other: &Outcome| other.is_enforced() && other.id() == outcome.id();
        let mut others = self.outcomes().iter().enumerate().filter(|(_, other)| same(other));
        others.any(|(other_place, other)| order(other_place, other) < order(place, outcome))
    }
}

/// The seconds until the limit admits, or until its allowance is full.
fn seconds(outcome: &Outcome) -> u64 {
    let micros = match outcome.verdict() {
        Verdict::Refused { wait } => wait,
        Verdict::Admitted | Verdict::Never => outcome.reset(),
    };
    micros.div_ceil(SECOND)
}

/// Writes a String of RFC 9651. It has no characters but printable ASCII ones, so others become `?`.
fn push_string(list: &mut String, name: &str) {
    list.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => list.extend(['\\', character]),
            ' '..='~' => list.push(character),
            _ => list.push('?'),
        }
    }
    list.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charge::{Charge, Enforcement};
    use crate::key::LimitKey;
    use crate::store::EmbeddedStore;
    use crate::time::Micros;

    const NAMES: [&str; 3] = ["tenant", "a \"cell\"\\ü", "measured"];

    fn charge(id: u16, key: u64, limit: &str) -> Charge {
        let enforcement = if id == 2 { Enforcement::Shadow } else { Enforcement::Enforce };
        let key = LimitKey { high: key, low: key };
        Charge { id: LimitId(id), key, limit: limit.parse().unwrap(), cost: 1, enforcement }
    }

    fn fields(decision: &Decision) -> (Option<String>, Option<String>) {
        let name = |id: LimitId| NAMES[usize::from(id.0)];
        (decision.rate_limit_field(name), decision.policy_field(name))
    }

    fn texts(rate_limit: &str, policy: &str) -> (Option<String>, Option<String>) {
        (Some(rate_limit.to_owned()), Some(policy.to_owned()))
    }

    #[test]
    fn each_enforced_limit_has_an_item() {
        let store = EmbeddedStore::new(100);
        let charges = [charge(0, 0, "100/min"), charge(1, 1, "2/1500ms;burst=1"), charge(2, 2, "1/d")];
        let policy = r#""tenant";q=100;w=60, "a \"cell\"\\?";q=2;cellgate-burst=1"#;
        let decision = store.charge(&charges, Micros(0)).unwrap();
        assert_eq!(fields(&decision), texts(r#""tenant";r=99;t=1, "a \"cell\"\\?";r=0;t=1"#, policy));
    }

    #[test]
    fn the_time_of_a_refusal_is_that_of_retry_after() {
        let store = EmbeddedStore::new(100);
        let charges = [charge(0, 0, "10/min;burst=3")];
        for _ in 0..3 {
            assert!(store.charge(&charges, Micros(0)).unwrap().is_admitted());
        }
        let decision = store.charge(&charges, Micros(1)).unwrap();
        assert_eq!(decision.retry_after(), Some(6));
        assert_eq!(fields(&decision), texts(r#""tenant";r=0;t=6"#, r#""tenant";q=10;w=60;cellgate-burst=3"#));
        // Full again after 18 s, of which 6 are over.
        let decision = store.charge(&charges, Micros(6 * SECOND)).unwrap();
        assert_eq!(fields(&decision).0.as_deref(), Some(r#""tenant";r=0;t=18"#));
    }

    #[test]
    fn a_limit_that_a_request_has_twice_has_one_item_with_what_is_less() {
        let store = EmbeddedStore::new(100);
        assert!(store.charge(&[charge(0, 1, "100/min")], Micros(0)).unwrap().is_admitted());
        for keys in [[0, 1], [1, 2]] {
            let charges = keys.map(|key| charge(0, key, "100/min"));
            let expected = if keys[0] == 0 { r#""tenant";r=98;t=2"# } else { r#""tenant";r=97;t=2"# };
            let decision = store.charge(&charges, Micros(0)).unwrap();
            assert_eq!(fields(&decision).0.as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_fields_without_a_standard_are_those_of_the_limit_with_the_least_left() {
        let store = EmbeddedStore::new(100);
        let charges = [charge(0, 0, "100/min"), charge(1, 1, "2/s;burst=5"), charge(2, 2, "1/d")];
        let decision = store.charge(&charges, Micros(0)).unwrap();
        assert_eq!(decision.x_rate_limit(), Some(XRateLimit { limit: 5, remaining: 4, reset: 1 }));
        let refused = [charge(0, 3, "1/min"), charge(1, 4, "1/h")];
        assert!(store.charge(&refused[..1], Micros(0)).unwrap().is_admitted());
        let decision = store.charge(&refused, Micros(0)).unwrap();
        assert_eq!(decision.x_rate_limit(), Some(XRateLimit { limit: 1, remaining: 0, reset: 60 }));
        assert!(store.charge(&refused[1..], Micros(0)).unwrap().is_admitted());
        let decision = store.charge(&refused, Micros(0)).unwrap();
        assert_eq!(decision.x_rate_limit().map(|fields| fields.reset), decision.retry_after());
    }

    #[test]
    fn without_an_enforced_limit_there_are_no_fields() {
        let store = EmbeddedStore::new(100);
        assert_eq!(store.charge(&[charge(2, 2, "1/d")], Micros(0)).unwrap().x_rate_limit(), None);
        assert_eq!(fields(&store.charge(&[], Micros(0)).unwrap()), (None, None));
        assert_eq!(fields(&store.charge(&[charge(2, 2, "1/d")], Micros(0)).unwrap()), (None, None));
    }
}
