//! The rate limits of one request: a decision waits for them, and their answer leads on as the decision would have.

use bytes::Bytes;
use cellgate_limiting::{ConcurrencyCharge, KeyHasher, StoreCharge};
use cellgate_routing::{BodyReader, Decision, Guard};

use super::{HeldRequest, RequestState, StateMachine};
use crate::fields::{Fields, RequestHead};
use crate::process::event::{BodyMode, LimitAnswer, Violation};

/// A decision whose rate limits are not checked yet.
#[derive(Debug)]
pub(super) struct Undecided {
    decision: Decision,
    key: Option<String>,
    step: Step,
}

/// The step that carries out a decision.
#[derive(Debug)]
pub(super) enum Step {
    /// Answers the headers.
    Headers { held: HeldRequest, end: bool },
    /// Answers the body of a request in BUFFERED mode.
    WholeBody,
    /// Answers the headers and sends the body back, as far as it has come.
    Chunk { held: HeldRequest, chunk: Bytes, end: bool, guard: Option<Box<Guard>> },
    /// Answers the trailers, and the headers if they are not answered yet.
    Trailers { held: Option<HeldRequest>, fields: Fields },
}

impl StateMachine {
    /// The charges of a decision that waits for its rate limits. Each time there are some, the next event must be
    /// [`Event::Limited`].
    ///
    /// [`Event::Limited`]: crate::process::event::Event::Limited
    #[must_use]
    pub fn due_charges(&self, hasher: &KeyHasher) -> Option<Vec<StoreCharge>> {
        let RequestState::Limiting(undecided) = &self.state else { return None };
        Some(self.due.charges(&self.decider, undecided.decision, undecided.key.as_deref(), hasher))
    }

    /// The charges of concurrency limits of a decision that waits for its limits.
    #[must_use]
    pub fn due_concurrency(&self, hasher: &KeyHasher) -> Vec<ConcurrencyCharge> {
        let RequestState::Limiting(undecided) = &self.state else { return Vec::new() };
        self.due.concurrency_charges(&self.decider, undecided.decision, undecided.key.as_deref(), hasher)
    }

    /// Whether the decision waits for its limits.
    #[must_use]
    pub fn is_limiting(&self) -> bool {
        matches!(self.state, RequestState::Limiting(_))
    }

    /// The reader of the body of a request that the head has decided, if a limit needs a value from it.
    pub(super) fn read_for_limits(&mut self, head: &RequestHead<'_>, decision: Decision) -> Option<BodyReader> {
        // Without the body, its values count as unusable.
        if self.mode == BodyMode::HeadersOnly || !self.due.needs_body() || !self.due.may_count(decision) {
            return None;
        }
        let reading = self.decider.open_for_limits(head, &self.due);
        if reading.is_none() {
            self.due.read_no_body();
        }
        reading
    }

    /// Carries out a decision, at once if no rate limit counts the request.
    pub(super) fn limit(&mut self, decision: Decision, key: Option<&str>, step: Step) -> RequestState {
        if self.due.count(&self.decider, decision, key) {
            let key = key.map(str::to_owned);
            RequestState::Limiting(Box::new(Undecided { decision, key, step }))
        } else {
            self.carry_out(decision, step)
        }
    }

    pub(super) fn on_limited(&mut self, state: RequestState, answer: LimitAnswer) -> Result<RequestState, Violation> {
        let RequestState::Limiting(undecided) = state else { return Err(Violation::NotLimited) };
        let Undecided { decision, step, .. } = *undecided;
        self.limit_fields = answer.fields;
        self.response_needs = answer.response;
        let decision = answer.refusal.map_or(decision, |reason| self.decider.answer(reason));
        Ok(self.carry_out(decision, step))
    }

    fn carry_out(&mut self, decision: Decision, step: Step) -> RequestState {
        match step {
            Step::Headers { held, end } => self.decide_from_headers(held, decision, end),
            Step::WholeBody => self.release_whole_body(decision),
            Step::Chunk { held, chunk, end, guard } => self.release_chunk(decision, held, chunk, end, guard),
            Step::Trailers { held, fields } => self.release_with_trailers(decision, held, fields),
        }
    }
}
