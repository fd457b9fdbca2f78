//! Explores every interleaving of two caches, one ledger and a network that loses, repeats, delays and reorders messages,
//! within a budget of actions.
//!
//! After each action:
//! - **bound**: no span of time `t` had more than `burst + rate × t` and the units outstanding at its beginning admitted;
//! - **conservation**: what the caches hold was charged, and neither spent nor refunded;
//! - **meter**: what the caches can spend is within what the ledger says is outstanding.
//!
//! Faults that are put into the two ends or into the store must be found: otherwise the exploration proves nothing.

mod explore;
mod world;

use explore::{Found, explore};
use world::{Budget, Fault, World};

/// Two caches that spend, and one request to the service.
const CALM: Budget = Budget { syncs: [2, 1], spends: [1, 1], direct: 1, ticks: 1, ..Budget::NOTHING };

#[track_caller]
fn holds(budget: Budget, is_store_shared: bool) -> Found {
    let result = explore(World::new(budget, is_store_shared, None));
    let found = result.unwrap_or_else(|trail| panic!("{trail}"));
    println!("{found:?}");
    assert!(found.states > 10_000 && found.spent > 1, "{found:?}");
    found
}

/// Returns what is broken.
#[track_caller]
fn finds(budget: Budget, fault: Fault) -> String {
    explore(World::new(budget, true, Some(fault))).expect_err("the fault was not found")
}

#[test]
fn with_messages_late_lost_repeated_and_reordered() {
    holds(Budget { repeats: 1, syncs: [3, 1], ..CALM }, true);
}

#[test]
fn with_an_expiry() {
    let found = holds(Budget { ticks: 3, ..CALM }, true);
    assert!(found.refunded > 0, "{found:?}");
}

#[test]
fn with_a_new_filter() {
    holds(Budget { cache_crashes: 1, ..CALM }, true);
}

#[test]
fn with_a_new_service_on_a_store_that_stays() {
    holds(Budget { service_crashes: 1, term: 1, ..CALM }, true);
}

#[test]
fn with_a_new_service_and_a_new_store() {
    holds(Budget { service_crashes: 1, term: 1, ..CALM }, false);
}

#[test]
fn with_answers_that_are_never_finished() {
    holds(Budget { splits: 2, cancels: 1, ..CALM }, true);
}

#[test]
fn with_a_new_configuration() {
    let found = holds(Budget { configurations: 2, ..CALM }, true);
    assert!(found.refunded > 0, "{found:?}");
}

#[test]
fn with_an_end() {
    let found = holds(Budget { closes: 1, repeats: 1, ticks: 0, ..CALM }, true);
    assert!(found.refunded > 0, "{found:?}");
}

#[test]
fn a_refund_of_an_expired_lease_is_found() {
    let found = finds(Budget { ticks: 3, ..CALM }, Fault::RefundAtExpiry);
    assert!(found.contains("conservation"), "{found}");
}

#[test]
fn a_repeated_report_that_refunds_again_is_found() {
    let found = finds(Budget { repeats: 1, closes: 1, ..CALM }, Fault::RefundTwice);
    assert!(found.contains("conservation"), "{found}");
}

#[test]
fn an_answer_that_is_taken_for_a_later_one_is_found() {
    let found = finds(Budget { syncs: [3, 1], ..CALM }, Fault::TakeAnyAnswer);
    assert!(found.contains("meter") || found.contains("conservation"), "{found}");
}

#[test]
fn a_term_that_begins_when_the_answer_comes_is_found() {
    let found = finds(Budget { ticks: 3, ..CALM }, Fault::TermFromArrival);
    assert!(found.contains("meter"), "{found}");
}

#[test]
fn a_grant_without_a_charge_is_found() {
    let found = finds(CALM, Fault::GrantUncharged);
    assert!(found.contains("conservation"), "{found}");
}

/// The bound is tight: a smaller one is broken.
#[test]
fn the_units_outstanding_are_needed_in_the_bound() {
    let found = finds(Budget { direct: 6, syncs: [2, 0], spends: [2, 0], ticks: 3, ..CALM }, Fault::NoOutstanding);
    assert!(found.contains("bound"), "{found}");
}
