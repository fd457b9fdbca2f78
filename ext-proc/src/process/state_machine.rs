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

use crate::budget::Reservation;
use crate::fields::{self, Fields};
use crate::process::body_buffer::BodyBuffer;
use crate::process::event::{BodyMode, Event, HeadMutation, MAX_CHUNK, Reply, Violation};
use crate::process::key_search::{KeySearch, SearchResult};

/// One request.
#[derive(Debug)]
pub struct StateMachine {
    router: Router,
    mode: BodyMode,
    state: RequestState,
    reservation: Reservation,
    /// What the message at hand holds of the budget already.
    arrived: Option<Reservation>,
    decision: Option<Decision>,
    conflict: Option<Decision>,
    inspected: u64,
    grpc: bool,
}

#[derive(Debug)]
enum RequestState {
    /// The head has not come.
    AwaitingHeaders,
    /// The head is answered, the whole body is awaited.
    AwaitingBody(KeySearch),
    /// Nothing is answered, the key is looked for.
    Holding { search: KeySearch, remove: Vec<String>, held: BodyBuffer },
    /// Answered; the rest of the body is watched.
    Guarding(Guard),
    /// Answered; the rest passes.
    PassingThrough,
    /// Envoy itself answered the client, in the middle of the request: nothing of it is wanted any more.
    Abandoned,
    /// The request is complete.
    Complete,
    /// The client has its answer.
    Rejected,
}

impl StateMachine {
    /// A request that has not begun. `hold` is its share of the process's byte budget.
    #[must_use]
    pub fn new(router: Router, mode: BodyMode, reservation: Reservation) -> Self {
        Self {
            router,
            mode,
            state: RequestState::AwaitingHeaders,
            reservation,
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
        matches!(
            self.state,
            RequestState::AwaitingHeaders | RequestState::AwaitingBody(_) | RequestState::Holding { .. }
        )
    }

    /// Whether the client has its answer, so that nothing more is to be said.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, RequestState::Rejected)
    }

    /// Whether the peer may end the stream now without having lost anything.
    #[must_use]
    pub fn may_end(&self) -> bool {
        match self.state {
            RequestState::Complete | RequestState::Abandoned | RequestState::Rejected => true,
            // An answered request whose body does not come here; or no request at all.
            RequestState::PassingThrough => self.mode != BodyMode::Duplex,
            RequestState::AwaitingHeaders => true,
            RequestState::AwaitingBody(_) | RequestState::Holding { .. } | RequestState::Guarding(_) => false,
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
    pub fn set_message_reservation(&mut self, share: Option<Reservation>) {
        self.arrived = share;
    }

    /// The share of the budget that these bytes of a piece have: they are held until it is dropped.
    pub fn take_reservation(&mut self, bytes: usize) -> Option<Reservation> {
        let bytes = bytes as u64;
        self.reservation.split(bytes).or_else(|| self.arrived.as_mut()?.split(bytes))
    }

    /// What it holds of the process's byte budget.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.reservation.bytes()
    }

    fn headers(&mut self, mut fields: Fields, end: bool, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        match self.state {
            RequestState::AwaitingHeaders => {}
            RequestState::Rejected => return Ok(()),
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
            Opening::Read(reading) => KeySearch::Reading(reading),
        };
        self.state = match self.mode {
            BodyMode::HeadersOnly => {
                let decision = self.router.answer(Reason::BodyUnread);
                return self.answer_head(decision, remove, end, replies);
            }
            BodyMode::Buffered => {
                replies.push(Reply::Headers(HeadMutation { remove, decision: None }));
                RequestState::AwaitingBody(search)
            }
            BodyMode::Duplex => RequestState::Holding { search, remove, held: BodyBuffer::default() },
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
            replies.push(Reply::Headers(HeadMutation { remove, decision: Some(decision) }));
            self.state = if end { RequestState::Complete } else { RequestState::PassingThrough };
        }
        Ok(())
    }

    fn body(&mut self, chunk: Bytes, end: bool, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        match std::mem::replace(&mut self.state, RequestState::Rejected) {
            RequestState::Rejected => {}
            RequestState::Abandoned => self.state = RequestState::Abandoned,
            RequestState::AwaitingHeaders => return Err(Violation::HeadersNotFirst),
            RequestState::Complete => return Err(Violation::AfterEnd),
            // However bad the body is, this is all that Envoy sends of it.
            RequestState::AwaitingBody(mut search) => {
                self.inspected += search.push(&self.router, &chunk);
                let decision = search.finish();
                if self.decide(decision, replies) {
                    replies.push(Reply::Body(HeadMutation { remove: Vec::new(), decision: Some(decision) }));
                    self.state = RequestState::Complete;
                }
            }
            RequestState::Holding { mut search, remove, held } => {
                self.inspected += search.push(&self.router, &chunk);
                match search.message_ends(end) {
                    SearchResult::Nothing(search) => self.keep(search, remove, held, chunk, replies),
                    SearchResult::Decision(decision, guard) => {
                        self.let_go(decision, guard, remove, held, chunk, end, replies);
                    }
                }
            }
            RequestState::Guarding(guard) => self.watch(guard, chunk, end, replies),
            RequestState::PassingThrough => match self.mode {
                BodyMode::HeadersOnly => return Err(Violation::BodyUnexpected),
                BodyMode::Buffered => {
                    replies.push(Reply::Body(HeadMutation::default()));
                    self.state = RequestState::Complete;
                }
                BodyMode::Duplex => {
                    echo(chunk, end, replies);
                    self.state = if end { RequestState::Complete } else { RequestState::PassingThrough };
                }
            },
        }
        Ok(())
    }

    /// Holds the next bytes of a body whose key is looked for, if there is room for them.
    fn keep(
        &mut self,
        search: KeySearch,
        remove: Vec<String>,
        mut held: BodyBuffer,
        bytes: Bytes,
        replies: &mut Vec<Reply>,
    ) {
        let mut cost = held.cost(&bytes);
        if let Some(share) = self.arrived.as_mut().and_then(|arrived| arrived.split(cost)) {
            cost -= share.bytes();
            self.reservation.merge(share);
        }
        if self.reservation.try_grow(cost) {
            held.push(bytes);
            self.state = RequestState::Holding { search, remove, held };
            return;
        }
        let (decision, guard) = match search {
            // What has its key needs no room.
            KeySearch::Settled(decision, guard) => (decision, Some(guard)),
            KeySearch::Reading(_) | KeySearch::Decided(_) => (self.router.answer(Reason::Overloaded), None),
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
        held: BodyBuffer,
        bytes: Bytes,
        end: bool,
        replies: &mut Vec<Reply>,
    ) {
        if self.release(decision, remove, held, replies) {
            echo(bytes, end, replies);
            self.state = match (end, guard) {
                (true, _) => RequestState::Complete,
                (false, Some(guard)) => RequestState::Guarding(guard),
                (false, None) => RequestState::PassingThrough,
            };
        }
    }

    /// Looks at bytes behind the decision before it sends them back.
    fn watch(&mut self, mut guard: Guard, bytes: Bytes, end: bool, replies: &mut Vec<Reply>) {
        self.inspected += bytes.len() as u64;
        match guard.push(&bytes).and_then(|()| if end { guard.finish() } else { Ok(()) }) {
            Ok(()) => {
                echo(bytes, end, replies);
                self.state = if end { RequestState::Complete } else { RequestState::Guarding(guard) };
            }
            Err(decision) => self.end(decision, replies),
        }
    }

    fn trailers(&mut self, mut fields: Fields, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let remove = fields::strip(&mut fields, &self.router.config().routing_header);
        match std::mem::replace(&mut self.state, RequestState::Rejected) {
            RequestState::Rejected => return Ok(()),
            RequestState::AwaitingHeaders => return Err(Violation::HeadersNotFirst),
            // In BUFFERED mode the trailers follow the answered body.
            RequestState::Complete if self.mode != BodyMode::Buffered => return Err(Violation::AfterEnd),
            RequestState::Complete | RequestState::PassingThrough => {}
            RequestState::Abandoned => {
                self.state = RequestState::Abandoned;
                return Ok(());
            }
            RequestState::AwaitingBody(search) => {
                // A request of headers and trailers: what would set the routing header is past.
                let decision = match search.finish() {
                    Decision { outcome: Outcome::Cell(_), .. } => self.router.answer(Reason::BodyUnread),
                    decision => decision,
                };
                if !self.decide(decision, replies) {
                    return Ok(());
                }
            }
            RequestState::Holding { search, remove, held } => {
                let decision = search.finish();
                if !self.release(decision, remove, held, replies) {
                    return Ok(());
                }
            }
            RequestState::Guarding(mut guard) => {
                if let Err(decision) = guard.finish() {
                    self.end(decision, replies);
                    return Ok(());
                }
            }
        }
        self.state = RequestState::Complete;
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
        if matches!(self.state, RequestState::Holding { .. }) {
            self.reservation.release_all();
            self.state = RequestState::Abandoned;
        }
        replies.push(reply);
    }

    fn deadline(&mut self, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let decision = self.router.answer(Reason::DeadlineExceeded);
        match std::mem::replace(&mut self.state, RequestState::Rejected) {
            RequestState::AwaitingHeaders => return Err(Violation::Silence),
            // Only a body's answer can name a cell now, and when there is a body to answer, all of it is there.
            RequestState::AwaitingBody(search) if !matches!(decision.outcome, Outcome::Reject(_)) => {
                self.state = RequestState::AwaitingBody(search);
            }
            RequestState::AwaitingBody(_) => {
                self.decide(decision, replies);
            }
            RequestState::Holding { remove, held, .. } => {
                if self.release(decision, remove, held, replies) {
                    self.state = RequestState::PassingThrough;
                }
            }
            decided => self.state = decided,
        }
        Ok(())
    }

    /// A message is lost: no request that goes on would be whole.
    fn no_room(&mut self, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let decision = self.router.answer(Reason::Overloaded);
        match std::mem::replace(&mut self.state, RequestState::Rejected) {
            RequestState::AwaitingBody(_) | RequestState::Holding { .. }
                if matches!(decision.outcome, Outcome::Reject(_)) =>
            {
                self.decide(decision, replies);
                Ok(())
            }
            RequestState::Abandoned => {
                self.state = RequestState::Abandoned;
                Ok(())
            }
            _ => Err(Violation::NoRoom),
        }
    }

    /// Answers the head, then sends back what was held. False if the client was answered instead.
    fn release(&mut self, decision: Decision, remove: Vec<String>, held: BodyBuffer, replies: &mut Vec<Reply>) -> bool {
        if !self.decide(decision, replies) {
            return false;
        }
        replies.push(Reply::Headers(HeadMutation { remove, decision: Some(decision) }));
        // From now on each piece gives its bytes back as it leaves.
        self.reservation.release(held.overhead());
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
        self.reservation.release_all();
        self.state = RequestState::Rejected;
        replies.push(Reply::Immediate { status, reason, grpc: self.grpc });
    }
}

/// Sends a chunk back in pieces. An empty one matters only if it ends the body.
fn echo(mut chunk: Bytes, end: bool, replies: &mut Vec<Reply>) {
    while chunk.len() > MAX_CHUNK {
        replies.push(Reply::BodyChunk { bytes: chunk.split_to(MAX_CHUNK), end_of_stream: false });
    }
    if end || !chunk.is_empty() {
        replies.push(Reply::BodyChunk { bytes: chunk, end_of_stream: end });
    }
}
