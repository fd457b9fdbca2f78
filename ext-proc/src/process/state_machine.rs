//! The ext_proc protocol of one request, as an explicit state machine.
//!
//! ```text
//!                    headers            body           key found           end of body
//!   AwaitingHeaders ─┬───────► AwaitingBody ─────────────────────────────────────────► Complete   BUFFERED
//!                    ├───────► Holding ─────► Holding ──────────► Guarding ──────────► Complete   FULL_DUPLEX_STREAMED
//!                    └─ decided from the headers ───────► PassingThrough ────────────► Complete   every mode
//! ```
//!
//! A rejection leads from every state to `Rejected`. In `Guarding` each chunk is scanned before it is sent back, so that a
//! second key or a syntax error ends the request before the upstream has a complete body.
//!
//! A decision that rate limits count leads to `Limiting` first. The caller checks the charges before it does anything else, and
//! the answer leads on as the decision would have.
//!
//! Two rules of Envoy shape this. In BUFFERED mode it expects an answer to the headers before it sends the body, and it
//! applies the header mutation of the body's answer. In FULL_DUPLEX_STREAMED mode it waits for the first answer, and then
//! expects every byte back, in order, in chunks of at most 64 KiB.

mod answers;
mod coverage;
mod limiting;
mod recording;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use cellgate_routing::{
    Decider, Decision, DueLimits, Guard, Handover, Head, HeadResult, Outcome, Reason, RefusedType, ResponseNeeds,
    is_grpc_call,
};

use crate::budget::Reservation;
use crate::fields::{self, Attributes, Fields, RequestHead};
use crate::process::body_buffer::BodyBuffer;
use crate::process::decision_trace::DecisionTrace;
use crate::process::demand::demand;
use crate::process::event::{BodyMode, Event, HeadMutation, LimitFields, Reply, ResponseDemand, Violation};
use crate::process::key_search::{HeadDecision, KeySearch, Progress};
use limiting::{Step, Undecided};

/// The state of one request.
#[derive(Debug)]
pub struct StateMachine {
    decider: Decider,
    mode: BodyMode,
    state: RequestState,
    /// Covers the body buffer, and afterwards the chunks that go back.
    reservation: Reservation,
    /// Covers the decoders of an encoded body.
    decoder_reservation: Reservation,
    /// Bytes of the body buffer that `reservation` does not cover yet.
    buffer_shortfall: u64,
    /// Bytes of the decoders that `decoder_reservation` does not cover yet.
    decoder_shortfall: u64,
    /// Covers the message that is being handled, if it was large.
    message_reservation: Option<Reservation>,
    /// Replies to the event that is being handled.
    replies: Vec<Reply>,
    decision: Option<Decision>,
    conflict: Option<Decision>,
    inspected: u64,
    grpc: bool,
    /// The Content-Type, if the request is refused for it.
    refused_type: Option<RefusedType>,
    /// The rate limits that may count the request.
    due: DueLimits,
    /// The fields of the limits that were checked.
    limit_fields: Option<Box<LimitFields>>,
    /// The parts of the response that its limits need.
    response_needs: ResponseNeeds,
    /// If the request is traced.
    trace: Option<Box<DecisionTrace>>,
}

#[derive(Debug)]
enum RequestState {
    /// The request has not begun.
    AwaitingHeaders,
    /// The headers are answered. The whole body comes in one message.
    AwaitingBody(KeySearch),
    /// Nothing is answered yet. The key may be in the rest of the body.
    Holding { search: KeySearch, held: HeldRequest },
    /// The decision is made, and its rate limits are not checked yet. Nothing is read meanwhile.
    Limiting(Box<Undecided>),
    /// The decision is sent. The rest of the body is scanned before it is sent back.
    Guarding(Guard),
    /// The decision is sent. The rest of the request passes unread.
    PassingThrough,
    /// Envoy itself answered the client while the request was held.
    Abandoned,
    /// The request is complete.
    Complete,
    /// The client has received a refusal.
    Rejected,
}

/// The part of a request that is not answered yet.
#[derive(Debug)]
struct HeldRequest {
    /// Header names that the answer to the headers must remove.
    remove: Vec<String>,
    buffer: BodyBuffer,
}

impl StateMachine {
    /// A request that has not begun. `reservation` must be empty.
    #[must_use]
    pub fn new(decider: Decider, mode: BodyMode, reservation: Reservation) -> Self {
        Self {
            decider,
            mode,
            state: RequestState::AwaitingHeaders,
            decoder_reservation: reservation.another(),
            buffer_shortfall: 0,
            decoder_shortfall: 0,
            reservation,
            message_reservation: None,
            replies: Vec::new(),
            decision: None,
            conflict: None,
            inspected: 0,
            grpc: false,
            refused_type: None,
            due: DueLimits::default(),
            limit_fields: None,
            response_needs: ResponseNeeds::default(),
            trace: None,
        }
    }

    /// Handles an event. Returns the replies to send, in order.
    ///
    /// # Errors
    /// The peer violated the protocol. The caller must end the stream with an error status and drop the state machine.
    pub fn on(&mut self, event: Event) -> Result<Vec<Reply>, Violation> {
        if let Event::RequestHeaders { fields, .. } | Event::RequestTrailers(fields) = &event
            && fields.len() > fields::MAX_FIELDS
        {
            return Err(Violation::TooManyFields);
        }
        let state = std::mem::replace(&mut self.state, RequestState::Rejected);
        self.state = match event {
            Event::RequestHeaders { fields, metadata, attributes, end_of_stream } => {
                self.on_headers(state, fields, &metadata, &attributes, end_of_stream)?
            }
            Event::Limited(answer) => self.on_limited(state, answer)?,
            Event::RequestBody { chunk, end_of_stream } => self.on_body(state, chunk, end_of_stream)?,
            Event::RequestTrailers(fields) => self.on_trailers(state, fields)?,
            Event::ResponseHeaders { .. } => self.on_response(state, Reply::ResponseHeaders),
            Event::ResponseTrailers(_) => self.on_response(state, Reply::ResponseTrailers),
            Event::Deadline => self.on_deadline(state)?,
            Event::OverBudget => self.on_lost_message(state)?,
            Event::NoRoom => self.on_no_room(state),
        };
        if !matches!(self.state, RequestState::Holding { .. } | RequestState::Limiting(_) | RequestState::Guarding(_)) {
            self.decoder_reservation.release_all();
            self.decoder_shortfall = 0;
        }
        if !matches!(self.state, RequestState::Holding { .. }) {
            self.buffer_shortfall = 0;
        }
        if !self.is_deciding() {
            self.reservation.settle();
        }
        Ok(std::mem::take(&mut self.replies))
    }

    /// Whether the request has no decision yet and still needs one.
    #[must_use]
    pub fn is_deciding(&self) -> bool {
        matches!(
            self.state,
            RequestState::AwaitingHeaders
                | RequestState::AwaitingBody(_)
                | RequestState::Holding { .. }
                | RequestState::Limiting(_)
        )
    }

    /// Whether the client has received a refusal. No reply follows it.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, RequestState::Rejected)
    }

    /// Whether the peer may end the stream now without losing a part of the request.
    #[must_use]
    pub fn may_end(&self) -> bool {
        match self.state {
            RequestState::Complete | RequestState::Abandoned | RequestState::Rejected => true,
            // In the other modes Envoy need not send the body.
            RequestState::PassingThrough => self.mode != BodyMode::Duplex,
            // Without headers there is no request.
            RequestState::AwaitingHeaders => true,
            RequestState::AwaitingBody(_)
            | RequestState::Holding { .. }
            | RequestState::Limiting(_)
            | RequestState::Guarding(_) => false,
        }
    }

    /// The decision, once there is one.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// The rejection that ended the request after its decision was sent, if there is one.
    #[must_use]
    pub fn conflict(&self) -> Option<Decision> {
        self.conflict
    }

    /// Body bytes scanned so far.
    #[must_use]
    pub fn inspected(&self) -> u64 {
        self.inspected
    }

    fn on_headers(
        &mut self,
        state: RequestState,
        mut fields: Fields,
        metadata: &[u8],
        attributes: &Attributes,
        end: bool,
    ) -> Result<RequestState, Violation> {
        match state {
            RequestState::AwaitingHeaders => {}
            RequestState::Rejected => return Ok(state),
            _ => return Err(Violation::HeadersTwice),
        }
        let held = HeldRequest::new(self.strip_headers(&mut fields));
        self.grpc = is_grpc_call(fields.as_slice());
        if self.mode == BodyMode::Duplex {
            self.reservation.expect(demand(fields.as_slice(), self.decider.config().limits.stream_bytes));
        }
        let head = RequestHead { fields: &fields, metadata, attributes };
        self.due = self.decider.due_limits(&head, end);
        let handover = attributes.handover.as_deref().filter(|_| self.mode == BodyMode::HeadersOnly);
        if let Some(Handover { decision, key }) = handover.and_then(|text| Handover::parse(text, self.decider.config()))
        {
            if let Some(trace) = &mut self.trace {
                trace.handed_over(key.as_deref());
            }
            return Ok(self.limit(decision, key.as_deref(), Step::Headers { held, end }));
        }
        let search = match self.open(&head, end) {
            HeadResult::Decided(decision) => {
                let content_type = fields.as_slice().values("content-type").next();
                self.refused_type = RefusedType::of(decision.reason, self.decider.config(), content_type);
                let reading = self.read_for_limits(&head, decision);
                let key = if self.due.is_empty() { None } else { self.decider.head_key(&head) };
                match reading {
                    Some(reading) => KeySearch::ReadingForLimits(reading, HeadDecision { decision, key }),
                    None => return Ok(self.limit(decision, key.as_deref(), Step::Headers { held, end })),
                }
            }
            HeadResult::NeedsBody(reading) => KeySearch::Reading(reading),
        };
        Ok(match self.mode {
            BodyMode::HeadersOnly => {
                let decision = self.decider.answer(Reason::BodyUnread);
                self.limit(decision, None, Step::Headers { held, end })
            }
            BodyMode::Buffered => {
                // Only this answer can ask for the response, and the limits are not known yet.
                let response = ResponseDemand::of(self.mode, self.due.response_needs(&self.decider));
                let change = HeadMutation { remove: held.remove, response, ..HeadMutation::default() };
                self.replies.push(Reply::Headers(change));
                RequestState::AwaitingBody(search)
            }
            BodyMode::Duplex => RequestState::Holding { search, held },
        })
    }

    /// Strips the reserved headers. Returns the names that Envoy must remove: those, and always the routing header,
    /// because Envoy may keep one beyond its limits or in a form that it does not send.
    fn strip_headers(&self, fields: &mut Fields) -> Vec<String> {
        let routing_header = &self.decider.config().routing_header;
        let mut remove = fields::strip(fields, routing_header);
        if !remove.iter().any(|name| **name == **routing_header) {
            remove.push(routing_header.to_string());
        }
        remove
    }

    fn decide_from_headers(&mut self, held: HeldRequest, decision: Decision, end: bool) -> RequestState {
        match self.release(held, decision) {
            false => RequestState::Rejected,
            true if end => RequestState::Complete,
            true => RequestState::PassingThrough,
        }
    }

    fn on_body(&mut self, state: RequestState, chunk: Bytes, end: bool) -> Result<RequestState, Violation> {
        Ok(match state {
            RequestState::AwaitingHeaders => return Err(Violation::HeadersNotFirst),
            // Envoy may send the end of a streamed body a second time (Envoy 46237). It changes nothing.
            RequestState::Complete if end && chunk.is_empty() => state,
            RequestState::Complete => return Err(Violation::AfterEnd),
            RequestState::Limiting(_) => return Err(Violation::NotLimited),
            RequestState::Abandoned | RequestState::Rejected => state,
            RequestState::AwaitingBody(search) => self.decide_whole_body(search, &chunk),
            RequestState::Holding { search, held } => self.search_chunk(search, held, chunk, end),
            RequestState::Guarding(guard) => self.guard_chunk(guard, chunk, end),
            RequestState::PassingThrough => match self.mode {
                BodyMode::HeadersOnly => return Err(Violation::BodyUnexpected),
                BodyMode::Buffered => {
                    self.replies.push(Reply::Body(HeadMutation::default()));
                    RequestState::Complete
                }
                BodyMode::Duplex => self.send_back_then(chunk, end, RequestState::PassingThrough),
            },
        })
    }

    /// BUFFERED: the message is the whole body, even if trailers follow and `end_of_stream` is false.
    fn decide_whole_body(&mut self, mut search: KeySearch, body: &[u8]) -> RequestState {
        self.scan(&mut search, body);
        let (decision, key) = self.finish(search);
        self.limit(decision, key.as_deref(), Step::WholeBody)
    }

    fn release_whole_body(&mut self, decision: Decision) -> RequestState {
        if !self.decide(decision) {
            return RequestState::Rejected;
        }
        let limits = self.limit_fields.take();
        self.replies.push(Reply::Body(HeadMutation { decision: Some(decision), limits, ..HeadMutation::default() }));
        RequestState::Complete
    }

    /// Looks for the key in the next chunk. Holds the chunk if the key is not found, and otherwise releases the request.
    fn search_chunk(&mut self, mut search: KeySearch, mut held: HeldRequest, chunk: Bytes, end: bool) -> RequestState {
        self.scan(&mut search, &chunk);
        let progress = if end {
            let (decision, key) = self.finish(search);
            Progress::Decided { decision, key, guard: None }
        } else {
            self.cover_decoders(search.decoded());
            self.progress(search)
        };
        match progress {
            Progress::Undecided(search) => {
                self.reserve(held.buffer.cost(&chunk));
                held.buffer.push(chunk);
                RequestState::Holding { search, held }
            }
            Progress::Decided { decision, key, guard } => {
                let guard = guard.map(Box::new);
                self.limit(decision, key.as_deref(), Step::Chunk { held, chunk, end, guard })
            }
        }
    }

    fn release_chunk(
        &mut self,
        decision: Decision,
        held: HeldRequest,
        chunk: Bytes,
        end: bool,
        guard: Option<Box<Guard>>,
    ) -> RequestState {
        if !self.release(held, decision) {
            return RequestState::Rejected;
        }
        let next = guard.map_or(RequestState::PassingThrough, |guard| RequestState::Guarding(*guard));
        self.send_back_then(chunk, end, next)
    }

    /// Scans a chunk behind the decision, then sends it back.
    fn guard_chunk(&mut self, mut guard: Guard, chunk: Bytes, end: bool) -> RequestState {
        self.inspected += chunk.len() as u64;
        match self.guard(&mut guard, &chunk, end) {
            Ok(()) => {
                self.cover_decoders(guard.decoded());
                self.send_back_then(chunk, end, RequestState::Guarding(guard))
            }
            Err(conflict) => self.reject_conflict(conflict),
        }
    }

    fn on_trailers(&mut self, state: RequestState, fields: Fields) -> Result<RequestState, Violation> {
        match state {
            RequestState::AwaitingHeaders => return Err(Violation::HeadersNotFirst),
            // In BUFFERED mode the trailers follow the answered body.
            RequestState::Complete if self.mode != BodyMode::Buffered => return Err(Violation::AfterEnd),
            RequestState::Limiting(_) => return Err(Violation::NotLimited),
            RequestState::Abandoned | RequestState::Rejected => return Ok(state),
            RequestState::Complete | RequestState::PassingThrough => {}
            RequestState::AwaitingBody(search) => {
                // There was no body, and the answer to trailers cannot set the routing header.
                let (decision, key) = match self.finish(search) {
                    (Decision { outcome: Outcome::Cell(_), .. }, _) => (self.decider.answer(Reason::BodyUnread), None),
                    found => found,
                };
                return Ok(self.limit(decision, key.as_deref(), Step::Trailers { held: None, fields }));
            }
            RequestState::Holding { search, held } => {
                let (decision, key) = self.finish(search);
                return Ok(self.limit(decision, key.as_deref(), Step::Trailers { held: Some(held), fields }));
            }
            RequestState::Guarding(mut guard) => {
                if let Err(conflict) = guard.finish() {
                    return Ok(self.reject_conflict(conflict));
                }
            }
        }
        Ok(self.answer_trailers(fields))
    }

    fn release_with_trailers(&mut self, decision: Decision, held: Option<HeldRequest>, fields: Fields) -> RequestState {
        let proceeds = match held {
            Some(held) => self.release(held, decision),
            None => self.decide(decision),
        };
        if proceeds { self.answer_trailers(fields) } else { RequestState::Rejected }
    }

    fn answer_trailers(&mut self, mut fields: Fields) -> RequestState {
        let remove = fields::strip(&mut fields, &self.decider.config().routing_header);
        self.replies.push(Reply::Trailers { remove });
        RequestState::Complete
    }

    /// Answered in every state, because a local reply of an earlier filter comes without a request. Only Envoy itself can
    /// answer the client while a request is held, so the held bytes are released.
    fn on_response(&mut self, state: RequestState, reply: Reply) -> RequestState {
        match state {
            RequestState::Rejected => state,
            RequestState::Holding { .. } | RequestState::Limiting(_) => {
                self.reservation.release_all();
                self.replies.push(reply);
                RequestState::Abandoned
            }
            _ => {
                self.replies.push(reply);
                state
            }
        }
    }

    fn on_deadline(&mut self, state: RequestState) -> Result<RequestState, Violation> {
        let decision = self.decider.answer(Reason::DeadlineExceeded);
        Ok(match state {
            RequestState::AwaitingHeaders => return Err(Violation::NoHeadersInTime),
            // Only the answer to the body can name a cell, and the whole body decides once it is here.
            RequestState::AwaitingBody(_) if !matches!(decision.outcome, Outcome::Reject(_)) => state,
            RequestState::AwaitingBody(_) => {
                self.decide(decision);
                RequestState::Rejected
            }
            RequestState::Holding { search, held } => self.cut_short(search, held, Reason::DeadlineExceeded),
            _ => state,
        })
    }

    /// Decides without the rest of the body. A limit by a value in it counts the request as one with an unusable value.
    fn cut_short(&mut self, search: KeySearch, held: HeldRequest, reason: Reason) -> RequestState {
        let (decision, key) = search.cut_short(&self.decider, reason);
        self.limit(decision, key.as_deref(), Step::Headers { held, end: false })
    }

    /// A message is lost, so no request that proceeds would be whole: only a rejection is possible.
    fn on_lost_message(&mut self, state: RequestState) -> Result<RequestState, Violation> {
        let decision = self.decider.answer(Reason::Overloaded);
        match state {
            RequestState::AwaitingBody(_) | RequestState::Holding { .. }
                if matches!(decision.outcome, Outcome::Reject(_)) =>
            {
                self.decide(decision);
                Ok(RequestState::Rejected)
            }
            RequestState::Abandoned => Ok(state),
            _ => Err(Violation::OverBudget),
        }
    }

    /// A guarded request ends too: without its decoders, the rest of its body cannot be scanned.
    fn on_no_room(&mut self, state: RequestState) -> RequestState {
        let decision = self.decider.answer(Reason::Overloaded);
        match state {
            RequestState::Holding { search, held } => self.cut_short(search, held, Reason::Overloaded),
            RequestState::Guarding(_) => self.reject_conflict(decision),
            _ => state,
        }
    }
}

impl HeldRequest {
    fn new(remove: Vec<String>) -> Self {
        Self { remove, buffer: BodyBuffer::default() }
    }
}
