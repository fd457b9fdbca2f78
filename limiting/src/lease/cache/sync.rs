//! The calls of a cache: it makes a report, and takes the answer.

use super::LeaseCache;
use super::share::Share;
use crate::lease::message::{Answer, Report, SessionId, Standing};
use crate::lease::{MAX_INTERVAL, MAX_SYNC_KEYS, MAX_TERM, MIN_INTERVAL};
use crate::time::Micros;

/// The result of taking an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Its grants can be spent.
    Taken,
    /// All units were given up, its grants too: the two ends have different configurations or secrets.
    Withdrawn,
    /// The cache has dropped all and begins anew: the ledger has restarted, does not know it, or has no room.
    Restarted,
    /// Nothing changed: another ledger has answered.
    Kept,
    /// It was not the answer to the latest report, or was taken already.
    Ignored,
}

/// A report whose answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) sent: Micros,
}

/// That all units can be spent, until when, and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) epoch: u64,
    pub(super) expires: Micros,
}

impl LeaseCache {
    /// Makes the next report, which is sent now. Its answer is for [`LeaseCache::apply`]; the answer to an earlier one is
    /// not any more. If the lease is over, all units are given up first.
    pub fn report(&mut self, now: Micros) -> Report {
        let now = self.clock.observe(now);
        if self.lease.is_some() && !self.is_live(now) {
            if self.is_elsewhere {
                self.restart();
            } else {
                self.withdraw();
            }
        }
        self.next_report(now, false)
    }

    /// Gives up all units, and makes the last report of the session. Units that are not in it are lost allowance, and all are if it is
    /// lost.
    /// A report after it begins anew.
    pub fn close(&mut self, now: Micros) -> Report {
        let now = self.clock.observe(now);
        self.withdraw();
        let report = self.next_report(now, true);
        self.restart();
        report
    }

    /// Takes the answer to the latest report. An answer that lies is bounded: no key has more than its burst, no lease lasts
    /// longer than [`MAX_TERM`], and no more keys are remembered than [`LeaseCache`] says.
    pub fn apply(&mut self, answer: &Answer, now: Micros) -> Applied {
        self.clock.observe(now);
        let is_mine = |pending: &mut Pending| self.session == answer.session && pending.number == answer.number;
        let Some(pending) = self.pending.take_if(is_mine) else { return Applied::Ignored };
        let is_other = self.lease.is_some_and(|lease| lease.epoch != answer.epoch);
        match answer.standing {
            Standing::Elsewhere if is_other => {
                self.is_elsewhere = true;
                return Applied::Kept;
            }
            Standing::Open | Standing::Withdrawn if !is_other && answer.epoch != 0 => {}
            _ => {
                self.restart();
                return Applied::Restarted;
            }
        }
        self.is_elsewhere = false;
        self.acknowledged = pending.number;
        self.interval = answer.interval.clamp(MIN_INTERVAL, MAX_INTERVAL);
        self.lease = Some(Lease { epoch: answer.epoch, expires: pending.sent.after(answer.term.min(MAX_TERM)) });
        // Keys that another secret has made are other keys.
        let has_same_secret = self.hasher.replace(answer.hasher).is_none_or(|hasher| hasher == answer.hasher);
        let is_valid =
            answer.standing == Standing::Open && answer.configuration == self.configuration && has_same_secret;
        self.take_grants(answer, is_valid);
        if is_valid { Applied::Taken } else { Applied::Withdrawn }
    }

    fn take_grants(&mut self, answer: &Answer, is_valid: bool) {
        self.shares.iter_mut().for_each(Share::acknowledge);
        for grant in answer.grants.iter().take(MAX_SYNC_KEYS) {
            if let Some(share) = self.find(grant.key) {
                share.add(grant, is_valid);
            } else {
                // Without room, the units are lost allowance.
                self.insert(Share::granted(grant));
            }
        }
        if !is_valid {
            self.withdraw();
        }
        self.shares.retain(|share| !share.is_empty());
    }

    fn next_report(&mut self, now: Micros, is_last: bool) -> Report {
        self.number += 1;
        self.pending = Some(Pending { number: self.number, sent: now });
        let mut chosen = Vec::new();
        for share in &mut self.shares {
            share.settle();
            if let Some(weight) = share.weight() {
                chosen.push((weight, share));
            }
        }
        if chosen.len() > MAX_SYNC_KEYS {
            chosen.select_nth_unstable_by(MAX_SYNC_KEYS, |(one, _), (other, _)| other.cmp(one));
            chosen.truncate(MAX_SYNC_KEYS);
        }
        let keys = chosen.into_iter().map(|(_, share)| share.report()).collect();
        // A key that was only missed has now been reported, and a grant brings it back. If it was not chosen, its next
        // request tells of it again, so that keys that come once leave room for others.
        self.shares.iter_mut().for_each(Share::forget_wanted);
        self.shares.retain(|share| !share.is_empty());
        Report {
            session: self.session,
            number: self.number,
            acknowledged: self.acknowledged,
            epoch: self.lease.map_or(0, |lease| lease.epoch),
            configuration: self.configuration,
            is_last,
            keys,
        }
    }

    /// Drops everything: its units stay charged, and are lost allowance. The secret stays, until an answer has another one.
    fn restart(&mut self) {
        self.session = SessionId { generation: self.session.generation.wrapping_add(1), ..self.session };
        self.shares.clear();
        self.number = 0;
        self.acknowledged = 0;
        self.pending = None;
        self.lease = None;
        self.is_elsewhere = false;
    }
}
