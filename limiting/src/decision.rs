//! Decisions: what all limits of a request say together, and each of them alone.

use crate::charge::{Charge, Enforcement};
use crate::key::{LimitId, LimitKey};
use crate::limit::Limit;
use crate::time::{Micros, SECOND};
use crate::usage::{ChargePoint, Usage, Verdict};

/// The result of one charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    charge: Charge,
    verdict: Verdict,
    /// The usage in the store before the request.
    stored: Usage,
    /// The usage after it.
    usage: Usage,
    now: Micros,
}

/// The result for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    outcomes: Vec<Outcome>,
    is_admitted: bool,
}

impl Outcome {
    pub(crate) fn new(charge: &Charge, verdict: Verdict, stored: Usage, usage: Usage, now: Micros) -> Self {
        Self { charge: *charge, verdict, stored, usage, now }
    }

    /// The charge.
    #[must_use]
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }

    /// The limit's place in the configuration.
    #[must_use]
    pub const fn id(&self) -> LimitId {
        self.charge.id
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.charge.limit
    }

    /// The answer of this limit alone. Of a request that another limit refuses, nothing is charged.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Units that are left, rounded down.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.usage.remaining(self.charge.limit, self.now)
    }

    /// Microseconds until the allowance is full again, if nothing else is charged.
    #[must_use]
    pub fn reset(&self) -> u64 {
        self.usage.reset(self.now)
    }

    /// The time at which the charge was judged, by the clock of the store.
    #[must_use]
    pub const fn judged_at(&self) -> Micros {
        self.now
    }

    /// The point of an admitted charge in the history of its key, for a refund of it.
    #[must_use]
    pub const fn point(&self) -> ChargePoint {
        self.usage.point(self.now)
    }

    /// Whether the limit makes the request be refused.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.is_enforced() && self.verdict != Verdict::Admitted
    }

    pub(crate) fn is_enforced(&self) -> bool {
        self.charge.enforcement == Enforcement::Enforce
    }

    pub(crate) const fn key(&self) -> LimitKey {
        self.charge.key
    }

    pub(crate) const fn stored(&self) -> Usage {
        self.stored
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }
}

impl Decision {
    /// The decision of outcomes that may come from several stores. If a limit refuses, no usage changes: whoever has charged
    /// one refunds it.
    #[must_use]
    pub fn new(mut outcomes: Vec<Outcome>) -> Self {
        let is_admitted = !outcomes.iter().any(Outcome::refuses);
        if !is_admitted {
            for outcome in &mut outcomes {
                outcome.usage = outcome.stored;
            }
        }
        Self { outcomes, is_admitted }
    }

    /// Whether every enforced limit admits its charge.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    /// The results in the order of the charges.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Microseconds after which the request is admitted, if nothing else is charged: the longest wait. `None` if it is
    /// admitted now, or never.
    #[must_use]
    pub fn wait(&self) -> Option<u64> {
        let mut longest = None;
        for outcome in self.outcomes.iter().filter(|outcome| outcome.refuses()) {
            match outcome.verdict {
                Verdict::Refused { wait } => longest = longest.max(Some(wait)),
                Verdict::Never => return None,
                Verdict::Admitted => {}
            }
        }
        longest
    }

    /// The value of `Retry-After`: [`Decision::wait`] in seconds, rounded up.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.wait().map(|micros| micros.div_ceil(SECOND))
    }
}
