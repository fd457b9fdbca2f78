//! One request's way through the protocol, as an explicit state machine.
//!
//! ```text
//!            headers           body            key known           end of body
//!   Start ─┬────────► Awaiting ─────────────────────────────────────────────────► Complete   BUFFERED
//!          ├────────► Holding ─────► Holding ───────────► Guarded ──────────────► Complete   FULL_DUPLEX_STREAMED
//!          └─ decided at once ──────────────────────────► Open ─────────────────► Complete   every mode
//! ```
//!
//! From every state a rejection leads to `Ended`. In `Guarded` each chunk is scanned before it is echoed, so that a
//! second key or a syntax error ends the request before the upstream has a complete body.
//!
//! Envoy's rules that shape this: BUFFERED wants an answer to the headers before it sends the body, and applies the
//! header mutation of the body's answer; FULL_DUPLEX_STREAMED wants none until we know, and then every byte back, in
//! order, in pieces of at most 64 KiB.
//!
//! It is the whole protocol: `request` only turns Envoy's messages into [`Event`]s, and `response` [`Reply`]s into
//! Envoy's messages.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use cellgate_routing::{Decision, Guard, Opening, Outcome, Reason, Router, is_grpc_call};

use crate::budget::Hold;
use crate::fields::{self, Fields};
use crate::process::body_buffer::Held;
use crate::process::event::{Change, Event, Mode, PIECE, Reply, Violation};
use crate::process::key_search::{Found, Search};

/// One request.
#[derive(Debug)]
pub struct Machine {
    router: Router,
    mode: Mode,
    state: State,
    hold: Hold,
    /// What the message at hand holds of the budget already.
    arrived: Option<Hold>,
    decision: Option<Decision>,
    conflict: Option<Decision>,
    inspected: u64,
    grpc: bool,
}

#[derive(Debug)]
enum State {
    /// The head has not come.
    Start,
    /// The head is answered, the whole body is awaited.
    Awaiting(Search),
    /// Nothing is answered, the key is looked for.
    Holding { search: Search, remove: Vec<String>, held: Held },
    /// Answered; the rest of the body is watched.
    Guarded(Guard),
    /// Answered; the rest passes.
    Open,
    /// Envoy itself answered the client, in the middle of the request: nothing of it is wanted any more.
    GivenUp,
    /// The request is complete.
    Complete,
    /// The client has its answer.
    Ended,
}

impl Machine {
    /// A request that has not begun. `hold` is its share of the process's byte budget.
    #[must_use]
    pub fn new(router: Router, mode: Mode, hold: Hold) -> Self {
        Self {
            router,
            mode,
            state: State::Start,
            hold,
            arrived: None,
            decision: None,
            conflict: None,
            inspected: 0,
            grpc: false,
        }
    }

    /// What to send for an event, in this order.
    ///
    /// # Errors
    /// The stream must end with an error status; the machine is of no more use.
    pub fn on(&mut self, event: Event) -> Result<Vec<Reply>, Violation> {
        if let Event::RequestHeaders { fields, .. } | Event::RequestTrailers(fields) = &event
            && fields.len() > fields::MAX_FIELDS
        {
            return Err(Violation::TooManyFields);
        }
        let mut replies = Vec::new();
        match event {
            Event::RequestHeaders { fields, end_of_stream } => self.headers(fields, end_of_stream, &mut replies)?,
            Event::RequestBody { chunk, end_of_stream } => self.body(chunk, end_of_stream, &mut replies)?,
            Event::RequestTrailers(fields) => self.trailers(fields, &mut replies)?,
            Event::Deadline => self.deadline(&mut replies)?,
            Event::NoRoom => self.no_room(&mut replies)?,
            Event::ResponseHeaders => self.response(Reply::ResponseHeaders, &mut replies),
            Event::ResponseTrailers => self.response(Reply::ResponseTrailers, &mut replies),
        }
        Ok(replies)
    }

    /// Whether a decision is still due.
    #[must_use]
    pub fn is_deciding(&self) -> bool {
        matches!(self.state, State::Start | State::Awaiting(_) | State::Holding { .. })
    }

    /// Whether the client has its answer, so that nothing more is to be said.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether the peer may end the stream now without having lost anything.
    #[must_use]
    pub fn may_end(&self) -> bool {
        match self.state {
            State::Complete | State::GivenUp | State::Ended => true,
            // An answered request whose body does not come here; or no request at all.
            State::Open => self.mode != Mode::Duplex,
            State::Start => true,
            State::Awaiting(_) | State::Holding { .. } | State::Guarded(_) => false,
        }
    }

    /// The decision, once there is one.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// What ended the request after its decision had been sent, if anything did.
    #[must_use]
    pub fn conflict(&self) -> Option<Decision> {
        self.conflict
    }

    /// Body bytes scanned so far.
    #[must_use]
    pub fn inspected(&self) -> u64 {
        self.inspected
    }

    /// The next message holds this much of the budget already, from when it arrived. None: the message at hand is dealt
    /// with.
    pub fn arrived(&mut self, share: Option<Hold>) {
        self.arrived = share;
    }

    /// The share of the budget that these bytes of a piece have: they are held until it is dropped.
    pub fn share(&mut self, bytes: usize) -> Option<Hold> {
        let bytes = bytes as u64;
        self.hold.split(bytes).or_else(|| self.arrived.as_mut()?.split(bytes))
    }

    /// What it holds of the process's byte budget.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.hold.bytes()
    }

    fn headers(&mut self, mut fields: Fields, end: bool, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        match self.state {
            State::Start => {}
            State::Ended => return Ok(()),
            _ => return Err(Violation::HeadersTwice),
        }
        let mut remove = fields::strip(&mut fields, &self.router.config().routing_header);
        // Always: Envoy must not keep one that came after its limits or in a form we were not sent.
        if !remove.iter().any(|name| **name == *self.router.config().routing_header) {
            remove.push(self.router.config().routing_header.to_string());
        }
        self.grpc = is_grpc_call(fields.as_slice());
        let search = match self.router.open(fields.as_slice(), end) {
            Opening::Decided(decision) => return self.answer_head(decision, remove, end, replies),
            Opening::Read(reading) => Search::Reading(reading),
        };
        self.state = match self.mode {
            Mode::HeadersOnly => {
                let decision = self.router.answer(Reason::BodyUnread);
                return self.answer_head(decision, remove, end, replies);
            }
            Mode::Buffered => {
                replies.push(Reply::Headers(Change { remove, decision: None }));
                State::Awaiting(search)
            }
            Mode::Duplex => State::Holding { search, remove, held: Held::default() },
        };
        Ok(())
    }

    fn answer_head(
        &mut self,
        decision: Decision,
        remove: Vec<String>,
        end: bool,
        replies: &mut Vec<Reply>,
    ) -> Result<(), Violation> {
        if self.decide(decision, replies) {
            replies.push(Reply::Headers(Change { remove, decision: Some(decision) }));
            self.state = if end { State::Complete } else { State::Open };
        }
        Ok(())
    }

    fn body(&mut self, chunk: Bytes, end: bool, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => {}
            State::GivenUp => self.state = State::GivenUp,
            State::Start => return Err(Violation::HeadersNotFirst),
            State::Complete => return Err(Violation::AfterEnd),
            // However bad the body is, this is all that Envoy sends of it.
            State::Awaiting(mut search) => {
                self.inspected += search.push(&self.router, &chunk);
                let decision = search.finish();
                if self.decide(decision, replies) {
                    replies.push(Reply::Body(Change { remove: Vec::new(), decision: Some(decision) }));
                    self.state = State::Complete;
                }
            }
            State::Holding { mut search, remove, held } => {
                self.inspected += search.push(&self.router, &chunk);
                match search.message_ends(end) {
                    Found::Nothing(search) => self.keep(search, remove, held, chunk, replies),
                    Found::Decision(decision, guard) => {
                        self.let_go(decision, guard, remove, held, chunk, end, replies);
                    }
                }
            }
            State::Guarded(guard) => self.watch(guard, chunk, end, replies),
            State::Open => match self.mode {
                Mode::HeadersOnly => return Err(Violation::BodyUnexpected),
                Mode::Buffered => {
                    replies.push(Reply::Body(Change::default()));
                    self.state = State::Complete;
                }
                Mode::Duplex => {
                    echo(chunk, end, replies);
                    self.state = if end { State::Complete } else { State::Open };
                }
            },
        }
        Ok(())
    }

    /// Holds the next bytes of a body whose key is looked for, if there is room for them.
    fn keep(&mut self, search: Search, remove: Vec<String>, mut held: Held, bytes: Bytes, replies: &mut Vec<Reply>) {
        let mut cost = held.cost(&bytes);
        if let Some(share) = self.arrived.as_mut().and_then(|arrived| arrived.split(cost)) {
            cost -= share.bytes();
            self.hold.absorb(share);
        }
        if self.hold.grow(cost) {
            held.push(bytes);
            self.state = State::Holding { search, remove, held };
            return;
        }
        let (decision, guard) = match search {
            // What has its key needs no room.
            Search::Settled(decision, guard) => (decision, Some(guard)),
            Search::Reading(_) | Search::Decided(_) => (self.router.answer(Reason::Overloaded), None),
        };
        self.let_go(decision, guard, remove, held, bytes, false, replies);
    }

    /// Decided: what was held goes back, and the newest bytes behind it, unless the client is answered instead.
    #[expect(clippy::too_many_arguments, reason = "all that the state held, taken apart")]
    fn let_go(
        &mut self,
        decision: Decision,
        guard: Option<Guard>,
        remove: Vec<String>,
        held: Held,
        bytes: Bytes,
        end: bool,
        replies: &mut Vec<Reply>,
    ) {
        if self.release(decision, remove, held, replies) {
            echo(bytes, end, replies);
            self.state = match (end, guard) {
                (true, _) => State::Complete,
                (false, Some(guard)) => State::Guarded(guard),
                (false, None) => State::Open,
            };
        }
    }

    /// Looks at bytes behind the decision before it sends them back.
    fn watch(&mut self, mut guard: Guard, bytes: Bytes, end: bool, replies: &mut Vec<Reply>) {
        self.inspected += bytes.len() as u64;
        match guard.push(&bytes).and_then(|()| if end { guard.finish() } else { Ok(()) }) {
            Ok(()) => {
                echo(bytes, end, replies);
                self.state = if end { State::Complete } else { State::Guarded(guard) };
            }
            Err(decision) => self.end(decision, replies),
        }
    }

    fn trailers(&mut self, mut fields: Fields, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let remove = fields::strip(&mut fields, &self.router.config().routing_header);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Ok(()),
            State::Start => return Err(Violation::HeadersNotFirst),
            // In BUFFERED mode the trailers follow the answered body.
            State::Complete if self.mode != Mode::Buffered => return Err(Violation::AfterEnd),
            State::Complete | State::Open => {}
            State::GivenUp => {
                self.state = State::GivenUp;
                return Ok(());
            }
            State::Awaiting(search) => {
                // A request of headers and trailers: what would set the routing header is past.
                let decision = match search.finish() {
                    Decision { outcome: Outcome::Cell(_), .. } => self.router.answer(Reason::BodyUnread),
                    decision => decision,
                };
                if !self.decide(decision, replies) {
                    return Ok(());
                }
            }
            State::Holding { search, remove, held } => {
                let decision = search.finish();
                if !self.release(decision, remove, held, replies) {
                    return Ok(());
                }
            }
            State::Guarded(mut guard) => {
                if let Err(decision) = guard.finish() {
                    self.end(decision, replies);
                    return Ok(());
                }
            }
        }
        self.state = State::Complete;
        replies.push(Reply::Trailers { remove });
        Ok(())
    }

    /// A local reply of an earlier filter comes without a request, so this is answered in every state. While a request is
    /// held, only Envoy itself can have answered the client: what is held goes, so that no peer that takes nothing
    /// more, and then is not asked for a decision either, can make us keep it.
    fn response(&mut self, reply: Reply, replies: &mut Vec<Reply>) {
        if self.is_ended() {
            return;
        }
        if matches!(self.state, State::Holding { .. }) {
            self.hold.clear();
            self.state = State::GivenUp;
        }
        replies.push(reply);
    }

    fn deadline(&mut self, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let decision = self.router.answer(Reason::DeadlineExceeded);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start => return Err(Violation::Silence),
            // Only a body's answer can name a cell now, and when there is a body to answer, all of it is there.
            State::Awaiting(search) if !matches!(decision.outcome, Outcome::Reject(_)) => {
                self.state = State::Awaiting(search);
            }
            State::Awaiting(_) => {
                self.decide(decision, replies);
            }
            State::Holding { remove, held, .. } => {
                if self.release(decision, remove, held, replies) {
                    self.state = State::Open;
                }
            }
            decided => self.state = decided,
        }
        Ok(())
    }

    /// A message is lost: no request that goes on would be whole.
    fn no_room(&mut self, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let decision = self.router.answer(Reason::Overloaded);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Awaiting(_) | State::Holding { .. } if matches!(decision.outcome, Outcome::Reject(_)) => {
                self.decide(decision, replies);
                Ok(())
            }
            State::GivenUp => {
                self.state = State::GivenUp;
                Ok(())
            }
            _ => Err(Violation::NoRoom),
        }
    }

    /// Answers the head, then sends back what was held. False if the client was answered instead.
    fn release(&mut self, decision: Decision, remove: Vec<String>, held: Held, replies: &mut Vec<Reply>) -> bool {
        if !self.decide(decision, replies) {
            return false;
        }
        replies.push(Reply::Headers(Change { remove, decision: Some(decision) }));
        // From now on each piece gives its bytes back as it leaves.
        self.hold.shrink(held.overhead());
        for chunk in held.into_chunks() {
            echo(chunk, false, replies);
        }
        true
    }

    /// Notes the decision. False, and the client answered, if the request does not go on.
    fn decide(&mut self, decision: Decision, replies: &mut Vec<Reply>) -> bool {
        self.decision = Some(decision);
        let status = match decision.outcome {
            Outcome::Cell(_) | Outcome::Pass => return true,
            Outcome::Reject(status) => status,
            // The service's router never defers; if it did, nobody would be left to decide.
            Outcome::Defer => 500,
        };
        self.reject(status, decision.reason, replies);
        false
    }

    /// Ends a request that is already on its way.
    fn end(&mut self, decision: Decision, replies: &mut Vec<Reply>) {
        self.conflict = Some(decision);
        let status = match decision.outcome {
            Outcome::Reject(status) => status,
            Outcome::Cell(_) | Outcome::Pass | Outcome::Defer => 400,
        };
        self.reject(status, decision.reason, replies);
    }

    fn reject(&mut self, status: u16, reason: Reason, replies: &mut Vec<Reply>) {
        self.hold.clear();
        self.state = State::Ended;
        replies.push(Reply::Immediate { status, reason, grpc: self.grpc });
    }
}

/// Sends a chunk back in pieces. An empty one matters only if it ends the body.
fn echo(mut chunk: Bytes, end: bool, replies: &mut Vec<Reply>) {
    while chunk.len() > PIECE {
        replies.push(Reply::Piece { bytes: chunk.split_to(PIECE), end_of_stream: false });
    }
    if end || !chunk.is_empty() {
        replies.push(Reply::Piece { bytes: chunk, end_of_stream: end });
    }
}
