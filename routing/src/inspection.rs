//! The filter's rule for bodies: hold, peek or guard (docs/decisions/0003).
//!
//! ```text
//! Start ──head──┬─ decided ──────────────────────────────────► Released or Refused
//!               ├─ Content-Length fits ──► Holding ──end─────► Released or Refused
//!               └─ else ──► Peeking ──first chunk──┬─────────► Released or Refused
//!                                                  └► Guarding ──conflict──► Refused
//! ```
//!
//! - **Holding**: the proxy keeps the body until all of it is scanned. The upstream never receives a malformed body.
//! - **Peeking**: the proxy must not keep a byte. Envoy itself answers 413 when it keeps one and more than its buffer
//!   holds may follow. So the first chunk is scanned and the request goes on either way: decided or deferred. If the
//!   first chunk is the whole body, it is decided like a held body.
//! - **Guarding**: the request is on its way. Each later chunk is scanned before the proxy forwards it. A conflict ends
//!   the request before the upstream has a complete body.
//! - **Shadowing**: instead of all others where the configuration says `shadow`. The body is scanned to its end
//!   while the proxy forwards it, because the rule then limits nothing.
//!
//! An [`Inspection`] is pure. Its caller scans each chunk with [`Inspection::push`], in parts of any size, then calls
//! [`Inspection::end_chunk`], and carries out the [`InspectionStep`] that either returns. The filter does so in Envoy, and
//! `cellgate decide` offline. The service has a rule of its own (`process/key_search.rs` of ext-proc): it may read up to
//! `limits.stream_bytes` and releases at the end of a message. Both rules use the same [`BodyReader`] and [`Guard`].

use cellgate_limiting::{Charge, KeyHasher};

use crate::action::CellId;
use crate::decider::{BodyReader, Decider, Guard, HeadResult};
use crate::decision::{Decision, Outcome};
use crate::deferral::BodyMode;
use crate::handover::Handover;
use crate::head::Head;
use crate::media::content_length;
use crate::rate_limit::DueLimits;
use crate::reason::Reason;

/// The status of a request whose fields the proxy cannot show or change.
const UNREADABLE_FIELDS: u16 = 500;

/// The status of a conflict whose policy is not a rejection: a released request can only be refused.
const CONFLICT: u16 = 400;

/// How far a request's inspection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The head has not been inspected.
    Start,
    /// The proxy keeps the body until its end.
    Holding,
    /// The first chunk decides whether the request is released or deferred.
    Peeking,
    /// The body is scanned while the proxy forwards it, and nothing is enforced.
    Shadowing,
    /// The request is released; the rest of its body is scanned before the proxy forwards it.
    Guarding,
    /// The request is released; nothing more is scanned.
    Released,
    /// The request is refused.
    Refused,
}

/// The proxy's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InspectionStep {
    /// Keep the request: more of it must arrive, or the client already has a refusal.
    Wait,
    /// Forward what has arrived.
    Continue,
    /// Carry out the decision, once per request. `mode` applies if the outcome is a deferral.
    Decide {
        /// The decision.
        decision: Decision,
        /// How a deferred request's body is sent to the service.
        mode: BodyMode,
    },
    /// End a released request: its rest contradicts the decision.
    Conflict {
        /// The refusal's status.
        status: u16,
        /// The conflict.
        reason: Reason,
        /// The cell to which the request was released, if any.
        cell: Option<CellId>,
    },
}

/// One request's inspection.
#[derive(Debug)]
pub struct Inspection {
    is_shadow: bool,
    state: InspectionState,
    /// The rate limits that may count the request.
    due: DueLimits,
    /// The routing key of the decision, if rate limits may need it.
    key: Option<String>,
}

#[derive(Debug)]
enum InspectionState {
    Start,
    Holding(Box<BodyReader>),
    Peeking(Box<BodyReader>),
    Shadowing(Box<BodyReader>),
    Guarding(Box<GuardedRest>),
    Released,
    Refused,
}

/// The rest of a released body.
#[derive(Debug)]
struct GuardedRest {
    guard: Guard,
    /// The bytes of the Content-Length that have not arrived.
    left: Option<u64>,
    /// The cell to which the request was released.
    cell: Option<CellId>,
}

impl Inspection {
    /// An inspection whose decisions are carried out.
    #[must_use]
    pub fn enforcing() -> Self {
        Self { is_shadow: false, state: InspectionState::Start, due: DueLimits::default(), key: None }
    }

    /// An inspection whose decisions are only reported.
    #[must_use]
    pub fn shadowing() -> Self {
        Self { is_shadow: true, ..Self::enforcing() }
    }

    /// The current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            InspectionState::Start => Phase::Start,
            InspectionState::Holding(_) => Phase::Holding,
            InspectionState::Peeking(_) => Phase::Peeking,
            InspectionState::Shadowing(_) => Phase::Shadowing,
            InspectionState::Guarding(_) => Phase::Guarding,
            InspectionState::Released => Phase::Released,
            InspectionState::Refused => Phase::Refused,
        }
    }

    /// How many scanned bytes the proxy keeps: it shows them again at the start of the next chunk.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        match &self.state {
            InspectionState::Holding(reading) | InspectionState::Peeking(reading) => reading.received(),
            _ => 0,
        }
    }

    /// Inspects the head, without reserved headers. `decided_before` is a listed peer's decision
    /// ([`Decider::decided_before`]), which replaces the inspection.
    pub fn head<H: Head + ?Sized>(
        &mut self,
        decider: &Decider,
        head: &H,
        end_of_stream: bool,
        decided_before: Option<Decision>,
    ) -> InspectionStep {
        if self.phase() != Phase::Start {
            return self.stay();
        }
        let inspect_bytes = decider.config().limits.inspect_bytes;
        if !self.is_shadow && decided_before.is_none() {
            self.due = decider.due_limits(head, end_of_stream);
        }
        let mode = || BodyMode::of_head(end_of_stream, content_length(head), inspect_bytes);
        // The service reads the body for its limits.
        let deferral = Decision { outcome: Outcome::Defer, reason: Reason::LimitDue };
        match decided_before.map_or_else(|| decider.open(head, end_of_stream), HeadResult::Decided) {
            HeadResult::Decided(decision) if self.due.needs_body() && self.due.may_count(decision) => {
                self.decide(deferral, mode())
            }
            HeadResult::NeedsBody(_) if self.due.needs_body() => self.decide(deferral, mode()),
            HeadResult::Decided(decision) => {
                if !self.due.is_empty() {
                    self.key = decider.head_key(head);
                }
                self.decide(decision, mode())
            }
            HeadResult::NeedsBody(reading) => {
                let reading = Box::new(reading);
                self.state = match reading.content_length() {
                    _ if self.is_shadow => InspectionState::Shadowing(reading),
                    Some(length) if length <= inspect_bytes => InspectionState::Holding(reading),
                    _ => InspectionState::Peeking(reading),
                };
                self.stay()
            }
        }
    }

    /// Whether a rate limit counts the request with this decision.
    #[must_use]
    pub fn is_limited(&self, decider: &Decider, decision: Decision) -> bool {
        self.due.count(decider, decision, self.key.as_deref())
    }

    /// The charges of a decision that [is limited](Self::is_limited). `None` if a limit is not leased: the service has the
    /// last word then.
    #[must_use]
    pub fn leased_charges(&self, decider: &Decider, decision: Decision, hasher: &KeyHasher) -> Option<Vec<Charge>> {
        self.due.leased_charges(decider, decision, self.key.as_deref(), hasher)
    }

    /// What the service must know of a decision, to judge the rate limits of the request.
    #[must_use]
    pub fn handover(&self, decider: &Decider, decision: Decision) -> String {
        Handover::text(decision, self.key.as_deref(), decider.config())
    }

    /// Whether the next chunk must be scanned. If not, [`Inspection::end_chunk`] alone gives the step.
    #[must_use]
    pub fn scans_body(&self) -> bool {
        matches!(self.phase(), Phase::Holding | Phase::Peeking | Phase::Shadowing | Phase::Guarding)
    }

    /// Scans a part of a chunk. The caller scans every part of a chunk before it calls [`Inspection::end_chunk`].
    ///
    /// # Errors
    /// The step to take at once, in place of the rest of the chunk: the body is malformed or names a second key.
    pub fn push(&mut self, part: &[u8]) -> Result<(), InspectionStep> {
        let pushed = match &mut self.state {
            InspectionState::Holding(reading)
            | InspectionState::Peeking(reading)
            | InspectionState::Shadowing(reading) => reading.push(part),
            InspectionState::Guarding(rest) => rest.push(part),
            InspectionState::Start | InspectionState::Released | InspectionState::Refused => Ok(()),
        };
        pushed.map_err(|decision| self.fail(decision))
    }

    /// The chunk is scanned. `end_of_stream`: no other and no trailers follow.
    pub fn end_chunk(&mut self, end_of_stream: bool) -> InspectionStep {
        match self.take() {
            InspectionState::Start if self.is_shadow => self.enter(InspectionState::Released),
            InspectionState::Start => self.refuse_unreadable(),
            InspectionState::Holding(reading) => self.hold(reading, end_of_stream),
            InspectionState::Peeking(reading) => self.peek(reading, end_of_stream),
            InspectionState::Shadowing(mut reading) if end_of_stream || is_whole(&reading) => {
                let decision = self.finish(&mut reading);
                self.decide(decision, BodyMode::Stream)
            }
            InspectionState::Guarding(mut rest) if end_of_stream => self.finish_guarded(&mut rest),
            same => self.enter(same),
        }
    }

    /// The trailers have arrived: the body is complete.
    pub fn trailers(&mut self) -> InspectionStep {
        match self.take() {
            InspectionState::Start if self.is_shadow => self.enter(InspectionState::Released),
            InspectionState::Start => self.refuse_unreadable(),
            InspectionState::Holding(mut reading) => {
                let decision = self.finish(&mut reading);
                self.decide(decision, BodyMode::Buffer)
            }
            InspectionState::Peeking(mut reading) | InspectionState::Shadowing(mut reading) => {
                let decision = self.finish(&mut reading);
                self.decide(decision, BodyMode::Stream)
            }
            InspectionState::Guarding(mut rest) => self.finish_guarded(&mut rest),
            last @ (InspectionState::Released | InspectionState::Refused) => self.enter(last),
        }
    }

    /// The proxy does not show the body that it announced, so what it forwards is not what was scanned.
    pub fn unread_body(&mut self) -> InspectionStep {
        let decision = match &self.state {
            InspectionState::Holding(reading)
            | InspectionState::Peeking(reading)
            | InspectionState::Shadowing(reading) => reading.answer(Reason::BodyUnread),
            InspectionState::Guarding(rest) => rest.guard.answer(Reason::BodyUnread),
            InspectionState::Start | InspectionState::Released | InspectionState::Refused => return self.stay(),
        };
        self.fail(decision)
    }

    /// The proxy does not show or change the headers or trailers, or the body precedes the head. A client's own routing
    /// header may still be there, so the request must not go on.
    pub fn unreadable_fields(&mut self) -> InspectionStep {
        let reason = Reason::BodyUnread;
        let conflict = |cell| InspectionStep::Conflict { status: UNREADABLE_FIELDS, reason, cell };
        let step = match self.take() {
            InspectionState::Refused => InspectionStep::Wait,
            InspectionState::Released => conflict(None),
            InspectionState::Guarding(rest) => conflict(rest.cell),
            _ => return self.refuse_unreadable(),
        };
        self.state = InspectionState::Refused;
        step
    }

    /// The proxy did not set the header of the decision that was to be carried out. The refusal takes its place.
    pub fn release_failed(&mut self) -> InspectionStep {
        self.refuse_unreadable()
    }

    /// The step of the current phase while nothing changes it.
    #[must_use]
    pub fn stay(&self) -> InspectionStep {
        match self.phase() {
            Phase::Start | Phase::Holding | Phase::Peeking | Phase::Refused => InspectionStep::Wait,
            Phase::Shadowing | Phase::Guarding | Phase::Released => InspectionStep::Continue,
        }
    }

    /// The request is over. Whether it ended before the decision that its body was read for.
    pub fn end(&mut self) -> bool {
        let is_undecided = matches!(self.phase(), Phase::Holding | Phase::Peeking | Phase::Shadowing);
        if is_undecided {
            self.state = InspectionState::Refused;
        }
        is_undecided
    }

    /// Refuses a request that is not released. A shadow only reports it.
    fn refuse_unreadable(&mut self) -> InspectionStep {
        let decision = Decision { outcome: Outcome::Reject(UNREADABLE_FIELDS), reason: Reason::BodyUnread };
        self.decide(decision, BodyMode::Headers)
    }

    /// A held body is decided at its end only.
    fn hold(&mut self, mut reading: Box<BodyReader>, end_of_stream: bool) -> InspectionStep {
        if end_of_stream {
            let decision = self.finish(&mut reading);
            return self.decide(decision, BodyMode::Buffer);
        }
        // More than the Content-Length. Envoy's codecs refuse such a body.
        if reading.received() > reading.inspect_bytes() {
            return self.decide(reading.answer(Reason::BodyTooLarge), BodyMode::Stream);
        }
        self.enter(InspectionState::Holding(reading))
    }

    /// The first chunk that is not empty is the last that may be waited for.
    fn peek(&mut self, mut reading: Box<BodyReader>, end_of_stream: bool) -> InspectionStep {
        if end_of_stream || is_whole(&reading) {
            let decision = self.finish(&mut reading);
            return self.decide(decision, BodyMode::Stream);
        }
        if reading.received() == 0 {
            return self.enter(InspectionState::Peeking(reading));
        }
        let left = reading.content_length().map(|length| length.saturating_sub(reading.received()));
        let (decision, guard) = match reading.settle() {
            Ok(settled) => settled,
            Err(reading) => {
                let is_announced = reading.content_length().is_some();
                let reason = if is_announced { Reason::BodyTooLarge } else { Reason::BodyLengthUnknown };
                return self.decide(reading.answer(reason), BodyMode::Stream);
            }
        };
        let cell = match decision.outcome {
            Outcome::Cell(cell) => Some(cell),
            Outcome::Pass => None,
            // Nothing to guard: the client has its answer, or the service reads the body itself.
            Outcome::Reject(_) | Outcome::Defer => return self.decide(decision, BodyMode::Stream),
        };
        if !self.due.is_empty() {
            self.key = guard.key().map(str::to_owned);
        }
        self.state = InspectionState::Guarding(Box::new(GuardedRest { guard, left, cell }));
        InspectionStep::Decide { decision, mode: BodyMode::Stream }
    }

    /// Ends the body of a request that is not released.
    fn finish(&mut self, reading: &mut BodyReader) -> Decision {
        let decision = reading.finish();
        if !self.due.is_empty() {
            self.key = reading.key().map(str::to_owned);
        }
        decision
    }

    fn finish_guarded(&mut self, rest: &mut GuardedRest) -> InspectionStep {
        match rest.guard.finish() {
            Ok(()) => self.enter(InspectionState::Released),
            Err(decision) => self.conflict(decision, rest.cell),
        }
    }

    /// The body cannot be scanned further.
    fn fail(&mut self, decision: Decision) -> InspectionStep {
        match self.take() {
            InspectionState::Guarding(rest) => self.conflict(decision, rest.cell),
            InspectionState::Holding(_) => self.decide(decision, BodyMode::Buffer),
            _ => self.decide(decision, BodyMode::Stream),
        }
    }

    fn decide(&mut self, decision: Decision, mode: BodyMode) -> InspectionStep {
        let is_refused = matches!(decision.outcome, Outcome::Reject(_)) && !self.is_shadow;
        self.state = if is_refused { InspectionState::Refused } else { InspectionState::Released };
        InspectionStep::Decide { decision, mode }
    }

    fn conflict(&mut self, decision: Decision, cell: Option<CellId>) -> InspectionStep {
        self.state = InspectionState::Refused;
        // A guard only ever rejects, but the policy of `body_unread` may name a cell.
        let status = if let Outcome::Reject(status) = decision.outcome { status } else { CONFLICT };
        InspectionStep::Conflict { status, reason: decision.reason, cell }
    }

    fn enter(&mut self, state: InspectionState) -> InspectionStep {
        self.state = state;
        self.stay()
    }

    /// Each transition takes the state out and puts the next one in. `Refused` stays behind if one does not.
    fn take(&mut self) -> InspectionState {
        std::mem::replace(&mut self.state, InspectionState::Refused)
    }
}

impl GuardedRest {
    /// Scans a part that the proxy is about to forward.
    ///
    /// Once the Content-Length is reached the upstream has a complete body, even before Envoy reports the end: for
    /// HTTP/1 it does so in one more, empty chunk. So the last byte includes the check of the end.
    fn push(&mut self, part: &[u8]) -> Result<(), Decision> {
        self.guard.push(part)?;
        match &mut self.left {
            None => Ok(()),
            Some(left) => {
                *left = left.saturating_sub(part.len() as u64);
                if *left == 0 { self.guard.finish() } else { Ok(()) }
            }
        }
    }
}

/// With its Content-Length reached a body is complete, even before the proxy reports the end of the stream.
fn is_whole(reading: &BodyReader) -> bool {
    reading.content_length() == Some(reading.received())
}
