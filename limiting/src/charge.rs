//! The charges of a request, and the rule by which all of them are stored or none.

use crate::decision::{Decision, Outcome};
use crate::key::{LimitId, LimitKey};
use crate::limit::Limit;
use crate::time::Micros;
use crate::usage::{Usage, Verdict};

/// The most charges of a request.
pub const MAX_CHARGES: usize = 32;

/// Whether a limit can refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It can.
    Enforce,
    /// It only measures. It is charged as if it were enforced.
    Shadow,
}

/// The claim of a request on one allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The limit's place in the configuration.
    pub id: LimitId,
    /// The allowance.
    pub key: LimitKey,
    /// The limit that this key has now.
    pub limit: Limit,
    /// Units. 0 is admitted always.
    pub cost: u64,
    /// Whether the limit can refuse the request.
    pub enforcement: Enforcement,
}

/// A request has more than [`MAX_CHARGES`] charges, so that none is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request falls under {0} limits, and {MAX_CHARGES} are allowed: make the matchers of the limits narrower")]
pub struct TooManyCharges(pub usize);

/// Usages by limit key: a table of a store, or a part of one. Whoever judges charges has it to itself.
pub trait Usages {
    /// What a key has in use: [`Usage::unused`] if nothing is stored. If the clock has gone back, not more than the burst
    /// ([`Usage::bounded`]).
    fn get(&mut self, charge: &Charge, now: Micros) -> Usage;

    /// Stores the usage after a charge. `get` was called for it at the same time.
    fn put(&mut self, charge: &Charge, usage: Usage, now: Micros);
}

/// Judges all charges of a request at one moment. If every enforced limit admits its charge, the usages of all that admit
/// theirs are stored. Otherwise nothing is charged.
///
/// A refusal stores only that what its key has in use goes down at the rate of its limit from now on, if that is faster.
///
/// A key that is charged twice is charged for both.
///
/// # Errors
/// There are too many charges.
pub fn charge_all(usages: &mut impl Usages, charges: &[Charge], now: Micros) -> Result<Decision, TooManyCharges> {
    if charges.len() > MAX_CHARGES {
        return Err(TooManyCharges(charges.len()));
    }
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(charges.len());
    for charge in charges {
        let earlier = outcomes.iter().rev().find(|outcome| outcome.key() == charge.key);
        let (stored, before) = match earlier {
            Some(earlier) => (earlier.stored(), earlier.usage()),
            None => {
                let usage = usages.get(charge, now);
                (usage, usage)
            }
        };
        let (verdict, after) = before.charge(charge.limit, charge.cost, now);
        outcomes.push(Outcome::new(charge, verdict, stored, after, now));
    }
    let decision = Decision::new(outcomes);
    if decision.is_admitted() {
        for (charge, outcome) in charges.iter().zip(decision.outcomes()) {
            if outcome.verdict() == Verdict::Admitted && charge.cost > 0 {
                usages.put(charge, outcome.usage(), now);
            }
        }
    }
    let refused = |outcome: &Outcome| matches!(outcome.verdict(), Verdict::Refused { .. });
    for (charge, _) in charges.iter().zip(decision.outcomes()).filter(|(_, outcome)| refused(outcome)) {
        let usage = usages.get(charge, now);
        let sped_up = usage.sped_up(charge.limit, now);
        // Only a key that was charged under another limit can be slower, so it has a usage of its own.
        if sped_up != usage {
            usages.put(charge, sped_up, now);
        }
    }
    Ok(decision)
}

#[cfg(test)]
mod tests;
