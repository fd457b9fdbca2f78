//! Runs the state machine on an input, beside the oracle.

use cellgate_ext_proc::{Budget, Event, Reservation, StateMachine, Violation};

use super::events::{Choices, Step};
use super::oracle::Oracle;

/// The service reserves larger messages while they arrive.
const UNCOUNTED: usize = 16 * 1024;

/// A stream of the service, without its waits: bytes that do not fit at once never fit.
struct Stream<'a> {
    machine: StateMachine,
    oracle: Oracle<'a>,
    /// The stream's account in the byte budget.
    account: Reservation,
    /// The reservations of chunks on their way to Envoy.
    sending: Vec<Reservation>,
}

/// Runs one input.
///
/// # Panics
/// The state machine breaks a rule of the oracle.
pub fn run(input: &[u8]) {
    let Some((setup, steps)) = Choices::read(input) else { return };
    let budget = Budget::new(setup.budget);
    let account = budget.reservation();
    let machine = StateMachine::new(setup.decider.clone(), setup.mode, account.another());
    let mut stream = Stream { machine, oracle: Oracle::new(&setup), account, sending: Vec::new() };
    for step in steps {
        match step {
            // Envoy has taken what was sent.
            Step::Sent => stream.sending.clear(),
            Step::Event(event) => {
                if let Err(violation) = stream.receive(event) {
                    stream.oracle.violated(violation);
                    break;
                }
            }
        }
        assert!(budget.used() <= setup.budget, "{} of {} bytes", budget.used(), setup.budget);
    }
    stream.oracle.finished(&stream.machine);
    drop(stream);
    assert_eq!(budget.used(), 0, "bytes of the budget are lost");
}

impl Stream<'_> {
    /// Takes a message as the service does. One that does not fit is never seen.
    fn receive(&mut self, event: Event) -> Result<(), Violation> {
        let mut message = self.account.another();
        let event = match &event {
            Event::RequestBody { chunk, .. } if chunk.len() > UNCOUNTED && !message.try_grow(chunk.len() as u64) => {
                Event::OverBudget
            }
            _ => event,
        };
        self.step(event, Some(message).filter(|message| message.bytes() > 0))?;
        let bytes = self.machine.shortfall();
        let mut more = self.account.another();
        if bytes > 0 && !more.try_grow(bytes) {
            self.step(Event::NoRoom, None)?;
        } else {
            self.machine.cover(more);
        }
        assert_eq!(self.machine.shortfall(), 0);
        self.oracle.after(&self.machine);
        Ok(())
    }

    fn step(&mut self, event: Event, message: Option<Reservation>) -> Result<(), Violation> {
        self.oracle.before(&event);
        self.machine.set_message_reservation(message);
        for reply in &self.machine.on(event)? {
            let reservation = self.oracle.replied(reply).and_then(|bytes| self.machine.take_reservation(bytes));
            self.sending.extend(reservation);
        }
        self.machine.set_message_reservation(None);
        Ok(())
    }
}
