//! Events and replies of the state machine: Envoy's messages without protobuf.

use bytes::Bytes;
use cellgate_limiting::XRateLimit;
use cellgate_routing::{CellId, Decision, Outcome, Reason, RefusedType, ResponseNeeds};

use crate::fields::{Attributes, Fields};

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
        /// The request attributes that Envoy sends.
        attributes: Attributes,
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
    ResponseHeaders {
        /// All headers.
        fields: Fields,
        /// Whether neither body nor trailers follow.
        end_of_stream: bool,
    },
    /// Envoy sent the response's trailers.
    ResponseTrailers(Fields),
    /// The limits of the request are checked ([`StateMachine::due_charges`]).
    ///
    /// [`StateMachine::due_charges`]: super::state_machine::StateMachine::due_charges
    Limited(LimitAnswer),
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
        /// The fields of the request's rate limits, if a limit refuses it.
        limits: Option<Box<LimitFields>>,
    },
}

/// Changes to the request's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadMutation {
    /// Headers to remove, with all their values.
    pub remove: Vec<String>,
    /// The decision to let the request proceed, if this reply carries it.
    pub decision: Option<Decision>,
    /// The fields of the request's rate limits, if it has any.
    pub limits: Option<Box<LimitFields>>,
    /// The parts of the response that Envoy must send, because a limit that counts the request needs them, or may. `None`: no
    /// part.
    pub response: Option<ResponseDemand>,
}

/// The parts of a response that Envoy must send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseDemand {
    /// The body mode of the request.
    pub mode: BodyMode,
    /// The parts. With the end, Envoy keeps the stream open until the response has ended.
    pub needs: ResponseNeeds,
}

/// The answer of a request's rate limits and concurrency limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitAnswer {
    /// Why the request is refused. `None`: it is admitted.
    pub refusal: Option<Reason>,
    /// The part that a client may know.
    pub fields: Option<Box<LimitFields>>,
    /// The parts of the response that the limits need.
    pub response: ResponseNeeds,
}

/// The part of a request's rate limits that a client may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitFields {
    /// The value of `Retry-After`, in seconds. `None`: the request is admitted, or never will be.
    pub retry_after: Option<u64>,
    /// The value of `RateLimit`.
    pub rate_limit: Option<String>,
    /// The value of `RateLimit-Policy`.
    pub policy: Option<String>,
    /// The values of the `X-RateLimit` fields, if the service sends them.
    pub x_rate_limit: Option<XRateLimit>,
    /// The names of the limits that refuse.
    pub violated: Vec<String>,
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
    /// The limits were answered although none was asked.
    #[error("the rate limits of a request were answered that did not wait for them")]
    NotLimited,
    /// A message was dropped, so the rest of the request is useless.
    #[error("the byte budget has no room for this message: raise --max-held-bytes")]
    OverBudget,
    /// The decision timeout passed before the headers came.
    #[error("the request's headers did not arrive within --decision-timeout")]
    NoHeadersInTime,
}

impl LimitAnswer {
    /// Concurrency limits have no place for the request. They have these names.
    #[must_use]
    pub fn no_place(violated: Vec<String>) -> Self {
        let fields = LimitFields { violated, ..LimitFields::default() };
        Self { refusal: Some(Reason::ConcurrencyLimited), fields: Some(Box::new(fields)), ..Self::default() }
    }
}

impl ResponseDemand {
    /// The demand of a request in a body mode. `None`: it needs no part.
    #[must_use]
    pub fn of(mode: BodyMode, needs: ResponseNeeds) -> Option<Self> {
        (!needs.is_none()).then_some(Self { mode, needs })
    }
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
