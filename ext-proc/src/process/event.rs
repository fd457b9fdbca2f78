//! What Envoy and the machine say to each other, without protobuf.

use bytes::Bytes;
use cellgate_routing::{CellId, Decision, Outcome, Reason};

use crate::fields::Fields;

/// The largest piece of body sent back, in bytes. Envoy asks for at most 64 KiB; this leaves room for framing.
pub const MAX_CHUNK: usize = 62_000;

/// How Envoy sends the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Not at all (`NONE`).
    HeadersOnly,
    /// Whole, in one message (`BUFFERED`).
    Buffered,
    /// In chunks that must all be sent back (`FULL_DUPLEX_STREAMED`).
    Duplex,
}

/// What happens to a request, as far as this service hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its head.
    RequestHeaders {
        /// All fields, also the reserved ones.
        fields: Fields,
        /// Whether no body follows.
        end_of_stream: bool,
    },
    /// Its body, or the next chunk of it.
    RequestBody {
        /// The bytes.
        chunk: Bytes,
        /// Whether this is the last, and no trailers follow.
        end_of_stream: bool,
    },
    /// Its trailers: the body is complete.
    RequestTrailers(Fields),
    /// The response's head, if Envoy was told to send it.
    ResponseHeaders,
    /// The response's trailers, if Envoy was told to send them.
    ResponseTrailers,
    /// The time to decide is over.
    Deadline,
    /// The process has no room to put the next message together: it is lost.
    OverBudget,
}

/// What Envoy is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answers the head: the request goes on with these changes.
    Headers(HeadMutation),
    /// Answers the body in [`BodyMode::Buffered`].
    Body(HeadMutation),
    /// A piece of the body in [`BodyMode::Duplex`].
    BodyChunk {
        /// At most [`MAX_CHUNK`] bytes.
        bytes: Bytes,
        /// Whether this is the last one, and no trailers follow.
        end_of_stream: bool,
    },
    /// Answers the trailers.
    Trailers {
        /// Reserved names to remove.
        remove: Vec<String>,
    },
    /// Answers the response's head: nothing changes.
    ResponseHeaders,
    /// Answers the response's trailers: nothing changes.
    ResponseTrailers,
    /// Answers the client. Nothing else follows.
    Immediate {
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: Reason,
        /// Whether the client speaks gRPC, to which Envoy translates the answer.
        grpc: bool,
    },
}

/// What changes in the request's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadMutation {
    /// Fields to remove, all their values.
    pub remove: Vec<String>,
    /// The decision, if this reply carries one that lets the request go on.
    pub decision: Option<Decision>,
}

/// The peer did what the protocol, or our part of it, does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The stream begins in the middle of a request.
    #[error("the request's headers must come first: set request_header_mode: SEND")]
    HeadersNotFirst,
    /// Headers twice.
    #[error("the request's headers came twice")]
    HeadersTwice,
    /// A body in [`BodyMode::HeadersOnly`], or a second one in [`BodyMode::Buffered`].
    #[error("a body message that the body mode does not allow")]
    BodyUnexpected,
    /// Something follows the end of the request.
    #[error("the request goes on after its end")]
    AfterEnd,
    /// More than [`MAX_FIELDS`](crate::fields::MAX_FIELDS) headers or trailers.
    #[error("more than {} headers or trailers", crate::fields::MAX_FIELDS)]
    TooManyFields,
    /// A message is lost, and what follows it is of no use.
    #[error("no room to put a large message together: --max-held-bytes")]
    OverBudget,
    /// The deadline passed before there was a request.
    #[error("no request headers came within the deadline")]
    NoHeadersInTime,
}

impl HeadMutation {
    /// The cell to name in the routing header.
    #[must_use]
    pub fn cell(&self) -> Option<CellId> {
        match self.decision?.outcome {
            Outcome::Cell(cell) => Some(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => None,
        }
    }
}
