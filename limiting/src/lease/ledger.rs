//! The service's end of leases: knows what is out, and computes grants.
//!
//! The store is the caller's, and may be asynchronous. So a report is answered in steps: [`LeaseLedger::begin`], then the
//! caller makes the refunds and asks the store what is left, [`LeaseLedger::share`], then the caller charges the grants, and
//! [`LeaseLedger::finish`]. Between the steps, other reports may be answered. A caller that stops between them loses at most
//! the units of these grants: they are charged, and nobody has them.

mod begin;
mod session;
mod turn;

pub use turn::{Finished, Refund, Turn};

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Answer, Grant, Standing};
use crate::key::{KeyHasher, LimitId, LimitKey};
use crate::time::Micros;
use session::Session;

/// The settings of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRules {
    /// A random number for this life of the service. 0 counts as 1.
    pub epoch: u64,
    /// The fingerprint of the configuration.
    pub configuration: u64,
    /// Makes the keys of the store.
    pub hasher: KeyHasher,
    /// How long a lease lasts after a report. Microseconds, at most [`super::MAX_TERM`].
    pub term: u64,
    /// The time between two reports of a cache. Microseconds.
    pub interval: u64,
    /// A grant is at most what is left, divided by two to this power. 2 by default: a quarter.
    pub share_bits: u32,
    /// The most sessions.
    pub max_sessions: usize,
    /// The most keys of all sessions together. One takes about 250 bytes.
    pub max_keys: usize,
    /// Whether the store outlives this service, and has other services. If it does, a cache whose session is not here keeps
    /// what it holds: the store has it charged.
    pub is_store_shared: bool,
}

/// The sessions of caches, and the units that are out.
///
/// Its clock should not go back. If it does, it stands still until it has caught up, so that no lease is forgotten early.
#[derive(Clone, Debug)]
pub struct LeaseLedger {
    rules: LeaseRules,
    now: Micros,
    sessions: BTreeMap<u64, Session>,
    /// When sessions expire, with their `vm`.
    deadlines: BTreeSet<(Micros, u64)>,
    /// Units that are out, or being granted, of all sessions together.
    totals: BTreeMap<LimitKey, u64>,
    /// Keys of all sessions.
    keys: usize,
    lost: u64,
}

/// Counts of a [`LeaseLedger`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseLedgerStats {
    /// Sessions.
    pub sessions: usize,
    /// Keys of all sessions.
    pub keys: usize,
    /// Units that are out, by limit: what may be spent beyond the rate and the burst.
    pub outstanding: BTreeMap<LimitId, u64>,
    /// Units of leases that ended without a report, since the start. They were spent, or are lost allowance.
    pub lost: u64,
}

impl LeaseLedger {
    /// A ledger without sessions.
    #[must_use]
    pub fn new(rules: LeaseRules) -> Self {
        let rules = LeaseRules { epoch: rules.epoch.max(1), term: rules.term.min(super::MAX_TERM), ..rules };
        Self {
            rules,
            now: Micros::default(),
            sessions: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            totals: BTreeMap::new(),
            keys: 0,
            lost: 0,
        }
    }

    /// Takes over another configuration. Caches that have another one are told to give up what they hold with their next
    /// report, and get grants again when they have this one.
    pub const fn set_configuration(&mut self, configuration: u64) {
        self.rules.configuration = configuration;
    }

    /// Counts of now. Sessions that have expired are forgotten first.
    pub fn stats(&mut self, now: Micros) -> LeaseLedgerStats {
        self.observe(now);
        let mut outstanding = BTreeMap::new();
        for (_, leased) in self.sessions.values().flat_map(|session| &session.keys) {
            *outstanding.entry(leased.id).or_default() += u64::from(leased.lots.units());
        }
        LeaseLedgerStats { sessions: self.sessions.len(), keys: self.keys, outstanding, lost: self.lost }
    }

    /// Units of a key that are out or are being granted now, of all sessions together.
    pub fn outstanding(&mut self, key: LimitKey, now: Micros) -> u64 {
        self.observe(now);
        self.totals.get(&key).copied().unwrap_or(0)
    }

    /// Forgets sessions that have expired. Their units stay charged.
    fn observe(&mut self, now: Micros) {
        self.now = self.now.max(now);
        while let Some((expires, vm)) = self.deadlines.first().copied().filter(|(expires, _)| *expires <= self.now) {
            self.deadlines.remove(&(expires, vm));
            self.end(vm);
        }
    }

    /// Ends a session. Its units stay charged.
    fn end(&mut self, vm: u64) {
        let Some(mut session) = self.sessions.remove(&vm) else { return };
        self.deadlines.remove(&(session.expires, vm));
        self.release(&mut session);
        self.keys = self.keys.saturating_sub(session.keys.len());
        for (key, leased) in session.keys {
            let units = u64::from(leased.lots.units());
            self.lost = self.lost.saturating_add(units);
            self.remove_from_total(key, units);
        }
    }

    /// Ends the reservations of a session.
    fn release(&mut self, session: &mut Session) {
        for (key, units) in std::mem::take(&mut session.reserved) {
            self.remove_from_total(key, u64::from(units));
        }
    }

    fn add_to_total(&mut self, key: LimitKey, units: u64) {
        if units > 0 {
            let total = self.totals.entry(key).or_default();
            *total = total.saturating_add(units);
        }
    }

    fn remove_from_total(&mut self, key: LimitKey, units: u64) {
        if let Some(total) = self.totals.get_mut(&key) {
            *total = total.saturating_sub(units);
            if *total == 0 {
                self.totals.remove(&key);
            }
        }
    }

    fn answer(&self, turn: &Turn, standing: Standing, grants: Vec<Grant>) -> Answer {
        Answer {
            session: turn.session,
            number: turn.number,
            epoch: self.rules.epoch,
            configuration: self.rules.configuration,
            standing,
            term: self.rules.term,
            interval: self.rules.interval,
            hasher: self.rules.hasher,
            grants,
        }
    }
}

/// For the model checker: two ledgers with one hash do the same from now on.
#[cfg(test)]
impl std::hash::Hash for LeaseLedger {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.rules.epoch, self.rules.configuration, self.now, &self.sessions, &self.totals).hash(state);
    }
}

#[cfg(test)]
mod tests;
