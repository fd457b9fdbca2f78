//! A request that is decided and left as it is: nothing is changed, held, refused or deferred.

use cellgate_routing::{Decision, Opening, Outcome, Reading, content_length};

use super::{Action, Request, State, note, unreadable};
use crate::defer::Mode;
use crate::host::Host;
use crate::plugin::Plugin;
use crate::strip;

impl<H: Host> Request<H> {
    pub(super) fn shadow_headers(&mut self, end_of_stream: bool) -> Action {
        let Plugin { host, router, metrics } = &*self.plugin;
        let Some(head) = host.request_headers() else { return self.tell(unreadable(), Mode::Headers) };
        let would_go = strip::reserved(&head, &router.config().routing_header).count();
        metrics.stripped(would_go as u64);
        match router.open(&head, end_of_stream) {
            Opening::Decided(decision) => {
                let inspect_bytes = router.config().limits.inspect_bytes;
                self.tell(decision, Mode::choose(end_of_stream, content_length(&head), inspect_bytes))
            }
            Opening::Read(reading) => {
                self.state = State::Shadowing(Box::new(reading));
                Action::Continue
            }
        }
    }

    /// A chunk that Envoy is about to pass on. The body is read to its end however large it is, because nothing of it is
    /// held: so what the filter would have deferred for its size is decided as the service decides it.
    pub(super) fn shadow_body(&mut self, mut reading: Box<Reading>, size: usize, end_of_stream: bool) -> Action {
        let scanned = self.scan(0..size, |chunk| reading.push(chunk));
        let end = end_of_stream || reading.content_length() == Some(reading.received());
        match scanned {
            Err(decision) => self.tell(decision, Mode::Stream),
            Ok(()) if end => self.tell(reading.finish(), Mode::Stream),
            Ok(()) => {
                self.state = State::Shadowing(reading);
                Action::Continue
            }
        }
    }

    pub(super) fn shadow_trailers(&mut self) -> Action {
        match self.take() {
            State::Shadowing(mut reading) => self.tell(reading.finish(), Mode::Stream),
            _ => self.stay(State::Released),
        }
    }

    /// Counts a decision and tells access logs of it: all that a shadow does.
    fn tell(&mut self, decision: Decision, mode: Mode) -> Action {
        let Plugin { host, router, metrics } = &*self.plugin;
        let Decision { outcome, reason } = decision;
        metrics.inspected(std::mem::take(&mut self.inspected));
        metrics.decided(decision);
        match outcome {
            Outcome::Cell(cell) => note(host, ["shadow;cell=", router.config().cell_name(cell)], reason),
            Outcome::Defer => note(host, ["shadow;defer=", mode.label()], reason),
            Outcome::Pass => note(host, ["shadow;pass", ""], reason),
            Outcome::Reject(status) => note(host, ["shadow;reject=", &status.to_string()], reason),
        }
        self.state = State::Released;
        Action::Continue
    }
}
