//! The limits that one request falls under: values from its head, and charges once it is decided.

mod explain;

use cellgate_limiting::{Charge, ConcurrencyCharge, KeyHasher, Limit, LimitId, LimitKey, StoreCharge};

use super::settlement::ResponseNeeds;
use super::{CostRule, LimitKeyPart, RateLimit, Settlement, key_of};
use crate::action::CellId;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::decider::{Decider, ScannedBody};
use crate::decision::{Decision, Outcome};
use crate::format::Format;
use crate::head::Head;
use crate::media::content_length;
use crate::reason::Reason;
use crate::scope::{is_normalised, path_of};
use crate::source::Source;
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

impl Decider {
    /// The limits that a request may fall under. The caller must have removed inbound routing and internal headers.
    /// `end_of_stream` means that no body follows.
    #[must_use]
    pub fn due_limits<H: Head + ?Sized>(&self, head: &H, end_of_stream: bool) -> DueLimits {
        let config = self.config();
        let rates = config.rate_limits.iter().enumerate();
        let rates = rates.filter_map(|(index, limit)| self.due_limit(index, limit, head, end_of_stream));
        let concurrency = (config.rate_limits.len()..).zip(&config.concurrency_limits);
        let concurrency = concurrency.filter_map(|(index, limit)| {
            limit.scope.check_every_spelling(head).ok()?;
            let values = self.key_values(&limit.key, head, end_of_stream)?;
            Some(DueLimit { index, values, plan: None, carried: None, cost: DueCost::Known(1) })
        });
        DueLimits(rates.chain(concurrency).collect())
    }

    fn due_limit<H: Head + ?Sized>(
        &self,
        index: usize,
        limit: &RateLimit,
        head: &H,
        end_of_stream: bool,
    ) -> Option<DueLimit> {
        limit.scope.check_every_spelling(head).ok()?;
        let values = self.key_values(&limit.key, head, end_of_stream)?;
        let claim = |source: &Source| self.limit_value(source, head)?.ok();
        let carried = limit.limit_from.as_ref().and_then(|carried| {
            let limit: Limit = claim(&carried.source)?.parse().ok()?;
            Some(limit.at_most(carried.at_most))
        });
        let plan = limit.plan_from.as_ref().and_then(claim);
        Some(DueLimit { index, values, plan, carried, cost: self.cost(&limit.cost, head, end_of_stream) })
    }

    /// The values of a key, and `None` if the request has not all of them.
    fn key_values<H: Head + ?Sized>(
        &self,
        key: &[LimitKeyPart],
        head: &H,
        end_of_stream: bool,
    ) -> Option<Vec<KeyValue>> {
        key.iter().map(|part| self.key_value(part, head, end_of_stream)).collect()
    }

    /// The value of a part, and `None` if the request has none.
    fn key_value<H: Head + ?Sized>(&self, part: &LimitKeyPart, head: &H, end_of_stream: bool) -> Option<KeyValue> {
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => KeyValue::Text(text.to_owned()),
            Err(_) => KeyValue::Unusable,
        };
        match part {
            LimitKeyPart::RoutingKey => Some(KeyValue::RoutingKey),
            LimitKeyPart::Cell => Some(KeyValue::Cell),
            LimitKeyPart::Method => head.first(":method").map(text),
            LimitKeyPart::Peer => head.peer().as_deref().map(text),
            LimitKeyPart::ClientAddress => head.client_address().as_deref().map(|address| text(without_port(address))),
            LimitKeyPart::Path { templates, otherwise } => {
                let path = path_of(head);
                let found = templates.iter().find_map(|template| Some((template, template.matches(path)?)));
                match (found, otherwise) {
                    // Dot segments and slashes can make a path of one template look like one of another.
                    (Some((_, Err(_))), _) if !is_normalised(path) => Some(KeyValue::Unusable),
                    // Another case or encoding, which only some servers take for such a path, has its allowance.
                    (Some((template, _)), _) => Some(KeyValue::Text(template.to_string())),
                    (None, Some(otherwise)) => Some(KeyValue::Text(otherwise.to_string())),
                    (None, None) => None,
                }
            }
            LimitKeyPart::Value { source, otherwise } if source.format().is_some() && !end_of_stream => {
                let (format, index) = self.limit_place(source)?;
                Some(KeyValue::InBody { format, index, otherwise: otherwise.clone() })
            }
            LimitKeyPart::Value { source, otherwise } => match (self.limit_value(source, head), otherwise) {
                (Some(Ok(value)), _) => Some(KeyValue::Text(value)),
                (Some(Err(_)), _) => Some(KeyValue::Unusable),
                (None, Some(otherwise)) => Some(KeyValue::Text(otherwise.to_string())),
                (None, None) => None,
            },
        }
    }

    fn cost<H: Head + ?Sized>(&self, rule: &CostRule, head: &H, end_of_stream: bool) -> DueCost {
        DueCost::Known(match rule {
            CostRule::Fixed(cost) => *cost,
            CostRule::ContentLength { unit_bytes, otherwise } => match content_length(head) {
                Some(length) => length.div_ceil((*unit_bytes).max(1)).max(1),
                None if end_of_stream => 1,
                None => *otherwise,
            },
            CostRule::Number { source, at_most, otherwise } => {
                let place = if end_of_stream { None } else { self.limit_place(source) };
                if let Some((format, index)) = place {
                    return DueCost::InBody { format, index, at_most: *at_most, otherwise: *otherwise };
                }
                let value = self.limit_value(source, head).and_then(Result::ok);
                number_or(value.as_deref(), *at_most, *otherwise)
            }
        })
    }
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

    /// The limit of the request's key. `None`: the limit does not count the request.
    fn limit(&self, decider: &Decider, decision: Decision, key: Option<&str>) -> Option<Limit> {
        let rule = decider.config().rate_limits.get(self.index)?;
        let only = self.planned_value(&rule.cells, decider, decision, key).ok()?;
        let limit = rule.plans.limit(only, self.carried, self.plan.as_deref());
        if self.is_unusable() { rule.plans.lowest(limit) } else { limit }
    }

    /// Whether the only part of the key, by which keys have limits of their own, is not known.
    fn is_unusable(&self) -> bool {
        matches!(self.values.as_slice(), [KeyValue::Unusable | KeyValue::InBody { .. }])
    }

    /// The value by which the key has a plan: that of its only part. Empty if it has several parts. `cells` are those whose
    /// requests the limit counts.
    ///
    /// # Errors
    /// Why the limit does not count the request.
    fn planned_value<'a>(
        &'a self,
        cells: &[CellId],
        decider: &'a Decider,
        decision: Decision,
        key: Option<&'a str>,
    ) -> Result<&'a str, NotCounted> {
        let cell = cell(decision);
        if !cells.is_empty() && !cell.is_some_and(|cell| cells.contains(&cell)) {
            return Err(NotCounted::OtherCell);
        }
        for (place, value) in self.values.iter().enumerate() {
            let is_there = match value {
                KeyValue::RoutingKey => key.is_some(),
                KeyValue::Cell => cell.is_some(),
                KeyValue::Missing => false,
                KeyValue::Text(_) | KeyValue::InBody { .. } | KeyValue::Unusable => true,
            };
            if !is_there {
                return Err(NotCounted::NoValue(place));
            }
        }
        Ok(match self.values.as_slice() {
            [KeyValue::RoutingKey] => key.unwrap_or_default(),
            [KeyValue::Cell] => cell.map_or("", |cell| decider.config().cell_name(cell)),
            [KeyValue::Text(text)] => text,
            _ => "",
        })
    }

    /// The values of the key. `None` is an unusable one.
    fn texts<'a>(&'a self, cell: &'a str, key: Option<&'a str>) -> impl Iterator<Item = Option<&'a str>> {
        self.values.iter().map(move |value| match value {
            KeyValue::RoutingKey => Some(key.unwrap_or_default()),
            KeyValue::Cell => Some(cell),
            KeyValue::Text(text) => Some(text.as_str()),
            // A body that was not read may have any value.
            KeyValue::InBody { .. } | KeyValue::Missing | KeyValue::Unusable => None,
        })
    }

    fn cost(&self) -> u64 {
        match self.cost {
            DueCost::Known(cost) => cost,
            DueCost::InBody { otherwise, .. } => otherwise,
        }
    }

    fn charge(
        &self,
        decider: &Decider,
        decision: Decision,
        key: Option<&str>,
        hasher: &KeyHasher,
    ) -> Option<StoreCharge> {
        let limit = self.limit(decider, decision, key)?;
        let rule = decider.config().rate_limits.get(self.index)?;
        // There are at most `MAX_RATE_LIMITS`.
        let id = LimitId(u16::try_from(self.index).unwrap_or(u16::MAX));
        let key = self.limit_key(&rule.name, decider, decision, key, hasher);
        let charge = Charge { id, key, limit, cost: self.cost(), enforcement: rule.enforcement };
        Some(StoreCharge { charge, when_store_fails: rule.when_store_fails })
    }

    /// The concurrency limit, and its place among those. `None`: it is a rate limit.
    fn concurrency_limit<'a>(&self, decider: &'a Decider) -> Option<(usize, &'a ConcurrencyLimit)> {
        let config = decider.config();
        let index = self.index.checked_sub(config.rate_limits.len())?;
        Some((index, config.concurrency_limits.get(index)?))
    }

    /// Whether it is a concurrency limit, and counts the request.
    fn counts_in_flight(&self, decider: &Decider, decision: Decision, key: Option<&str>) -> bool {
        let limit = self.concurrency_limit(decider);
        limit.is_some_and(|(_, limit)| self.planned_value(&limit.cells, decider, decision, key).is_ok())
    }

    fn concurrency_charge(
        &self,
        decider: &Decider,
        decision: Decision,
        key: Option<&str>,
        hasher: &KeyHasher,
    ) -> Option<ConcurrencyCharge> {
        let (index, limit) = self.concurrency_limit(decider)?;
        self.planned_value(&limit.cells, decider, decision, key).ok()?;
        let key = self.limit_key(&limit.name, decider, decision, key, hasher);
        // There are at most `MAX_CONCURRENCY_LIMITS`.
        let id = LimitId(u16::try_from(index).unwrap_or(u16::MAX));
        Some(ConcurrencyCharge { id, key, at_most: limit.at_most, enforcement: limit.enforcement })
    }

    fn limit_key(
        &self,
        name: &str,
        decider: &Decider,
        decision: Decision,
        key: Option<&str>,
        hasher: &KeyHasher,
    ) -> LimitKey {
        let cell = cell(decision).map_or("", |cell| decider.config().cell_name(cell));
        key_of(name, self.texts(cell, key), hasher)
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

fn cell(decision: Decision) -> Option<CellId> {
    match decision.outcome {
        Outcome::Cell(cell) => Some(cell),
        Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => None,
    }
}

/// `192.0.2.1` of `192.0.2.1:443`, and `2001:db8::1` of `[2001:db8::1]:443`. Every port of a client is the same client.
fn without_port(address: &[u8]) -> &[u8] {
    let Some(colon) = address.iter().rposition(|byte| *byte == b':') else { return address };
    let (host, port) = address.split_at(colon);
    match host {
        [b'[', inner @ .., b']'] => inner,
        _ if host.contains(&b':') || !port.iter().skip(1).all(u8::is_ascii_digit) => address,
        _ => host,
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
    fn an_address_loses_its_port() {
        for (address, host) in [
            ("192.0.2.1:443", "192.0.2.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("/run/client.sock", "/run/client.sock"),
            ("", ""),
        ] {
            assert_eq!(without_port(address.as_bytes()), host.as_bytes(), "{address}");
        }
    }

    #[test]
    fn a_cost_is_written_in_digits() {
        assert_eq!(whole_number("007"), Some(7));
        assert_eq!(whole_number("99999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "+1", "1.5", "1e3", " 1", "٣"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
