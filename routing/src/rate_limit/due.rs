//! The limits that one request falls under: values from its head, and charges once it is decided.

mod charge;
mod explain;
mod from_head;

use cellgate_limiting::{Charge, ConcurrencyCharge, KeyHasher, Limit, StoreCharge};

use super::Settlement;
use super::settlement::ResponseNeeds;
use crate::decider::{Decider, ScannedBody};
use crate::decision::{Decision, Outcome};
use crate::format::Format;
use crate::reason::Reason;
pub use explain::{ConcurrencyFinding, DueAllowance, LimitFinding, NotCounted};

/// The limits that a request may fall under, with their values from its head. Without limits in the configuration, or
/// for a request that none of them counts, it is empty and has allocated nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueLimits(Vec<DueLimit>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct DueLimit {
    /// The limit's place in the configuration: the concurrency limits follow the rate limits.
    index: usize,
    values: Vec<KeyValue>,
    /// The plan that the request names.
    plan: Option<String>,
    /// The limit that travels with the request, bounded.
    carried: Option<Limit>,
    cost: DueCost,
}

/// The value of a part of a limit's key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyValue {
    RoutingKey,
    Cell,
    Text(String),
    /// In the body, which is not read yet.
    InBody {
        format: Format,
        index: usize,
        otherwise: Option<Box<str>>,
    },
    /// The request has no value, so the limit does not count it.
    Missing,
    /// The request has a value that cannot be used. All such requests count together.
    Unusable,
}

/// The cost of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DueCost {
    Known(u64),
    /// In the body, which is not read yet.
    InBody {
        format: Format,
        index: usize,
        at_most: u64,
        otherwise: u64,
    },
}

impl DueLimits {
    /// Whether no limit counts the request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a limit needs a value from the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.0.iter().any(DueLimit::needs_body)
    }

    /// Whether a limit reads bodies of this format.
    pub(crate) fn reads(&self, wanted: Format) -> bool {
        self.0.iter().flat_map(DueLimit::places).any(|(format, _)| format == wanted)
    }

    /// Whether no byte to come can give a limit a usable value.
    #[must_use]
    pub fn are_settled(&self, body: ScannedBody<'_>) -> bool {
        self.0.iter().flat_map(DueLimit::places).all(|(format, index)| body.is_settled(format, index))
    }

    /// Takes the values from the body. `is_whole`: all of it was scanned. Otherwise a value that was not found may follow, and
    /// is unusable.
    pub fn read_body(&mut self, body: ScannedBody<'_>, is_whole: bool) {
        for due in &mut self.0 {
            due.read_body(&|format, index| body.value(format, index), is_whole);
        }
    }

    /// No body is read: it has another format than the sources.
    pub fn read_no_body(&mut self) {
        for due in &mut self.0 {
            due.read_body(&|_, _| None, true);
        }
    }

    /// Whether limits count a request with this decision at all.
    #[must_use]
    pub fn may_count(&self, decision: Decision) -> bool {
        !self.0.is_empty() && is_counted(decision)
    }

    /// Whether a limit counts the request with this decision and routing key.
    #[must_use]
    pub fn count(&self, decider: &Decider, decision: Decision, key: Option<&str>) -> bool {
        let counts = |due: &DueLimit| {
            due.counts_in_flight(decider, decision, key) || due.limit(decider, decision, key).is_some()
        };
        is_counted(decision) && self.0.iter().any(counts)
    }

    /// The parts of the response that the limits may need, whatever the decision will be.
    #[must_use]
    pub fn response_needs(&self, decider: &Decider) -> ResponseNeeds {
        let limits = &decider.config().rate_limits;
        let needs = |due: &DueLimit| match limits.get(due.index) {
            Some(rule) => rule.settlement.as_ref().map(Settlement::needs).unwrap_or_default(),
            // It is a concurrency limit.
            None => ResponseNeeds { headers: false, end: true },
        };
        self.0.iter().map(needs).fold(ResponseNeeds::default(), ResponseNeeds::and)
    }

    /// The charges of concurrency limits for the request with this decision and routing key.
    #[must_use]
    pub fn concurrency_charges(
        &self,
        decider: &Decider,
        decision: Decision,
        key: Option<&str>,
        hasher: &KeyHasher,
    ) -> Vec<ConcurrencyCharge> {
        if !is_counted(decision) {
            return Vec::new();
        }
        let charge = |due: &DueLimit| due.concurrency_charge(decider, decision, key, hasher);
        self.0.iter().filter_map(charge).collect()
    }

    /// The charges of a request that [counts](Self::count), if filters may spend leased units for each of them. Only the service
    /// counts requests in flight.
    #[must_use]
    pub fn leased_charges(
        &self,
        decider: &Decider,
        decision: Decision,
        key: Option<&str>,
        hasher: &KeyHasher,
    ) -> Option<Vec<Charge>> {
        let limits = &decider.config().rate_limits;
        let mut charges = Vec::with_capacity(self.0.len());
        for due in &self.0 {
            if due.counts_in_flight(decider, decision, key) {
                return None;
            }
            let Some(StoreCharge { charge, .. }) = due.charge(decider, decision, key, hasher) else { continue };
            if !limits.get(due.index)?.is_leased {
                return None;
            }
            charges.push(charge);
        }
        Some(charges)
    }

    /// The charges of the request with this decision and routing key.
    #[must_use]
    pub fn charges(
        &self,
        decider: &Decider,
        decision: Decision,
        key: Option<&str>,
        hasher: &KeyHasher,
    ) -> Vec<StoreCharge> {
        if !is_counted(decision) {
            return Vec::new();
        }
        let charge = |due: &DueLimit| due.charge(decider, decision, key, hasher);
        self.0.iter().filter_map(charge).collect()
    }
}

impl DueLimit {
    fn needs_body(&self) -> bool {
        self.places().next().is_some()
    }

    /// The places of its values in the body.
    fn places(&self) -> impl Iterator<Item = (Format, usize)> {
        let of_cost = match self.cost {
            DueCost::InBody { format, index, .. } => Some((format, index)),
            DueCost::Known(_) => None,
        };
        let of_key = self.values.iter().filter_map(|value| match value {
            KeyValue::InBody { format, index, .. } => Some((*format, *index)),
            _ => None,
        });
        of_key.chain(of_cost)
    }

    fn read_body<'a>(&mut self, find: &dyn Fn(Format, usize) -> Option<Result<&'a str, Reason>>, is_whole: bool) {
        for value in &mut self.values {
            let KeyValue::InBody { format, index, otherwise } = value else { continue };
            *value = match (find(*format, *index), otherwise.take()) {
                (Some(Ok(text)), _) => KeyValue::Text(text.to_owned()),
                (Some(Err(_)), _) => KeyValue::Unusable,
                (None, _) if !is_whole => KeyValue::Unusable,
                (None, Some(otherwise)) => KeyValue::Text(otherwise.into()),
                (None, None) => KeyValue::Missing,
            };
        }
        if let DueCost::InBody { format, index, at_most, otherwise } = self.cost {
            self.cost = DueCost::Known(number_or(find(format, index).and_then(Result::ok), at_most, otherwise));
        }
    }
}

/// Whether limits count a request with this decision. Not if it goes nowhere, if Cellgate leaves it alone, or if the
/// Cellgate of a peer has counted it.
fn is_counted(Decision { outcome, reason }: Decision) -> bool {
    match outcome {
        Outcome::Cell(_) => reason != Reason::DecidedBefore,
        Outcome::Pass => !matches!(
            reason,
            Reason::HostExcluded
                | Reason::MethodExcluded
                | Reason::PathExcluded
                | Reason::Excepted
                | Reason::Preflight
                | Reason::Upgrade
        ),
        Outcome::Reject(_) | Outcome::Defer => false,
    }
}

/// The cost in a text, at most `at_most`. At least one unit: a limit admits a cost of 0 whatever is in use, so a client that
/// writes 0 would escape it.
fn number_or(text: Option<&str>, at_most: u64, otherwise: u64) -> u64 {
    text.and_then(whole_number).map_or(otherwise, |number| number.min(at_most).max(1))
}

/// A number in digits only. One with more than 64 bits is the largest.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_written_in_digits() {
        assert_eq!(whole_number("007"), Some(7));
        assert_eq!(whole_number("99999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "+1", "1.5", "1e3", " 1", "٣"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
