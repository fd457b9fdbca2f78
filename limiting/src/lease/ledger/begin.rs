//! The first step of an answer: what the report says of earlier grants, and what the cache should have.

use super::LeaseLedger;
use super::session::Session;
use super::turn::{Refund, Turn, Wish};
use crate::key::LimitId;
use crate::lease::message::{KeyReport, Report, Standing};
use crate::lease::{MAX_LEASED_KEYS, MAX_SYNC_KEYS};
use crate::limit::Limit;
use crate::time::Micros;

impl LeaseLedger {
    /// Takes a report, and begins the answer. `is_leased` tells whether the configuration leases such a limit at a place.
    ///
    /// A report that contradicts what the ledger knows changes nothing, and ends the session: its units stay charged. One that
    /// comes late or twice changes nothing at all, and its answer is that the session is unknown. A cache that has sent a later
    /// one ignores that. If two caches have one session by mistake, one of them begins anew, and no grant is answered twice.
    pub fn begin(&mut self, report: &Report, is_leased: impl Fn(LimitId, Limit) -> bool, now: Micros) -> Turn {
        self.observe(now);
        let vm = report.session.vm;
        if report.epoch != 0 && report.epoch != self.rules.epoch {
            let standing = if self.rules.is_store_shared { Standing::Elsewhere } else { Standing::Unknown };
            return Turn::refused(report, standing);
        }
        if let Some(session) = self.sessions.get(&vm) {
            let known = (session.generation, session.number);
            match (report.session.generation, report.number) {
                reported if reported <= known => return Turn::refused(report, Standing::Unknown),
                (generation, _) if generation > session.generation => self.end(vm),
                _ => {}
            }
        }
        let is_new = !self.sessions.contains_key(&vm);
        if is_new && self.sessions.len() >= self.rules.max_sessions {
            return Turn::refused(report, Standing::Full);
        }
        let keys = report.keys.get(..MAX_SYNC_KEYS).unwrap_or(&report.keys);
        let expires = self.now.after(self.rules.term);
        let known = self.sessions.remove(&vm);
        let mut session = known.unwrap_or_else(|| Session::new(report.session.generation, expires));
        if report.number <= session.number || !session.is_plausible(report.acknowledged, keys) {
            self.sessions.insert(vm, session);
            self.end(vm);
            return Turn::refused(report, Standing::Unknown);
        }
        self.deadlines.remove(&(session.expires, vm));
        self.release(&mut session);
        if report.acknowledged == session.number {
            let before = session.keys.len();
            session.acknowledge();
            self.keys = self.keys.saturating_sub(before - session.keys.len());
        }
        session.number = report.number;
        session.configuration = report.configuration;
        session.is_busy = true;
        session.expires = expires;
        let mut turn = Turn::new(report);
        let may_grant = report.configuration == self.rules.configuration && !report.is_last;
        let mut room = self.room(&session);
        for key in keys {
            let demand = self.settle(&mut session, key, &mut turn.refunds).saturating_add(key.wanted);
            if may_grant
                && let Some(wish) = wish(&session, key, demand)
                && room.take(&session, key)
                && is_leased(key.id, key.limit)
            {
                turn.wishes.push(wish);
            }
        }
        self.deadlines.insert((session.expires, vm));
        self.sessions.insert(vm, session);
        if report.is_last {
            self.end(vm);
            turn.refused = Some(Standing::Unknown);
        }
        turn
    }

    /// Takes what a report says of one key, and returns how many units were spent since the report before.
    fn settle(&mut self, session: &mut Session, report: &KeyReport, refunds: &mut Vec<Refund>) -> u32 {
        let Some(leased) = session.keys.get_mut(&report.key) else { return 0 };
        // A key that is in a report twice can say less the second time.
        let Some((spent, returned)) = leased.news(report) else { return 0 };
        let mut gone = leased.lots.take_oldest(spent);
        for lot in leased.lots.take_newest(returned) {
            gone = gone.saturating_add(lot.units);
            let (id, limit, units, charged) = (leased.id, lot.limit, lot.units, lot.charged);
            refunds.push(Refund { id, key: report.key, limit, units, charged });
        }
        leased.record(report, session.number);
        session.recent.insert(report.key);
        self.remove_from_total(report.key, u64::from(gone));
        spent
    }

    fn room(&self, session: &Session) -> Room {
        let in_session = MAX_LEASED_KEYS.saturating_sub(session.keys.len());
        let in_ledger = self.rules.max_keys.saturating_sub(self.keys);
        Room { grants: MAX_SYNC_KEYS.saturating_sub(session.unseen().count()), keys: in_session.min(in_ledger) }
    }
}

/// How many more grants an answer can have, and how many more keys the session.
struct Room {
    grants: usize,
    keys: usize,
}

impl Room {
    fn take(&mut self, session: &Session, report: &KeyReport) -> bool {
        let needed = usize::from(!session.keys.contains_key(&report.key));
        match (self.grants.checked_sub(1), self.keys.checked_sub(needed)) {
            (Some(grants), Some(keys)) => {
                *self = Self { grants, keys };
                true
            }
            _ => false,
        }
    }
}

/// A cache should have twice what it needed since its report before.
fn wish(session: &Session, report: &KeyReport, demand: u32) -> Option<Wish> {
    let leased = session.keys.get(&report.key);
    // Units of two limits cannot be in one answer.
    if leased.is_some_and(|leased| leased.unseen > 0 && leased.limit != report.limit) {
        return None;
    }
    let has = leased.map_or(0, |leased| leased.lots.units());
    let units = demand.saturating_mul(2).saturating_sub(has);
    (units > 0).then_some(Wish { id: report.id, key: report.key, limit: report.limit, units })
}
