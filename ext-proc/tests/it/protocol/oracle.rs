//! The rules of the protocol, kept apart from the state machine: what Envoy may send, and what it must get.

use cellgate_ext_proc::{BodyMode, Event, HeadMutation, Reply, StateMachine, Violation};
use cellgate_routing::{Decider, Decision, HeadResult, Outcome, Reason};

use super::events::Choices;

/// Envoy refuses a message above 64 KiB. A chunk leaves room for what is around it.
const MAX_CHUNK: usize = 64 * 1024 - 1024;

/// `limits.stream_bytes` of the configurations.
const STREAM_BYTES: usize = 64 * 1024;

pub struct Oracle<'a> {
    setup: &'a Choices,
    /// Whether every message so far was legal.
    is_legal: bool,
    /// Whether the deadline, the budget or a response came before the decision.
    is_disturbed: bool,
    has_head: bool,
    is_complete: bool,
    has_trailers: bool,
    has_ended_body: bool,
    bodies: usize,
    received: Vec<u8>,
    /// The kind of the event that is being handled.
    event: Option<std::mem::Discriminant<Event>>,
    head_answers: usize,
    body_answers: usize,
    trailer_answers: usize,
    sent: usize,
    has_sent_end: bool,
    is_refused: bool,
    /// Envoy answered the client while the request was held.
    is_abandoned: bool,
    decision: Option<Decision>,
}

impl<'a> Oracle<'a> {
    pub fn new(setup: &'a Choices) -> Self {
        Self {
            setup,
            is_legal: true,
            is_disturbed: false,
            has_head: false,
            is_complete: false,
            has_trailers: false,
            has_ended_body: false,
            bodies: 0,
            received: Vec::new(),
            event: None,
            head_answers: 0,
            body_answers: 0,
            trailer_answers: 0,
            sent: 0,
            has_sent_end: false,
            is_refused: false,
            is_abandoned: false,
            decision: None,
        }
    }

    /// Notes a message before the state machine sees it.
    pub fn before(&mut self, event: &Event) {
        self.event = Some(std::mem::discriminant(event));
        let is_open = self.has_head && !self.is_complete;
        match event {
            Event::RequestHeaders { end_of_stream, .. } => {
                self.is_legal &= !self.has_head;
                self.has_head = true;
                self.is_complete |= end_of_stream;
            }
            // Envoy may send the end of a body twice. The second one changes nothing.
            Event::RequestBody { chunk, end_of_stream: true } if self.is_complete && chunk.is_empty() => {}
            Event::RequestBody { chunk, end_of_stream } => {
                let is_expected = match self.setup.mode {
                    BodyMode::HeadersOnly => false,
                    BodyMode::Buffered => self.bodies == 0,
                    BodyMode::Duplex => true,
                };
                self.is_legal &= is_open && is_expected;
                self.bodies += 1;
                self.received.extend_from_slice(chunk);
                self.is_complete |= end_of_stream;
                self.has_ended_body |= end_of_stream;
            }
            Event::RequestTrailers(fields) => {
                self.is_legal &= is_open && fields.len() <= 10_000;
                self.is_complete = true;
                self.has_trailers = true;
            }
            Event::ResponseHeaders { .. } | Event::ResponseTrailers(_) => {
                self.is_disturbed |= self.decision.is_none();
                self.is_abandoned |= self.is_holding();
            }
            Event::Limited(_) => {}
            Event::Deadline | Event::OverBudget | Event::NoRoom => self.is_disturbed |= self.decision.is_none(),
        }
    }

    /// Checks that only the peer's fault ends a stream with an error status.
    pub fn violated(&self, violation: Violation) {
        let is_due = match violation {
            Violation::OverBudget => self.is_last(&Event::OverBudget),
            Violation::NoHeadersInTime => self.is_last(&Event::Deadline) && !self.has_head,
            _ => !self.is_legal,
        };
        assert!(is_due, "{violation:?}, and every message was legal");
    }

    /// Checks a reply. Returns the bytes of a chunk that goes back.
    pub fn replied(&mut self, reply: &Reply) -> Option<usize> {
        assert!(!self.is_refused, "{reply:?} after a refusal");
        let is_response = matches!(reply, Reply::ResponseHeaders | Reply::ResponseTrailers);
        assert!(is_response || !self.is_abandoned, "{reply:?}, and Envoy has answered the client");
        match reply {
            Reply::Headers(mutation) => self.head_answered(mutation),
            Reply::Body(_) => {
                self.body_answers += 1;
                assert!(self.setup.mode == BodyMode::Buffered && self.head_answers == 1);
                assert!(self.body_answers <= self.bodies, "more answers than bodies");
            }
            Reply::BodyChunk { bytes, end_of_stream } => {
                assert!(self.setup.mode == BodyMode::Duplex && self.head_answers == 1 && !self.has_sent_end);
                assert!(self.trailer_answers == 0 && bytes.len() <= MAX_CHUNK);
                let end = self.sent + bytes.len();
                assert_eq!(self.received.get(self.sent..end), Some(&bytes[..]), "other bytes than Envoy sent");
                self.sent = end;
                self.has_sent_end = *end_of_stream;
                assert!(!end_of_stream || self.has_ended_body && end == self.received.len(), "an end too early");
                return Some(bytes.len());
            }
            Reply::Trailers { remove } => {
                self.trailer_answers += 1;
                assert!(self.has_trailers && self.head_answers == 1);
                assert!(self.trailer_answers == 1 || !self.is_legal);
                assert!(self.setup.mode != BodyMode::Duplex || self.sent == self.received.len());
                assert!(remove.iter().all(|name| name == "x-cell"), "{remove:?}");
            }
            Reply::ResponseHeaders => assert!(self.is_last(&response_headers())),
            Reply::ResponseTrailers => assert!(self.is_last(&Event::ResponseTrailers(vec![]))),
            Reply::Immediate { status, .. } => {
                assert!((400..600).contains(status), "{status}");
                self.is_refused = true;
            }
        }
        None
    }

    /// Checks the state after an event.
    pub fn after(&mut self, machine: &StateMachine) {
        assert_eq!(machine.is_ended(), self.is_refused);
        assert!(self.decision.is_none() || machine.decision() == self.decision, "the decision has changed");
        self.decision = machine.decision();
        let is_over = self.is_refused || self.is_abandoned;
        assert!(!(machine.is_deciding() && (is_over || self.decision.is_some())));
        assert!(machine.conflict().is_none() || self.is_refused && self.decision.is_some());
        if is_over {
            assert_eq!(machine.reserved_bytes(), 0, "nothing is held any more");
            assert!(machine.may_end());
            return;
        }
        if self.setup.mode == BodyMode::Duplex {
            assert_eq!(machine.may_end(), self.is_complete || !self.has_head, "{}", self.is_complete);
            match self.decision {
                Some(_) => assert_eq!(self.sent, self.received.len(), "a decided request waits for nothing"),
                None => assert!(self.received.len() as u64 <= machine.reserved_bytes(), "bytes beside the budget"),
            }
        }
        if self.is_complete {
            assert!(self.decision.is_some(), "a complete request without a decision");
            assert!(machine.may_end());
        }
        if self.is_complete && self.setup.mode == BodyMode::Duplex {
            assert_eq!(self.has_sent_end, self.has_ended_body);
        }
    }

    /// Checks the decision on a request that is complete: the core's, unless the service itself ended it.
    pub fn finished(&self, machine: &StateMachine) {
        let is_whole = self.is_legal && !self.is_disturbed && self.is_complete;
        if !is_whole || self.received.len() > STREAM_BYTES {
            return;
        }
        let decision = machine.decision().expect("a decision");
        if [Some(decision), machine.conflict()].iter().flatten().any(|decided| decided.reason == Reason::Overloaded) {
            return;
        }
        let core = self.decided_by_core(&self.setup.decider);
        match machine.conflict() {
            // A key that is refused ends the request before the service sees a fault, or a second key, in the rest of the body.
            None if matches!(decision.outcome, Outcome::Reject(_)) && is_found_later(core.reason) => {}
            None => assert_eq!(decision, core),
            // A policy may have a cell for the fault of a whole body. Behind a release there is only a refusal.
            Some(conflict) => assert_ne!(decision, core, "{conflict:?}, and the whole body has no fault"),
        }
    }

    fn decided_by_core(&self, decider: &Decider) -> Decision {
        let mut fields = self.setup.fields.clone();
        fields.retain(|(name, _)| !["x-cell", "x_cell", "x-cellgate-defer"].contains(&name.as_str()));
        let has_no_body = self.bodies == 0 && !self.has_trailers;
        let mut reading = match decider.open(fields.as_slice(), has_no_body) {
            HeadResult::Decided(decision) => return decision,
            HeadResult::NeedsBody(reading) => reading,
        };
        if self.setup.mode == BodyMode::HeadersOnly {
            return decider.answer(Reason::BodyUnread);
        }
        let decision = match self.received.is_empty() {
            true => reading.finish(),
            false => reading.push(&self.received).map_or_else(|decision| decision, |()| reading.finish()),
        };
        match decision.outcome {
            // The answer to trailers cannot set the routing header.
            Outcome::Cell(_) if self.setup.mode == BodyMode::Buffered && self.bodies == 0 => {
                decider.answer(Reason::BodyUnread)
            }
            _ => decision,
        }
    }

    fn head_answered(&mut self, mutation: &HeadMutation) {
        self.head_answers += 1;
        assert!(self.has_head && self.head_answers == 1 && self.sent == 0);
        for name in ["x-cell", "x_cell", "x-cellgate-defer"] {
            let is_sent = name == "x-cell" || self.setup.fields.iter().any(|(field, _)| field == name);
            assert_eq!(mutation.remove.iter().any(|removed| removed == name), is_sent, "{name}");
        }
        assert!(mutation.decision.is_some() || self.setup.mode == BodyMode::Buffered);
    }

    /// Whether the state machine keeps the request until it is decided.
    fn is_holding(&self) -> bool {
        self.setup.mode == BodyMode::Duplex && self.has_head && self.decision.is_none() && !self.is_refused
    }

    fn is_last(&self, event: &Event) -> bool {
        self.event == Some(std::mem::discriminant(event))
    }
}

/// Whether the rest of a body can have this fault although its beginning has a key.
fn is_found_later(reason: Reason) -> bool {
    reason.label().starts_with("body_")
        || matches!(reason, Reason::KeyDuplicated | Reason::KeyConflict | Reason::KeyAmbiguous)
}

/// As [`super::events`] makes them.
fn response_headers() -> Event {
    Event::ResponseHeaders { fields: vec![], end_of_stream: false }
}
