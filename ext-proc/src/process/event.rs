//! Events and replies of the state machine: Envoy's messages without protobuf.

use bytes::Bytes;
use cellgate_routing::{CellId, Decision, Outcome, Reason, RefusedType};

use crate::fields::Fields;

/// The most bytes of body in one reply. Envoy accepts 64 KiB; this leaves room for the message around them.
pub(crate) const MAX_CHUNK: usize = 62_000;

/// How Envoy sends the request's body (`request_body_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Not at all (`NONE`).
    HeadersOnly,
    /// Whole, in one message (`BUFFERED`).
    Buffered,
    /// In chunks that must all be sent back (`FULL_DUPLEX_STREAMED`).
    Duplex,
}

/// A step of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Envoy sent the request's headers.
    RequestHeaders {
        /// All headers, reserved ones included.
        fields: Fields,
        /// The dynamic metadata that Envoy forwards: a serialised `envoy.config.core.v3.Metadata`. Empty if there is none.
        metadata: Vec<u8>,
        /// Whether neither body nor trailers follow.
        end_of_stream: bool,
    },
    /// Envoy sent the body, or the next chunk of it.
    RequestBody {
        /// The bytes.
        chunk: Bytes,
        /// Whether the body ends here and no trailers follow.
        end_of_stream: bool,
    },
    /// Envoy sent the request's trailers. The body is complete.
    RequestTrailers(Fields),
    /// Envoy sent the response's headers.
    ResponseHeaders,
    /// Envoy sent the response's trailers.
    ResponseTrailers,
    /// The decision timeout has passed.
    Deadline,
    /// The next message was dropped, because the byte budget had no room to assemble it.
    OverBudget,
    /// The byte budget had no room in time for bytes that the request needs ([`StateMachine::shortfall`]).
    ///
    /// [`StateMachine::shortfall`]: super::state_machine::StateMachine::shortfall
    NoRoom,
}

/// A message to Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answers the request's headers and applies these changes.
    Headers(HeadMutation),
    /// Answers the body in [`BodyMode::Buffered`].
    Body(HeadMutation),
    /// Sends a chunk of the body back in [`BodyMode::Duplex`].
    BodyChunk {
        /// At most [`MAX_CHUNK`] bytes.
        bytes: Bytes,
        /// Whether the body ends here and no trailers follow.
        end_of_stream: bool,
    },
    /// Answers the request's trailers.
    Trailers {
        /// Reserved names to remove.
        remove: Vec<String>,
    },
    /// Answers the response's headers without a change.
    ResponseHeaders,
    /// Answers the response's trailers without a change.
    ResponseTrailers,
    /// Refuses the request (`ImmediateResponse`). No reply follows.
    Immediate {
        /// The HTTP status.
        status: u16,
        /// The reason of the refusal.
        reason: Reason,
        /// Whether the request is a gRPC call. Envoy then converts the refusal to a gRPC status.
        grpc: bool,
        /// The Content-Type, if the request is refused for it.
        refused_type: Option<Box<RefusedType>>,
    },
}

/// Changes to the request's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadMutation {
    /// Headers to remove, with all their values.
    pub remove: Vec<String>,
    /// The decision to let the request proceed, if this reply carries it.
    pub decision: Option<Decision>,
}

/// An error of the peer that ends the stream with an error status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The stream begins with a body or with trailers.
    #[error("the first message must be the request's headers: set request_header_mode: SEND")]
    HeadersNotFirst,
    /// The headers came twice.
    #[error("the request's headers came twice on one stream")]
    HeadersTwice,
    /// A body came in [`BodyMode::HeadersOnly`].
    #[error("a request body came although the first message announced request_body_mode: NONE")]
    BodyUnexpected,
    /// A message follows the end of the request.
    #[error("a message of the request came after its end")]
    AfterEnd,
    /// There are more than [`MAX_FIELDS`](crate::fields::MAX_FIELDS) headers or trailers.
    #[error("the request has more than {} headers or trailers", crate::fields::MAX_FIELDS)]
    TooManyFields,
    /// A message was dropped, so the rest of the request is useless.
    #[error("the byte budget has no room for this message: raise --max-held-bytes")]
    OverBudget,
    /// The decision timeout passed before the headers came.
    #[error("the request's headers did not arrive within --decision-timeout")]
    NoHeadersInTime,
}

impl HeadMutation {
    /// The cell to set in the routing header.
    #[must_use]
    pub fn cell(&self) -> Option<CellId> {
        match self.decision?.outcome {
            Outcome::Cell(cell) => Some(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => None,
        }
    }
}
