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

#[cfg(test)]
mod tests;

use bytes::Bytes;
use cellgate_routing::{Decision, Guard, Opening, Outcome, Reading, Reason, Router};

use crate::budget::Hold;
use crate::fields::{self, Fields};
use crate::process::held::Held;
use crate::process::message::{Change, Event, Mode, PIECE, Reply, Violation};

/// One request.
#[derive(Debug)]
pub struct Machine {
    router: Router,
    mode: Mode,
    state: State,
    hold: Hold,
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
    Awaiting(Reading),
    /// Nothing is answered, the key is looked for.
    Holding { reading: Reading, remove: Vec<String>, held: Held },
    /// Answered; the rest of the body is watched.
    Guarded(Guard),
    /// Answered; the rest passes.
    Open,
    /// The request is complete.
    Complete,
    /// The client has its answer.
    Ended,
}

/// What a chunk did to a reading.
enum Step {
    /// Not decided yet.
    More(Reading),
    /// Decided; what follows is watched, if it can matter.
    Decided(Decision, Option<Guard>),
}

impl Machine {
    /// A request that has not begun. `hold` is its share of the process's byte budget.
    #[must_use]
    pub fn new(router: Router, mode: Mode, hold: Hold) -> Self {
        Self { router, mode, state: State::Start, hold, decision: None, conflict: None, inspected: 0, grpc: false }
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
            // A local reply of an earlier filter comes without a request, so these are answered in every state.
            Event::ResponseHeaders if !self.is_ended() => replies.push(Reply::ResponseHeaders),
            Event::ResponseTrailers if !self.is_ended() => replies.push(Reply::ResponseTrailers),
            Event::ResponseHeaders | Event::ResponseTrailers => {}
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
            State::Complete | State::Ended => true,
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

    /// Pieces of this many bytes have been sent: their share of the budget is free again.
    pub fn sent(&mut self, bytes: usize) {
        self.hold.shrink(bytes as u64);
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
        self.grpc = is_grpc(fields::first(&fields, "content-type"));
        let reading = match self.router.open(fields.as_slice(), end) {
            Opening::Decided(decision) => return self.answer_head(decision, remove, end, replies),
            Opening::Read(reading) => reading,
        };
        self.state = match self.mode {
            Mode::HeadersOnly => {
                let decision = self.router.answer(Reason::BodyUnread);
                return self.answer_head(decision, remove, end, replies);
            }
            Mode::Buffered => {
                replies.push(Reply::Headers(Change { remove, decision: None }));
                State::Awaiting(reading)
            }
            Mode::Duplex => State::Holding { reading, remove, held: Held::default() },
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
            State::Start => return Err(Violation::HeadersNotFirst),
            State::Complete => return Err(Violation::AfterEnd),
            State::Awaiting(reading) => {
                let decision = match self.scan(reading, &chunk, true) {
                    Step::Decided(decision, _) => decision,
                    Step::More(mut reading) => reading.finish(),
                };
                if self.decide(decision, replies) {
                    replies.push(Reply::Body(Change { remove: Vec::new(), decision: Some(decision) }));
                    self.state = State::Complete;
                }
            }
            State::Holding { reading, remove, held } => self.hold(reading, remove, held, chunk, end, replies),
            State::Guarded(mut guard) => {
                self.inspected += chunk.len() as u64;
                let watched = guard.push(&chunk).and_then(|()| if end { guard.finish() } else { Ok(()) });
                match watched {
                    Ok(()) => {
                        echo(chunk, end, replies);
                        self.state = if end { State::Complete } else { State::Guarded(guard) };
                    }
                    Err(decision) => self.end(decision, replies),
                }
            }
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

    /// The next chunk of a body whose key is looked for.
    fn hold(
        &mut self,
        reading: Reading,
        remove: Vec<String>,
        mut held: Held,
        chunk: Bytes,
        end: bool,
        replies: &mut Vec<Reply>,
    ) {
        let step = match self.scan(reading, &chunk, end) {
            Step::More(reading) if self.hold.grow(held.cost(&chunk)) => {
                held.push(chunk);
                self.state = State::Holding { reading, remove, held };
                return;
            }
            Step::More(_) => Step::Decided(self.router.answer(Reason::Overloaded), None),
            decided @ Step::Decided(..) => decided,
        };
        if let Step::Decided(decision, guard) = step
            && self.release(decision, remove, held, replies)
        {
            echo(chunk, end, replies);
            self.state = match (end, guard) {
                (true, _) => State::Complete,
                (false, Some(guard)) => State::Guarded(guard),
                (false, None) => State::Open,
            };
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
            State::Awaiting(mut reading) => {
                // A request of headers and trailers: what would set the routing header is past.
                let decision = match reading.finish() {
                    Decision { outcome: Outcome::Cell(_), .. } => self.router.answer(Reason::BodyUnread),
                    decision => decision,
                };
                if !self.decide(decision, replies) {
                    return Ok(());
                }
            }
            State::Holding { mut reading, remove, held } => {
                let decision = reading.finish();
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

    fn deadline(&mut self, replies: &mut Vec<Reply>) -> Result<(), Violation> {
        let decision = self.router.answer(Reason::DeadlineExceeded);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start => return Err(Violation::Silence),
            // Only a body's answer can name a cell now, and when there is a body to answer, all of it is there.
            State::Awaiting(reading) if !matches!(decision.outcome, Outcome::Reject(_)) => {
                self.state = State::Awaiting(reading);
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

    /// Scans a chunk, at most up to `limits.stream_bytes` of the body, so that the decision does not depend on how
    /// the body was cut into chunks.
    fn scan(&mut self, mut reading: Reading, chunk: &[u8], end: bool) -> Step {
        let room = self.router.config().limits.stream_bytes.saturating_sub(reading.received());
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(chunk.len());
        let (now, later) = chunk.split_at(room);
        self.inspected += now.len() as u64;
        if let Err(decision) = reading.push(now) {
            return Step::Decided(decision, None);
        }
        let too_large = !later.is_empty();
        if end && !too_large {
            // All of it is here: the policy answers what is wrong with it, as where the filter holds a body. A guard could
            // only refuse.
            return Step::Decided(reading.finish(), None);
        }
        match reading.settle() {
            Ok((decision, mut guard)) => {
                self.inspected += later.len() as u64;
                let watched = guard.push(later).and_then(|()| if end { guard.finish() } else { Ok(()) });
                match watched {
                    Ok(()) => Step::Decided(decision, Some(guard)),
                    Err(conflict) => Step::Decided(conflict, None),
                }
            }
            Err(_) if too_large => Step::Decided(self.router.answer(Reason::BodyTooLarge), None),
            Err(reading) => Step::More(reading),
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

/// Whether Envoy takes a request for gRPC, and so makes a gRPC status of our answer. gRPC-Web it does not.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type.strip_prefix(b"application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
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
