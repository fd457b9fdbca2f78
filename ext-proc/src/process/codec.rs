//! The codec of ext_proc messages. It differs from prost's in two points.
//!
//! **It limits a message before it decodes it.** `ExternalProcessorServer` of envoy-types decodes every message below the
//! message limit. That limit must exceed the largest `BUFFERED` body. prost makes 72 bytes of a header that takes two on
//! the wire, so 64 MiB of empty headers would take over 2 GiB. This codec limits everything but the body to
//! [`MAX_OVERHEAD`].
//!
//! **It does not copy bodies.** The bytes of a body stay in the buffer that tonic read them into, and go back from there.
//! envoy-types would copy them into a `Vec` each time.

use std::ops::RangeInclusive;

use bytes::{Buf, BufMut, Bytes};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, ProcessingRequest, ProcessingResponse};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, skip_field,
};
use prost::{DecodeError, Message};
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::process::counted_body::CountedBody;
use crate::process::message_framing::PREFIX;

/// The most bytes of a message that are not body: headers, trailers, attributes, metadata. Envoy limits all headers of a
/// request to 60 KiB by default.
pub(super) const MAX_OVERHEAD: usize = 1024 * 1024;

/// `ProcessingRequest.request_body`.
const REQUEST_BODY: u32 = 4;

/// `HttpBody.body` and `StreamedBodyResponse.body`.
const BODY: u32 = 1;

/// The fields of the oneof `ProcessingRequest.request`.
const REQUEST_FIELDS: RangeInclusive<u32> = 2..=7;

/// The initial size, in bytes, of a stream's buffers. The headers of most requests fit.
const BUFFER_SIZE: usize = 4 * 1024;

/// tonic collects at most this many bytes of messages before it sends them.
const YIELD_THRESHOLD: usize = 32 * 1024;

/// A message from Envoy.
#[derive(Debug, Default, PartialEq)]
pub struct IncomingMessage {
    /// The message. If it has a body, the bytes are missing.
    pub message: ProcessingRequest,
    /// The bytes of the body, if it has one.
    pub body: Bytes,
}

/// A message to Envoy.
#[derive(Debug)]
pub(crate) enum OutgoingMessage {
    /// Any message but a body chunk.
    Response(Box<ProcessingResponse>),
    /// A chunk of the body: `request_body` with a `streamed_response`.
    BodyChunk {
        /// The bytes.
        bytes: Bytes,
        /// Whether the body ends here.
        end_of_stream: bool,
    },
}

/// The codec of one stream.
#[derive(Debug)]
pub(super) struct ExtProcCodec {
    counted_body: CountedBody,
}

/// Encodes outgoing messages.
#[derive(Debug)]
pub(super) struct ResponseEncoder;

/// Decodes incoming messages, and reports their length to the body that they came in.
#[derive(Debug)]
pub(super) struct RequestDecoder {
    counted_body: CountedBody,
}

impl ExtProcCodec {
    /// The codec of the stream that reads this body.
    pub(super) fn new(counted_body: CountedBody) -> Self {
        Self { counted_body }
    }
}

impl RequestDecoder {
    /// The decoder of the stream that reads this body.
    pub(super) fn new(counted_body: CountedBody) -> Self {
        Self { counted_body }
    }
}

impl tonic::codec::Codec for ExtProcCodec {
    type Encode = OutgoingMessage;
    type Decode = IncomingMessage;
    type Encoder = ResponseEncoder;
    type Decoder = RequestDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ResponseEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        RequestDecoder::new(self.counted_body.clone())
    }
}

impl Decoder for RequestDecoder {
    type Item = IncomingMessage;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<IncomingMessage>, Status> {
        let length = message.remaining();
        // tonic passes a message in one buffer.
        let MessageSummary { overhead, requests } = summarize(message.chunk());
        if overhead > MAX_OVERHEAD {
            let text = format!("the message has {overhead} bytes beside its body; at most {MAX_OVERHEAD} are allowed");
            return Err(Status::invalid_argument(text));
        }
        // Protobuf would let the last one win. Envoy never writes two.
        if requests > 1 {
            return Err(Status::invalid_argument("the message sets `request` more than once"));
        }
        let decoded = decode_message(message);
        self.counted_body.message_decoded(PREFIX + length);
        match decoded {
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(Status::internal(format!("the message is not a valid ProcessingRequest: {error}"))),
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_SIZE, YIELD_THRESHOLD)
    }
}

impl Encoder for ResponseEncoder {
    type Item = OutgoingMessage;
    type Error = Status;

    fn encode(&mut self, message: OutgoingMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match message {
            OutgoingMessage::Response(response) => response
                .encode(buffer)
                .map_err(|error| Status::internal(format!("cannot encode a ProcessingResponse: {error}"))),
            OutgoingMessage::BodyChunk { bytes, end_of_stream } => {
                encode_chunk(bytes, end_of_stream, buffer);
                Ok(())
            }
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_SIZE, YIELD_THRESHOLD)
    }
}

/// Decodes a message. The bytes of a body are not copied if the message begins with them, as Envoy writes it.
fn decode_message(message: &mut impl Buf) -> Result<IncomingMessage, DecodeError> {
    let Some(BodyLayout { head, bytes, tail }) = body_layout(message.chunk()) else {
        let mut message = ProcessingRequest::decode(message)?;
        let body = match &mut message.request {
            Some(Request::RequestBody(body)) => std::mem::take(&mut body.body).into(),
            _ => Bytes::new(),
        };
        return Ok(IncomingMessage { message, body });
    };
    message.advance(head);
    let body = message.copy_to_bytes(bytes);
    // A second `body` field replaces the first, as in prost.
    let mut http_body = HttpBody::decode(message.copy_to_bytes(tail))?;
    let second = Bytes::from(std::mem::take(&mut http_body.body));
    let mut message = ProcessingRequest::decode(message)?;
    message.request = Some(Request::RequestBody(http_body));
    Ok(IncomingMessage { message, body: if second.is_empty() { body } else { second } })
}

/// The position of the body's bytes in a message that begins with `request_body { body`.
struct BodyLayout {
    /// Bytes before the body.
    head: usize,
    /// Bytes of the body.
    bytes: usize,
    /// Bytes of `request_body` after the body.
    tail: usize,
}

fn body_layout(message: &[u8]) -> Option<BodyLayout> {
    let mut rest = message;
    let mut field = |number: u32, within: usize| {
        let before = rest.len();
        let key = decode_key(&mut rest).ok()?;
        let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let left = within.checked_sub(before - rest.len())?.checked_sub(length)?;
        (key == (number, WireType::LengthDelimited)).then_some((length, left))
    };
    let (request_body, _) = field(REQUEST_BODY, message.len())?;
    let (bytes, tail) = field(BODY, request_body)?;
    Some(BodyLayout { head: message.len() - rest.len(), bytes, tail })
}

/// Encodes a chunk of the body: `request_body { response { body_mutation { streamed_response { body, end_of_stream }}}}`.
fn encode_chunk(bytes: Bytes, end_of_stream: bool, buffer: &mut impl BufMut) {
    const PATH: [u32; 4] = [3, 1, 3, 3];
    const END_OF_STREAM: u32 = 2;
    // Each of these tags takes one byte.
    let field = |length: usize| 1 + encoded_len_varint(length as u64) + length;
    let streamed = field(bytes.len()) + if end_of_stream { 2 } else { 0 };
    let mutation = field(streamed);
    let common = field(mutation);
    for (number, length) in PATH.into_iter().zip([field(common), common, mutation, streamed]) {
        encode_key(number, WireType::LengthDelimited, buffer);
        encode_varint(length as u64, buffer);
    }
    encode_key(BODY, WireType::LengthDelimited, buffer);
    encode_varint(bytes.len() as u64, buffer);
    buffer.put(bytes);
    if end_of_stream {
        encode_key(END_OF_STREAM, WireType::Varint, buffer);
        encode_varint(1, buffer);
    }
}

/// The sizes of an encoded message.
#[derive(Debug, Default, PartialEq, Eq)]
struct MessageSummary {
    /// Bytes outside `request_body`.
    overhead: usize,
    /// How many fields of the oneof `request` it has.
    requests: usize,
}

/// Measures the fields of a message. After a malformed field, all remaining bytes count as overhead.
fn summarize(mut message: &[u8]) -> MessageSummary {
    let mut summary = MessageSummary::default();
    while !message.is_empty() {
        let before = message.len();
        let Some((tag, body)) = next_field(&mut message) else {
            summary.overhead += before;
            break;
        };
        summary.overhead += before - message.len() - body;
        summary.requests += usize::from(REQUEST_FIELDS.contains(&tag));
    }
    summary
}

/// Skips a field. Returns its tag, and its length if it is `request_body`.
fn next_field(message: &mut &[u8]) -> Option<(u32, usize)> {
    let (tag, wire_type) = decode_key(message).ok()?;
    let before = message.len();
    skip_field(wire_type, tag, message, DecodeContext::default()).ok()?;
    Some((tag, if tag == REQUEST_BODY { before - message.len() } else { 0 }))
}

#[cfg(test)]
mod tests;
