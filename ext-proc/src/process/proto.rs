//! What we read of Envoy's messages, as `envoy.service.ext_proc.v3` numbers it. All other fields are skipped, and bytes
//! are slices of the message they came in.

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{self, DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

use crate::fields::MAX_FIELDS;

/// `ProcessingRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProcessingRequest {
    pub(super) request: Option<Content>,
    /// How many contents it has. Protobuf lets the last one win; we take none but the only one.
    pub(super) contents: u32,
    pub(super) observability_mode: bool,
    pub(super) protocol_config: Option<ProtocolConfiguration>,
}

/// `ProcessingRequest.request`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Content {
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    #[prost(message, tag = "3")]
    ResponseHeaders(Unread),
    #[prost(message, tag = "4")]
    RequestBody(HttpBody),
    #[prost(message, tag = "5")]
    ResponseBody(Unread),
    #[prost(message, tag = "6")]
    RequestTrailers(HttpTrailers),
    #[prost(message, tag = "7")]
    ResponseTrailers(Unread),
}

/// A message whose fields are of no interest.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Unread {}

/// `HttpHeaders`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpHeaders {
    #[prost(message, optional, tag = "1")]
    pub(super) headers: Option<HeaderMap>,
    #[prost(bool, tag = "3")]
    pub(super) end_of_stream: bool,
}

/// `HttpBody`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HttpBody {
    pub(super) body: Bytes,
    /// How often it has one, an empty one too.
    pub(super) bodies: u32,
    pub(super) end_of_stream: bool,
}

/// `HttpTrailers`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpTrailers {
    #[prost(message, optional, tag = "1")]
    pub(super) trailers: Option<HeaderMap>,
}

/// `envoy.config.core.v3.HeaderMap`. Of more fields than are allowed it has one more than that: each takes fifty times
/// the two bytes that an empty one has on the wire.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HeaderMap {
    pub(super) headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`. The key is text, which a compatible decoder checks.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) raw_value: Bytes,
}

/// `ProtocolConfiguration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct ProtocolConfiguration {
    #[prost(enumeration = "BodySendMode", tag = "1")]
    pub(super) request_body_mode: i32,
    #[prost(enumeration = "BodySendMode", tag = "2")]
    pub(super) response_body_mode: i32,
}

/// `envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.BodySendMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum BodySendMode {
    None = 0,
    Streamed = 1,
    Buffered = 2,
    BufferedPartial = 3,
    FullDuplexStreamed = 4,
    Grpc = 5,
}

/// Messages that are only ever read, and differ from what protobuf would make of them.
macro_rules! read_only {
    ($message:ty, |$self:ident, $tag:ident, $wire:ident, $from:ident, $context:ident| $merge:expr) => {
        impl Message for $message {
            fn encode_raw(&self, _: &mut impl BufMut) {}

            fn merge_field(
                &mut self,
                $tag: u32,
                $wire: WireType,
                $from: &mut impl Buf,
                $context: DecodeContext,
            ) -> Result<(), DecodeError> {
                let $self = self;
                $merge
            }

            fn encoded_len(&self) -> usize {
                0
            }

            fn clear(&mut self) {
                *self = Self::default();
            }
        }
    };
}

read_only!(ProcessingRequest, |message, tag, wire, from, context| match tag {
    2..=7 => {
        message.contents = message.contents.saturating_add(1);
        Content::merge(&mut message.request, tag, wire, from, context)
    }
    10 => encoding::bool::merge(wire, &mut message.observability_mode, from, context),
    11 => encoding::message::merge(wire, message.protocol_config.get_or_insert_default(), from, context),
    _ => skip_field(wire, tag, from, context),
});

read_only!(HttpBody, |message, tag, wire, from, context| match tag {
    1 => {
        message.bodies = message.bodies.saturating_add(1);
        encoding::bytes::merge(wire, &mut message.body, from, context)
    }
    2 => encoding::bool::merge(wire, &mut message.end_of_stream, from, context),
    _ => skip_field(wire, tag, from, context),
});

read_only!(HeaderMap, |message, tag, wire, from, context| match tag {
    1 if message.headers.len() <= MAX_FIELDS => {
        encoding::message::merge_repeated(wire, &mut message.headers, from, context)
    }
    _ => skip_field(wire, tag, from, context),
});
