//! One request's way through the filter.
//!
//! ```text
//! New ──headers──┬─ decided ─────────────────────────────► Released, or Refused
//!                ├─ Content-Length fits ──► Holding ─end─► Released, or Refused
//!                └─ else ──► Peeking ─first bytes──┬─────► Released, or Refused
//!                                                  └─────► Guarding ──conflict──► Refused
//! ```
//!
//! - **Holding**: Envoy keeps the body until all of it is scanned. A bad body never reaches the upstream.
//! - **Peeking**: nothing may be held, because Envoy answers 413 by itself when it holds one byte and more than its
//!   buffer takes follows. So the first bytes are scanned, and the request goes on either way: decided or deferred.
//!   (If they are all the bytes there are, they decide like a held body.)
//! - **Shadowing**: from `New` on where the configuration says `shadow`: decided, and not acted upon.
//! - **Guarding**: the request is on its way. Each later chunk is scanned before Envoy passes it on, and a conflict
//!   ends the request before the upstream has a complete body.
//!
//! Each callback takes the state out and puts the next one in; what it leaves behind on an unforeseen path is
//! `Refused`.
mod shadow;
mod watch;

use std::ops::Range;
use std::rc::Rc;

use cellgate_routing::{
    CellId, Decision, Opening, Outcome, PROBLEM_CONTENT_TYPE, Reading, Reason, grpc_message, headers, is_grpc_call,
    problem,
};

use crate::defer::Mode;
use crate::host::{Host, Unreleased};
use crate::plugin::Plugin;
use crate::strip::{self, Stripped};
use watch::Watch;

/// The filter state for access logs: `%FILTER_STATE(wasm.cellgate:PLAIN)%`.
const PROPERTY: &str = "cellgate";

/// How much of the body is copied into the VM at a time. Memory of a VM never shrinks, and one callback may bring as
/// much as Envoy's whole buffer.
const WINDOW: usize = 64 * 1024;

/// The status of a request whose headers or trailers cannot be seen, or not be changed.
const UNREADABLE: u16 = 500;

/// What Envoy does after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Wait for more, or for nothing any more: the client has its answer.
    Pause,
}

/// A request and how far it has come.
#[derive(Debug)]
pub struct Request<H: Host> {
    plugin: Rc<Plugin<H>>,
    state: State,
    inspected: u64,
    /// A refusal is told in gRPC's form.
    is_grpc: bool,
}

#[derive(Debug)]
enum State {
    New(Unreleased),
    /// `seen` bytes of what Envoy holds have been scanned.
    Holding {
        unreleased: Unreleased,
        reading: Box<Reading>,
        seen: usize,
    },
    Peeking {
        unreleased: Unreleased,
        reading: Box<Reading>,
    },
    Guarding(Box<Watch>),
    Shadowing(Box<Reading>),
    Released,
    Refused,
}

impl<H: Host> Request<H> {
    /// A request whose headers Envoy is about to show.
    #[must_use]
    pub fn new(plugin: Rc<Plugin<H>>) -> Self {
        Self { plugin, state: State::New(Unreleased::at_headers()), inspected: 0, is_grpc: false }
    }

    /// The headers are complete. `end_of_stream`: nothing follows.
    pub fn on_headers(&mut self, end_of_stream: bool) -> Action {
        let unreleased = match self.take() {
            State::New(unreleased) => unreleased,
            later => return self.stay(later),
        };
        if self.plugin.router.config().shadow {
            return self.shadow_headers(end_of_stream);
        }
        let Plugin { host, router, metrics } = &*self.plugin;
        let Some(Stripped { head, count, before }) = strip::headers(host, &unreleased, router) else {
            return self.unforeseen();
        };
        metrics.stripped(count);
        self.is_grpc = is_grpc_call(&head);
        let inspect_bytes = router.config().limits.inspect_bytes;
        match before.map_or_else(|| router.open(&head, end_of_stream), Opening::Decided) {
            Opening::Decided(decision) => {
                let length = cellgate_routing::content_length(&head);
                self.conclude(unreleased, decision, Mode::choose(end_of_stream, length, inspect_bytes))
            }
            Opening::Read(reading) => {
                let reading = Box::new(reading);
                self.state = match reading.content_length() {
                    Some(length) if length <= inspect_bytes => State::Holding { unreleased, reading, seen: 0 },
                    _ => State::Peeking { unreleased, reading },
                };
                Action::Pause
            }
        }
    }

    /// Envoy holds `size` bytes: all so far while paused, the new ones only after a release.
    pub fn on_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.take() {
            State::New(_) if self.plugin.router.config().shadow => self.stay(State::Released),
            State::New(_) => self.unforeseen(),
            State::Holding { unreleased, reading, seen } => self.hold(unreleased, reading, seen..size, end_of_stream),
            State::Peeking { unreleased, reading } => self.peek(unreleased, reading, size, end_of_stream),
            State::Guarding(mut watch) => {
                let watched = self.scan(0..size, |chunk| watch.push(chunk));
                match watched.and_then(|()| if end_of_stream { watch.finish() } else { Ok(()) }) {
                    Err(decision) => self.conflict(decision, watch.cell),
                    Ok(()) => {
                        self.state = if end_of_stream { State::Released } else { State::Guarding(watch) };
                        Action::Continue
                    }
                }
            }
            State::Shadowing(reading) => self.shadow_body(reading, size, end_of_stream),
            last @ (State::Released | State::Refused) => self.stay(last),
        }
    }

    /// The trailers are complete, and with them the request. The body callback has not said `end_of_stream` then.
    pub fn on_trailers(&mut self) -> Action {
        if self.plugin.router.config().shadow {
            return self.shadow_trailers();
        }
        let Plugin { host, router, metrics } = &*self.plugin;
        let stripped = strip::trailers(host, &router.config().routing_header);
        metrics.stripped(stripped.unwrap_or_default());
        match self.take() {
            State::Refused => self.stay(State::Refused),
            State::Guarding(watch) if stripped.is_none() => self.conflict(unreadable(), watch.cell),
            State::Released if stripped.is_none() => self.conflict(unreadable(), None),
            _ if stripped.is_none() => self.unforeseen(),
            State::New(_) => self.unforeseen(),
            State::Holding { unreleased, mut reading, .. } => self.conclude(unreleased, reading.finish(), Mode::Buffer),
            State::Peeking { unreleased, mut reading } => self.conclude(unreleased, reading.finish(), Mode::Stream),
            State::Guarding(mut watch) => match watch.finish() {
                Err(decision) => self.conflict(decision, watch.cell),
                Ok(()) => {
                    self.state = State::Released;
                    Action::Continue
                }
            },
            // `Shadowing` belongs to `shadow_trailers`.
            State::Shadowing(_) | State::Released => self.stay(State::Released),
        }
    }

    /// The request is over, one way or another.
    pub fn on_end(&mut self) {
        let metrics = &self.plugin.metrics;
        metrics.inspected(std::mem::take(&mut self.inspected));
        if matches!(self.state, State::Holding { .. } | State::Peeking { .. } | State::Shadowing(_)) {
            metrics.abandoned();
            self.state = State::Refused;
        }
    }

    fn hold(&mut self, unreleased: Unreleased, mut reading: Box<Reading>, new: Range<usize>, end: bool) -> Action {
        let seen = new.end;
        let limits = self.plugin.router.config().limits;
        match self.scan(new, |chunk| reading.push(chunk)) {
            Err(decision) => self.conclude(unreleased, decision, Mode::Buffer),
            Ok(()) if end => self.conclude(unreleased, reading.finish(), Mode::Buffer),
            // More than the Content-Length that was to be held. Envoy's codecs let no such body through.
            Ok(()) if seen as u64 > limits.inspect_bytes => {
                let decision = self.plugin.router.answer(Reason::BodyTooLarge);
                self.conclude(unreleased, decision, Mode::Stream)
            }
            Ok(()) => {
                self.state = State::Holding { unreleased, reading, seen };
                Action::Pause
            }
        }
    }

    fn peek(&mut self, unreleased: Unreleased, mut reading: Box<Reading>, size: usize, end: bool) -> Action {
        let scanned = self.scan(0..size, |chunk| reading.push(chunk));
        // With its Content-Length reached, a body is complete, whatever Envoy says of the stream's end.
        let end = end || reading.content_length() == Some(reading.received());
        match scanned {
            Err(decision) => return self.conclude(unreleased, decision, Mode::Stream),
            Ok(()) if end => return self.conclude(unreleased, reading.finish(), Mode::Stream),
            // An empty frame: there was nothing to see, and nothing is held.
            Ok(()) if size == 0 => {
                self.state = State::Peeking { unreleased, reading };
                return Action::Pause;
            }
            Ok(()) => {}
        }
        let left = reading.content_length().map(|length| length.saturating_sub(reading.received()));
        match reading.settle() {
            Ok((decision, guard)) => {
                let cell = match decision.outcome {
                    Outcome::Cell(cell) => Some(cell),
                    Outcome::Pass => None,
                    // Nothing to guard: the client has its answer, or the service reads the body itself.
                    Outcome::Reject(_) | Outcome::Defer => {
                        return self.conclude(unreleased, decision, Mode::Stream);
                    }
                };
                let action = self.conclude(unreleased, decision, Mode::Stream);
                self.state = State::Guarding(Box::new(Watch::new(guard, left, cell)));
                action
            }
            Err(reading) => {
                let reason = match reading.content_length() {
                    Some(_) => Reason::BodyTooLarge,
                    None => Reason::BodyLengthUnknown,
                };
                self.conclude(unreleased, self.plugin.router.answer(reason), Mode::Stream)
            }
        }
    }

    /// Scans a range of what Envoy holds.
    fn scan(
        &mut self,
        range: Range<usize>,
        mut push: impl FnMut(&[u8]) -> Result<(), Decision>,
    ) -> Result<(), Decision> {
        // Envoy shows less than before, or not what it announced: the body is not what was scanned.
        let unread = || Err(self.plugin.router.answer(Reason::BodyUnread));
        if range.end < range.start {
            return unread();
        }
        let mut start = range.start;
        while start < range.end {
            let size = WINDOW.min(range.end - start);
            let chunk = self.plugin.host.request_body(start, size);
            if chunk.len() != size {
                return unread();
            }
            self.inspected += size as u64;
            push(&chunk)?;
            start += size;
        }
        Ok(())
    }

    /// Carries a decision out. The only way from a request that waits to one that does not.
    fn conclude(&mut self, unreleased: Unreleased, decision: Decision, mode: Mode) -> Action {
        let Plugin { host, router, metrics } = &*self.plugin;
        let Decision { outcome, reason } = decision;
        metrics.inspected(std::mem::take(&mut self.inspected));
        let released = match outcome {
            Outcome::Cell(cell) => {
                let name = router.config().cell_name(cell);
                note(host, ["cell=", name], reason);
                host.release(unreleased, Some((&router.config().routing_header, name)))
            }
            Outcome::Defer => {
                metrics.deferred(mode);
                note(host, ["defer=", mode.label()], reason);
                host.release(unreleased, Some((headers::DEFER, &mode.header(reason))))
            }
            Outcome::Pass => {
                note(host, ["pass", ""], reason);
                host.release(unreleased, None)
            }
            Outcome::Reject(status) => {
                metrics.decided(decision);
                note(host, ["reject=", &status.to_string()], reason);
                return self.refuse(status, reason);
            }
        };
        if !released {
            return self.unforeseen();
        }
        metrics.decided(decision);
        self.state = State::Released;
        Action::Continue
    }

    /// The rest of the body contradicts the decision that it was released with.
    fn conflict(&mut self, decision: Decision, sent_to: Option<CellId>) -> Action {
        let Plugin { host, router, metrics } = &*self.plugin;
        let Decision { outcome, reason } = decision;
        // A guard only ever rejects, but `body_unread` has a policy that may send a request to a cell.
        let status = if let Outcome::Reject(status) = outcome { status } else { 400 };
        let cell = sent_to.map_or("", |cell| router.config().cell_name(cell));
        metrics.conflicted();
        host.set_property(PROPERTY, &format!("reject={status};reason={reason};after={cell}"));
        self.refuse(status, reason)
    }

    /// Headers that Envoy does not show or change, or a body before them. What a client sent might still be there, so
    /// nothing may pass. No way to it is known.
    fn unforeseen(&mut self) -> Action {
        let Plugin { host, metrics, .. } = &*self.plugin;
        metrics.decided(unreadable());
        note(host, ["reject=", &UNREADABLE.to_string()], Reason::BodyUnread);
        self.refuse(UNREADABLE, Reason::BodyUnread)
    }

    fn refuse(&mut self, status: u16, reason: Reason) -> Action {
        let host = &self.plugin.host;
        if self.is_grpc {
            // Envoy makes the `grpc-status` of the status, and the `grpc-message` of the body.
            host.respond(status, "text/plain", &grpc_message(reason));
        } else {
            host.respond(status, PROBLEM_CONTENT_TYPE, &problem(status, reason));
        }
        self.state = State::Refused;
        Action::Pause
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Refused)
    }

    fn stay(&mut self, state: State) -> Action {
        let action = match &state {
            State::Guarding(_) | State::Shadowing(_) | State::Released => Action::Continue,
            State::New(_) | State::Holding { .. } | State::Peeking { .. } | State::Refused => Action::Pause,
        };
        self.state = state;
        action
    }
}

/// The answer to what cannot be seen.
fn unreadable() -> Decision {
    Decision { outcome: Outcome::Reject(UNREADABLE), reason: Reason::BodyUnread }
}

/// Tells access logs what was decided. Every request has a note, so it is put together in one piece.
fn note<H: Host>(host: &H, outcome: [&str; 2], reason: Reason) {
    let [kind, value] = outcome;
    host.set_property(PROPERTY, &[kind, value, ";reason=", reason.label()].concat());
}

#[cfg(test)]
mod tests;
