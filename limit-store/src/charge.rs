//! Questions to a store, and its answers.

use std::time::Duration;

use cellgate_limiting::{Charge, ChargePoint, Decision, MAX_CHARGES, Micros, Outcome, Verdict};

use crate::failure::StoreFailure;

/// Who answered a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The store.
    Store,
    /// The store failed: this process, by its share of the limit.
    Local,
    /// The store failed, and nobody counted: the limit admits.
    Allowed,
    /// The store failed, and nobody counted: the limit refuses.
    Denied,
    /// Nobody: the store failed for this limit, and another one refuses the request.
    Skipped,
}

/// The answer to all charges of a request.
#[derive(Clone, Debug)]
pub struct StoreDecision {
    /// In the order of the charges.
    pub(crate) judges: [Judge; MAX_CHARGES],
    pub(crate) charges: usize,
    /// Of the charges that were judged.
    pub(crate) decision: Decision,
    pub(crate) is_admitted: bool,
    pub(crate) is_denied: bool,
    pub(crate) failure: Option<StoreFailure>,
    pub(crate) store_time: Option<Duration>,
}

/// A charge that was made, to give a part of it back or to add to it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    pub(crate) charge: Charge,
    pub(crate) judge: Judge,
    pub(crate) point: ChargePoint,
}

impl Charged {
    /// A charge that the store made at a time of its clock: [`Charged::at`] of an earlier answer. A refund of it is worth less,
    /// since nothing else is known of it.
    #[must_use]
    pub const fn by_store(charge: Charge, at: Micros) -> Self {
        Self { charge, judge: Judge::Store, point: ChargePoint::at(at) }
    }

    /// The charge. One that was counted locally has this process' share of the limit.
    #[must_use]
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }

    /// Who counted it.
    #[must_use]
    pub const fn judge(&self) -> Judge {
        self.judge
    }

    /// When it was counted, by the judge's clock.
    #[must_use]
    pub const fn at(&self) -> Micros {
        self.point.time()
    }
}

impl StoreDecision {
    /// Whether the request is admitted: no enforced limit refuses, and none with `deny` was without its store.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    /// Whether an enforced limit with `deny` refuses the request because the store failed. No wait is known then.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        self.is_denied
    }

    /// The outcomes of the charges that were judged, for the response fields. A local one has this process' share of the
    /// limit.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The value of `Retry-After`, as [`Decision::retry_after`]. `None` if a limit denies because the store failed.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        if self.is_denied { None } else { self.decision.retry_after() }
    }

    /// Who answered each charge, in the order of the charges.
    #[must_use]
    pub fn judges(&self) -> &[Judge] {
        self.judges.get(..self.charges).unwrap_or_default()
    }

    /// Each charge's judge, and its outcome if it was judged, in the order of the charges.
    pub fn answers(&self) -> impl Iterator<Item = (Judge, Option<&Outcome>)> {
        let mut outcomes = self.decision.outcomes().iter();
        self.judges().iter().map(move |judge| {
            let is_judged = matches!(judge, Judge::Store | Judge::Local);
            (*judge, if is_judged { outcomes.next() } else { None })
        })
    }

    /// The charges that can be refunded, in the order of the charges. `None` for one that was not charged.
    pub fn charged(&self) -> impl Iterator<Item = Option<Charged>> {
        self.answers().map(|(judge, outcome)| {
            let outcome = outcome.filter(|outcome| self.is_admitted && outcome.verdict() == Verdict::Admitted)?;
            Some(Charged { charge: *outcome.charge(), judge, point: outcome.point() })
        })
    }

    /// Why the store failed, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<&StoreFailure> {
        self.failure.as_ref()
    }

    /// How long the request waited for a store outside of this process.
    #[must_use]
    pub const fn store_time(&self) -> Option<Duration> {
        self.store_time
    }

    /// All charges have one judge.
    pub(crate) fn of(decision: Decision, judge: Judge, charges: usize) -> Self {
        let is_admitted = decision.is_admitted();
        let charges = charges.min(MAX_CHARGES);
        Self {
            judges: [judge; MAX_CHARGES],
            charges,
            decision,
            is_admitted,
            is_denied: false,
            failure: None,
            store_time: None,
        }
    }

    /// A request has too many charges: refused. The reader of the configuration allows no more limits than charges.
    pub(crate) fn too_many() -> Self {
        let refused = Self::of(Decision::new(Vec::new()), Judge::Denied, MAX_CHARGES);
        Self { is_admitted: false, is_denied: true, ..refused }
    }
}
