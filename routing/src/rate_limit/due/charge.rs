//! The charges of a due limit, once the request has a decision and a routing key.

use cellgate_limiting::{Charge, ConcurrencyCharge, KeyHasher, Limit, LimitId, LimitKey, StoreCharge};

use super::explain::NotCounted;
use super::{DueCost, DueLimit, KeyValue};
use crate::action::CellId;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::decider::Decider;
use crate::decision::{Decision, Outcome};
use crate::rate_limit::key_of;

impl DueLimit {
    /// The limit of the request's key. `None`: the limit does not count the request.
    pub(super) fn limit(&self, decider: &Decider, decision: Decision, key: Option<&str>) -> Option<Limit> {
        let rule = decider.config().rate_limits.get(self.index)?;
        let only = self.planned_value(&rule.cells, decider, decision, key).ok()?;
        let limit = rule.plans.limit(only, self.carried, self.plan.as_deref());
        if self.is_unusable() { rule.plans.lowest(limit) } else { limit }
    }

    /// Whether the only part of the key, by which keys have limits of their own, is not known.
    pub(super) fn is_unusable(&self) -> bool {
        matches!(self.values.as_slice(), [KeyValue::Unusable | KeyValue::InBody { .. }])
    }

    /// The value by which the key has a plan: that of its only part. Empty if it has several parts. `cells` are those whose
    /// requests the limit counts.
    ///
    /// # Errors
    /// Why the limit does not count the request.
    pub(super) fn planned_value<'a>(
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
    pub(super) fn texts<'a>(&'a self, cell: &'a str, key: Option<&'a str>) -> impl Iterator<Item = Option<&'a str>> {
        self.values.iter().map(move |value| match value {
            KeyValue::RoutingKey => Some(key.unwrap_or_default()),
            KeyValue::Cell => Some(cell),
            KeyValue::Text(text) => Some(text.as_str()),
            // A body that was not read may have any value.
            KeyValue::InBody { .. } | KeyValue::Missing | KeyValue::Unusable => None,
        })
    }

    pub(super) fn cost(&self) -> u64 {
        match self.cost {
            DueCost::Known(cost) => cost,
            DueCost::InBody { otherwise, .. } => otherwise,
        }
    }

    pub(super) fn charge(
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
    pub(super) fn counts_in_flight(&self, decider: &Decider, decision: Decision, key: Option<&str>) -> bool {
        let limit = self.concurrency_limit(decider);
        limit.is_some_and(|(_, limit)| self.planned_value(&limit.cells, decider, decision, key).is_ok())
    }

    pub(super) fn concurrency_charge(
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

pub(super) fn cell(decision: Decision) -> Option<CellId> {
    match decision.outcome {
        Outcome::Cell(cell) => Some(cell),
        Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => None,
    }
}
