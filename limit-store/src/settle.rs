//! The answer to a request, from what the store has judged and from what each limit says if it has not.

use cellgate_limiting::{Charge, Decision, MAX_CHARGES, Outcome, StoreCharge, WhenStoreFails};

use crate::charge::{Judge, StoreDecision};
use crate::local::Local;

/// Judges the charges locally that have no outcome, if their limits say so.
///
/// If the store refuses, or a limit denies because the store failed, nothing is judged locally: the request is refused
/// anyway, and nobody is charged.
pub(crate) fn settle(charges: &[StoreCharge], outcomes: &[Option<Outcome>], local: &Local) -> StoreDecision {
    let mut judges = [Judge::Store; MAX_CHARGES];
    let mut is_denied = false;
    let mut judged: Vec<Option<Outcome>> = outcomes.to_vec();
    let mut left: Vec<(usize, Charge)> = Vec::new();
    for (place, (charge, outcome)) in charges.iter().zip(outcomes).enumerate() {
        let judge = match (outcome, charge.when_store_fails) {
            (Some(_), _) => Judge::Store,
            (None, WhenStoreFails::Allow) => Judge::Allowed,
            (None, WhenStoreFails::Deny) => {
                is_denied |= charge.is_enforced();
                Judge::Denied
            }
            (None, WhenStoreFails::Local) => {
                left.push((place, charge.charge));
                Judge::Local
            }
        };
        set(&mut judges, place, judge);
    }
    let is_refused = is_denied || outcomes.iter().flatten().any(Outcome::refuses);
    if is_refused {
        for (place, _) in &left {
            set(&mut judges, *place, Judge::Skipped);
        }
    } else if !left.is_empty() {
        let local_charges: Vec<Charge> = left.iter().map(|(_, charge)| *charge).collect();
        let decision = local.judge(&local_charges);
        for ((place, _), outcome) in left.iter().zip(decision.outcomes()) {
            if let Some(slot) = judged.get_mut(*place) {
                *slot = Some(*outcome);
            }
        }
    }
    let decision = Decision::new(judged.into_iter().flatten().collect());
    let is_admitted = decision.is_admitted() && !is_denied;
    let settled = StoreDecision::of(decision, Judge::Store, charges.len());
    StoreDecision { judges, is_admitted, is_denied, ..settled }
}

fn set(judges: &mut [Judge], place: usize, judge: Judge) {
    if let Some(slot) = judges.get_mut(place) {
        *slot = judge;
    }
}

#[cfg(test)]
mod tests;
