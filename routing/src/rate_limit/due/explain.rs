//! An explanation of each limit for a request, for `cellgate decide`. Live requests do not use it.

use cellgate_limiting::{Limit, LimitOrigin};

use super::charge::cell;
use super::{DueLimit, DueLimits, is_counted};
use crate::concurrency_limit::ConcurrencyLimit;
use crate::decider::Decider;
use crate::decision::Decision;
use crate::head::Head;
use crate::rate_limit::{LimitKeyPart, RateLimit};
use crate::reason::Reason;
use crate::scope::Scope;

/// A configured limit, and what it does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitFinding<'a> {
    /// The limit.
    pub rule: &'a RateLimit,
    /// The allowance from which the request takes, or why the limit does not count it.
    pub allowance: Result<DueAllowance<'a>, NotCounted>,
}

/// A configured concurrency limit, and what it does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyFinding<'a> {
    /// The limit.
    pub rule: &'a ConcurrencyLimit,
    /// The values of the limit's key, or why the limit does not count the request. `None` is an unusable value: all requests
    /// with one count together.
    pub values: Result<Vec<Option<String>>, NotCounted>,
}

/// The allowance from which a request takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueAllowance<'a> {
    /// The values of the limit's key. `None` is an unusable one: all requests with one count together.
    pub values: Vec<Option<String>>,
    /// Rate and burst.
    pub limit: Limit,
    /// The origin of the limit.
    pub origin: LimitOrigin<'a>,
    /// The units that the request takes.
    pub cost: u64,
}

/// Why a limit does not count a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCounted {
    /// No limit counts a request with this decision: it goes nowhere, Cellgate leaves it alone, or a peer has counted it.
    Decision,
    /// It is outside of the limit's `applies_to`.
    OutOfScope(Reason),
    /// It goes to another cell than those of the limit, or to none.
    OtherCell,
    /// It has no value for the part of the key at this place, from 0.
    NoValue(usize),
    /// Neither the configuration nor the request has a limit for its key.
    NoLimit,
}

impl Decider {
    /// Explains each limit for a request, in the order of the configuration. `due` are the limits of the request with the
    /// values of its body, and `end_of_stream` is that of [`Decider::due_limits`].
    #[must_use]
    pub fn explain_limits<H: Head + ?Sized>(
        &self,
        head: &H,
        end_of_stream: bool,
        due: &DueLimits,
        decision: Decision,
        key: Option<&str>,
    ) -> Vec<LimitFinding<'_>> {
        let mut findings = Vec::new();
        for (index, rule) in self.config().rate_limits.iter().enumerate() {
            let allowance = match due.0.iter().find(|due| due.index == index) {
                _ if !is_counted(decision) => Err(NotCounted::Decision),
                Some(due) => due.allowance(self, rule, decision, key),
                None => Err(self.why_not_due(&rule.scope, &rule.key, head, end_of_stream)),
            };
            findings.push(LimitFinding { rule, allowance });
        }
        findings
    }

    /// Explains each concurrency limit for a request, as [`Decider::explain_limits`].
    #[must_use]
    pub fn explain_concurrency<H: Head + ?Sized>(
        &self,
        head: &H,
        end_of_stream: bool,
        due: &DueLimits,
        decision: Decision,
        key: Option<&str>,
    ) -> Vec<ConcurrencyFinding<'_>> {
        let first = self.config().rate_limits.len();
        let mut findings = Vec::new();
        for (index, rule) in (first..).zip(&self.config().concurrency_limits) {
            let values = match due.0.iter().find(|due| due.index == index) {
                _ if !is_counted(decision) => Err(NotCounted::Decision),
                Some(due) => {
                    due.planned_value(&rule.cells, self, decision, key).map(|_| due.owned_texts(self, decision, key))
                }
                None => Err(self.why_not_due(&rule.scope, &rule.key, head, end_of_stream)),
            };
            findings.push(ConcurrencyFinding { rule, values });
        }
        findings
    }

    fn why_not_due<H: Head + ?Sized>(
        &self,
        scope: &Scope,
        key: &[LimitKeyPart],
        head: &H,
        end_of_stream: bool,
    ) -> NotCounted {
        if let Err(reason) = scope.check_every_spelling(head) {
            return NotCounted::OutOfScope(reason);
        }
        let missing = key.iter().position(|part| self.key_value(part, head, end_of_stream).is_none());
        NotCounted::NoValue(missing.unwrap_or_default())
    }
}

impl DueLimit {
    fn allowance<'a>(
        &self,
        decider: &Decider,
        rule: &'a RateLimit,
        decision: Decision,
        key: Option<&str>,
    ) -> Result<DueAllowance<'a>, NotCounted> {
        let only = self.planned_value(&rule.cells, decider, decision, key)?;
        let found = rule.plans.explain(only, self.carried, self.plan.as_deref());
        let unusable = self.is_unusable().then(|| rule.plans.lowest(found.map(|(limit, _)| limit))).flatten();
        let found = unusable.map(|limit| (limit, LimitOrigin::Lowest)).or(found);
        let (limit, origin) = found.ok_or(NotCounted::NoLimit)?;
        let values = self.owned_texts(decider, decision, key);
        Ok(DueAllowance { values, limit, origin, cost: self.cost() })
    }

    /// The values of the key. `None` is an unusable one.
    fn owned_texts(&self, decider: &Decider, decision: Decision, key: Option<&str>) -> Vec<Option<String>> {
        let cell = cell(decision).map_or("", |cell| decider.config().cell_name(cell));
        self.texts(cell, key).map(|value| value.map(str::to_owned)).collect()
    }
}
