//! Runs the state machine on an input, beside the oracle.

use cellgate_ext_proc::{Budget, Event, StateMachine};

use super::events::{Choices, Step};
use super::oracle::Oracle;

/// The service reserves larger messages while they arrive.
const UNCOUNTED: usize = 16 * 1024;

/// Runs one input.
///
/// # Panics
/// The state machine breaks a rule of the oracle.
pub fn run(input: &[u8]) {
    let Some((setup, steps)) = Choices::read(input) else { return };
    let budget = Budget::new(setup.budget);
    let mut machine = StateMachine::new(setup.decider.clone(), setup.mode, budget.reservation());
    let mut oracle = Oracle::new(&setup);
    // The reservations of chunks on their way to Envoy.
    let mut sending = Vec::new();
    for step in steps {
        let event = match step {
            // Envoy has taken what was sent.
            Step::Sent => {
                sending.clear();
                continue;
            }
            Step::Event(event) => event,
        };
        // As the service does: a message that does not fit is never seen.
        let mut reservation = budget.reservation();
        let event = match &event {
            Event::RequestBody { chunk, .. }
                if chunk.len() > UNCOUNTED && !reservation.try_grow(chunk.len() as u64) =>
            {
                Event::OverBudget
            }
            _ => event,
        };
        oracle.before(&event);
        machine.set_message_reservation(Some(reservation).filter(|reservation| reservation.bytes() > 0));
        let replies = match machine.on(event) {
            Ok(replies) => replies,
            Err(violation) => {
                oracle.violated(violation);
                break;
            }
        };
        for reply in &replies {
            sending.extend(oracle.replied(reply).and_then(|bytes| machine.take_reservation(bytes)));
        }
        machine.set_message_reservation(None);
        oracle.after(&machine);
        assert!(budget.used() <= setup.budget, "{} of {} bytes", budget.used(), setup.budget);
    }
    oracle.finished(&machine);
    drop((machine, sending));
    assert_eq!(budget.used(), 0, "bytes of the budget are lost");
}
