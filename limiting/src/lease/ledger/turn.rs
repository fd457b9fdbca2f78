//! A turn: the answer to one report, while it is made.

use super::LeaseLedger;
use super::session::{Leased, Session};
use crate::charge::{Charge, Enforcement};
use crate::key::{LimitId, LimitKey};
use crate::lease::MAX_LEASED_KEYS;
use crate::lease::lots::Lot;
use crate::lease::message::{Answer, Grant, Report, SessionId, Standing};
use crate::limit::Limit;
use crate::time::Micros;

/// Units that go back to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refund {
    /// The limit's place in the configuration.
    pub id: LimitId,
    /// The key.
    pub key: LimitKey,
    /// The limit under which the units were charged.
    pub limit: Limit,
    /// Units.
    pub units: u32,
    /// The time of the store when they were charged.
    pub charged: Micros,
}

/// The answer to one report, while it is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "the report has no answer before LeaseLedger::finish"]
pub struct Turn {
    pub(super) session: SessionId,
    pub(super) number: u64,
    /// The standing is known, and nothing is granted: there is no such session.
    pub(super) refused: Option<Standing>,
    pub(super) refunds: Vec<Refund>,
    pub(super) wishes: Vec<Wish>,
}

/// Units that a cache should have, and has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wish {
    pub(super) id: LimitId,
    pub(super) key: LimitKey,
    pub(super) limit: Limit,
    /// Not more than this. Later, the units that are charged.
    pub(super) units: u32,
}

impl Refund {
    /// The charge that was made.
    #[must_use]
    pub fn charge(&self) -> Charge {
        charge(self.id, self.key, self.limit, self.units)
    }
}

/// The last step of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// `None` if nobody waits for it: the session has ended, or has a later report.
    pub answer: Option<Answer>,
    /// Units that were charged for grants that could not be made. The caller returns them to the store.
    pub refunds: Vec<Refund>,
}

impl Turn {
    pub(super) const fn new(report: &Report) -> Self {
        Self { session: report.session, number: report.number, refused: None, refunds: Vec::new(), wishes: Vec::new() }
    }

    pub(super) fn refused(report: &Report, standing: Standing) -> Self {
        Self { refused: Some(standing), ..Self::new(report) }
    }

    /// Units that the cache has given up: the caller returns them to the store, by the rule of [`crate::Usage::refund`]. Once:
    /// they are not returned again for the same report.
    pub fn refunds(&mut self) -> Vec<Refund> {
        std::mem::take(&mut self.refunds)
    }

    /// Charges of 0: the caller judges each alone, and hands what is left of each to [`LeaseLedger::share`].
    #[must_use]
    pub fn probes(&self) -> Vec<Charge> {
        self.wishes.iter().map(|wish| charge(wish.id, wish.key, wish.limit, 0_u64)).collect()
    }
}

impl Wish {
    fn refund(&self, charged: Micros) -> Refund {
        Refund { id: self.id, key: self.key, limit: self.limit, units: self.units, charged }
    }
}

impl LeaseLedger {
    /// Computes the grants: of each key at most its part of what is left, and with all leases of this key at most half its
    /// burst. `remaining` has units in the order of [`Turn::probes`], 0 for a key whose store has failed. Returns the charges,
    /// each of which the caller makes alone.
    pub fn share(&mut self, turn: &mut Turn, remaining: &[u32]) -> Vec<Charge> {
        let Some(mut session) = self.take_session(turn) else {
            turn.wishes.clear();
            return Vec::new();
        };
        self.release(&mut session);
        let mut left = remaining.iter();
        turn.wishes.retain_mut(|wish| {
            let part = left.next().and_then(|left| left.checked_shr(self.rules.share_bits)).unwrap_or(0);
            let out = self.totals.get(&wish.key).copied().unwrap_or(0);
            let room = u64::from(wish.limit.burst() / 2).saturating_sub(out);
            wish.units = wish.units.min(part).min(u32::try_from(room).unwrap_or(u32::MAX));
            self.add_to_total(wish.key, u64::from(wish.units));
            session.reserved.push((wish.key, wish.units));
            wish.units > 0
        });
        self.sessions.insert(turn.session.vm, session);
        turn.wishes.iter().map(|wish| charge(wish.id, wish.key, wish.limit, u64::from(wish.units))).collect()
    }

    /// Completes the answer. `charged` is for each charge of [`LeaseLedger::share`] the time of the store when it was made,
    /// and `None` if it was refused or failed.
    pub fn finish(&mut self, turn: &Turn, charged: &[Option<Micros>]) -> Finished {
        if let Some(standing) = turn.refused {
            return Finished { answer: Some(self.answer(turn, standing, Vec::new())), refunds: Vec::new() };
        }
        let made = turn.wishes.iter().zip(charged).filter_map(|(wish, charged)| Some((wish, (*charged)?)));
        let Some(mut session) = self.take_session(turn) else {
            return Finished { answer: None, refunds: made.map(|(wish, charged)| wish.refund(charged)).collect() };
        };
        self.release(&mut session);
        session.is_busy = false;
        let mut refunds = Vec::new();
        for (wish, charged) in made {
            let is_new = !session.keys.contains_key(&wish.key);
            if is_new && (session.keys.len() >= MAX_LEASED_KEYS || self.keys >= self.rules.max_keys) {
                refunds.push(wish.refund(charged));
                continue;
            }
            self.keys += usize::from(is_new);
            let leased = session.keys.entry(wish.key).or_insert_with(|| Leased::new(wish.id, wish.limit));
            (leased.id, leased.limit) = (wish.id, wish.limit);
            leased.lots.push(Lot { units: wish.units, limit: wish.limit, charged });
            leased.unseen = leased.unseen.saturating_add(wish.units);
            session.recent.insert(wish.key);
            self.add_to_total(wish.key, u64::from(wish.units));
        }
        let grant = |(key, leased): (&LimitKey, &Leased)| Grant {
            key: *key,
            id: leased.id,
            limit: leased.limit,
            units: leased.unseen,
        };
        let grants = session.unseen().map(grant).collect();
        let is_same = session.configuration == self.rules.configuration;
        self.sessions.insert(turn.session.vm, session);
        let standing = if is_same { Standing::Open } else { Standing::Withdrawn };
        Finished { answer: Some(self.answer(turn, standing, grants)), refunds }
    }

    /// The session of a turn, if the turn is that of its latest report.
    fn take_session(&mut self, turn: &Turn) -> Option<Session> {
        // A report that came twice has the number of the one that is being answered.
        if turn.refused.is_some() {
            return None;
        }
        let session = self.sessions.get(&turn.session.vm)?;
        let is_current =
            session.generation == turn.session.generation && session.number == turn.number && session.is_busy;
        if is_current { self.sessions.remove(&turn.session.vm) } else { None }
    }
}

/// Leases are charged as enforced: what they measure is the same in shadow mode.
fn charge(id: LimitId, key: LimitKey, limit: Limit, units: impl Into<u64>) -> Charge {
    Charge { id, key, limit, cost: units.into(), enforcement: Enforcement::Enforce }
}
