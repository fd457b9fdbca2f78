//! What Envoy is told: the release of a held request, its chunks on the way back, and refusals.

use bytes::Bytes;
use cellgate_routing::{Decision, Outcome, Reason};

use super::{HeldRequest, RequestState, StateMachine};
use crate::process::event::{HeadMutation, MAX_CHUNK, Reply, ResponseDemand};

impl StateMachine {
    /// Answers the headers and sends the held body back. Returns false if the decision rejects the request.
    pub(super) fn release(&mut self, held: HeldRequest, decision: Decision) -> bool {
        if !self.decide(decision) {
            return false;
        }
        let HeldRequest { remove, buffer } = held;
        let limits = self.limit_fields.take();
        let response = ResponseDemand::of(self.mode, self.response_needs);
        self.replies.push(Reply::Headers(HeadMutation { remove, decision: Some(decision), limits, response }));
        // Each chunk takes the reservation of its bytes with it.
        self.reservation.release(buffer.overhead());
        for chunk in buffer.into_chunks() {
            self.send_back(chunk, false);
        }
        true
    }

    /// Records the decision. Returns false if it rejects the request: the next state must be `Rejected`.
    pub(super) fn decide(&mut self, decision: Decision) -> bool {
        self.decision = Some(decision);
        let status = match decision.outcome {
            Outcome::Cell(_) | Outcome::Pass => return true,
            Outcome::Reject(status) => status,
            // The decider of the service never defers: there is no later tier.
            Outcome::Defer => 500,
        };
        self.refuse(status, decision.reason);
        false
    }

    /// Rejects a request whose decision was already sent.
    pub(super) fn reject_conflict(&mut self, conflict: Decision) -> RequestState {
        self.conflict = Some(conflict);
        let status = match conflict.outcome {
            Outcome::Reject(status) => status,
            Outcome::Cell(_) | Outcome::Pass | Outcome::Defer => 400,
        };
        self.refuse(status, conflict.reason);
        RequestState::Rejected
    }

    fn refuse(&mut self, status: u16, reason: Reason) {
        self.reservation.release_all();
        let (refused_type, limits) = (self.refused_type.take().map(Box::new), self.limit_fields.take());
        self.replies.push(Reply::Immediate { status, reason, grpc: self.grpc, refused_type, limits });
    }

    /// Sends a chunk back. Returns the state after it: `next`, or `Complete` at the end of the body.
    pub(super) fn send_back_then(&mut self, chunk: Bytes, end: bool, next: RequestState) -> RequestState {
        self.send_back(chunk, end);
        if end { RequestState::Complete } else { next }
    }

    /// Sends a chunk back, in parts that Envoy accepts. An empty one matters only if it ends the body.
    pub(super) fn send_back(&mut self, mut chunk: Bytes, end: bool) {
        while chunk.len() > MAX_CHUNK {
            self.replies.push(Reply::BodyChunk { bytes: chunk.split_to(MAX_CHUNK), end_of_stream: false });
        }
        if end || !chunk.is_empty() {
            self.replies.push(Reply::BodyChunk { bytes: chunk, end_of_stream: end });
        }
    }
}
