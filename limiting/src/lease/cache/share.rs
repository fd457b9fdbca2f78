//! A share: the units of one key that a cache holds, and what it has to report of them.

use crate::charge::Charge;
use crate::key::{LimitId, LimitKey};
use crate::lease::message::{Grant, KeyReport};
use crate::limit::Limit;

/// The units of one key. All counts are at most the burst, or saturate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Share {
    pub(super) key: LimitKey,
    id: LimitId,
    limit: Limit,
    /// Units that can be spent.
    pub(super) units: u32,
    /// Spent since the latest report with this key that was acknowledged.
    spent: u32,
    /// Given up since then.
    returned: u32,
    /// Of `spent` and `returned`, what the pending report says.
    reported: (u32, u32),
    /// Spent since the latest report.
    recent: u32,
    /// Lacked since the latest report with this key.
    wanted: u32,
    /// The most that was spent or lacked between two reports. It halves with each report.
    peak: u32,
}

impl Share {
    /// A key of which the cache has nothing.
    pub(super) fn missed(charge: &Charge) -> Self {
        let mut share = Self::empty(charge.key, charge.id, charge.limit);
        share.miss(charge);
        share
    }

    /// A key that the ledger has granted.
    pub(super) fn granted(grant: &Grant) -> Self {
        let mut share = Self::empty(grant.key, grant.id, grant.limit);
        share.add(grant, true);
        share.peak = share.units;
        share
    }

    const fn empty(key: LimitKey, id: LimitId, limit: Limit) -> Self {
        Self { key, id, limit, units: 0, spent: 0, returned: 0, reported: (0, 0), recent: 0, wanted: 0, peak: 0 }
    }

    /// Spends a cost, if there is enough of the same limit.
    pub(super) fn take(&mut self, charge: &Charge) -> bool {
        match u32::try_from(charge.cost).ok().and_then(|cost| self.units.checked_sub(cost).zip(Some(cost))) {
            Some((left, cost)) if self.limit == charge.limit => {
                self.units = left;
                self.spent = self.spent.saturating_add(cost);
                self.recent = self.recent.saturating_add(cost);
                true
            }
            _ => false,
        }
    }

    /// Undoes [`Share::take`]. If a later charge of the same request has another limit, the units are given up.
    pub(super) fn give_back(&mut self, charge: &Charge) {
        let cost = u32::try_from(charge.cost).unwrap_or(0).min(self.spent);
        self.spent -= cost;
        self.recent = self.recent.saturating_sub(cost);
        let units = if self.limit == charge.limit { &mut self.units } else { &mut self.returned };
        *units = units.saturating_add(cost);
    }

    /// Counts a cost that was lacking. If the key has another limit now, its units are given up. A cost over the burst is not
    /// counted: no grant could be enough.
    pub(super) fn miss(&mut self, charge: &Charge) {
        if self.limit != charge.limit {
            self.keep_at_most(0);
            (self.id, self.limit) = (charge.id, charge.limit);
        }
        if let Some(cost) = u32::try_from(charge.cost).ok().filter(|cost| *cost <= self.limit.burst()) {
            self.wanted = self.wanted.saturating_add(cost);
        }
    }

    /// Gives up all units but these.
    pub(super) fn keep_at_most(&mut self, units: u32) {
        let surplus = self.units.saturating_sub(units);
        self.units -= surplus;
        self.returned = self.returned.saturating_add(surplus);
    }

    /// Adds granted units, and never has more than a burst. They are given up at once if they cannot be spent: `is_valid` is
    /// false, or the key has another limit now.
    pub(super) fn add(&mut self, grant: &Grant, is_valid: bool) {
        if self.limit == grant.limit && is_valid {
            self.units = self.units.saturating_add(grant.units).min(self.limit.burst());
        } else {
            self.returned = self.returned.saturating_add(grant.units.min(grant.limit.burst()));
        }
    }

    /// Ends the time since the latest report, and gives up what was not needed: all over twice the peak.
    pub(super) fn settle(&mut self) {
        self.reported = (0, 0);
        self.peak = self.recent.saturating_add(self.wanted).max(self.peak / 2);
        self.recent = 0;
        self.keep_at_most(self.peak.saturating_mul(2));
    }

    /// The weight of this key in the choice of keys for a report. `None`: not at all.
    pub(super) fn weight(&self) -> Option<u64> {
        let weight = u64::from(self.spent) + u64::from(self.wanted) + u64::from(self.returned);
        (weight > 0).then_some(weight)
    }

    pub(super) fn report(&mut self) -> KeyReport {
        let wanted = std::mem::take(&mut self.wanted);
        self.reported = (self.spent, self.returned);
        KeyReport { key: self.key, id: self.id, limit: self.limit, spent: self.spent, returned: self.returned, wanted }
    }

    /// What was lacked is in a report, or not worth one.
    pub(super) fn forget_wanted(&mut self) {
        self.wanted = 0;
    }

    /// The pending report has been answered.
    pub(super) fn acknowledge(&mut self) {
        let (spent, returned) = std::mem::take(&mut self.reported);
        self.spent = self.spent.saturating_sub(spent);
        self.returned = self.returned.saturating_sub(returned);
    }

    /// Whether to forget the key would change nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.units == 0 && self.weight().is_none()
    }
}
