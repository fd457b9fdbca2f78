//! Sessions: what the ledger knows of one cache.

use std::collections::{BTreeMap, BTreeSet};

use crate::key::{LimitId, LimitKey};
use crate::lease::lots::Lots;
use crate::lease::message::KeyReport;
use crate::limit::Limit;
use crate::time::Micros;

/// One cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) generation: u32,
    /// The fingerprint in the latest report.
    pub(super) configuration: u64,
    /// The latest report whose answer the cache has taken.
    pub(super) acknowledged: u64,
    /// The latest report.
    pub(super) number: u64,
    /// Whether the latest report has not been answered yet.
    pub(super) is_busy: bool,
    pub(super) expires: Micros,
    pub(super) keys: BTreeMap<LimitKey, Leased>,
    /// Keys of the latest report, and all with units that were not acknowledged. The others do not change.
    pub(super) recent: BTreeSet<LimitKey>,
    /// Units that are being charged for the latest report.
    pub(super) reserved: Vec<(LimitKey, u32)>,
}

/// One key of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leased {
    pub(super) id: LimitId,
    pub(super) limit: Limit,
    /// Units that are out.
    pub(super) lots: Lots,
    /// Of these, the units in answers that the cache has not acknowledged. They are in each answer until it does.
    pub(super) unseen: u32,
    /// The latest report with this key.
    reported_in: u64,
    /// Units in reports that were not acknowledged. The next report counts them again.
    spent: u32,
    returned: u32,
}

impl Session {
    /// A session of which nothing has been reported.
    pub(super) const fn new(generation: u32, expires: Micros) -> Self {
        Self {
            generation,
            configuration: 0,
            acknowledged: 0,
            number: 0,
            is_busy: false,
            expires,
            keys: BTreeMap::new(),
            recent: BTreeSet::new(),
            reserved: Vec::new(),
        }
    }

    /// Whether a cache that follows the protocol could have sent this.
    pub(super) fn is_plausible(&self, acknowledged: u64, keys: &[KeyReport]) -> bool {
        let is_next = acknowledged == self.acknowledged || (acknowledged == self.number && !self.is_busy);
        is_next && keys.iter().all(|report| self.is_key_plausible(acknowledged, report))
    }

    /// The cache has taken the answer to the latest report.
    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = self.number;
        for key in std::mem::take(&mut self.recent) {
            let Some(leased) = self.keys.get_mut(&key) else { continue };
            (leased.spent, leased.returned) = leased.counted_from(self.number);
            leased.unseen = 0;
            if leased.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// Keys with units that were not acknowledged.
    pub(super) fn unseen(&self) -> impl Iterator<Item = (&LimitKey, &Leased)> {
        let recent = self.recent.iter().filter_map(|key| self.keys.get_key_value(key));
        recent.filter(|(_, leased)| leased.unseen > 0)
    }

    /// The cache cannot have spent or given up units of which it does not know, nor take back a report that counts still.
    fn is_key_plausible(&self, acknowledged: u64, report: &KeyReport) -> bool {
        let Some(leased) = self.keys.get(&report.key) else { return report.spent == 0 && report.returned == 0 };
        let (spent, returned, unseen) = if acknowledged == self.number {
            let (spent, returned) = leased.counted_from(self.number);
            (spent, returned, 0)
        } else {
            (leased.spent, leased.returned, leased.unseen)
        };
        let known = leased.lots.units().saturating_sub(unseen);
        match (report.spent.checked_sub(spent), report.returned.checked_sub(returned)) {
            (Some(spent), Some(returned)) => spent.checked_add(returned).is_some_and(|units| units <= known),
            _ => false,
        }
    }
}

impl Leased {
    /// A key of which nothing is out.
    pub(super) fn new(id: LimitId, limit: Limit) -> Self {
        Self { id, limit, lots: Lots::default(), unseen: 0, reported_in: 0, spent: 0, returned: 0 }
    }

    /// Units spent and units given up that a report adds to the earlier ones. `None` if it tells less.
    pub(super) fn news(&self, report: &KeyReport) -> Option<(u32, u32)> {
        report.spent.checked_sub(self.spent).zip(report.returned.checked_sub(self.returned))
    }

    /// Remembers what a report says, until it is acknowledged.
    pub(super) const fn record(&mut self, report: &KeyReport, number: u64) {
        (self.spent, self.returned, self.reported_in) = (report.spent, report.returned, number);
    }

    /// Whether to forget the key would change nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.lots.units() == 0 && self.spent == 0 && self.returned == 0
    }

    /// The counts that the cache has settled if the report with this number is acknowledged: of a key that was in it, all.
    const fn counted_from(&self, number: u64) -> (u32, u32) {
        if self.reported_in == number { (0, 0) } else { (self.spent, self.returned) }
    }
}
