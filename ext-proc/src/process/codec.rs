//! Envoy's messages as tonic reads and writes them: prost's codec, but for two things.
//!
//! **Limits before a message is unpacked.** `ExternalProcessorServer` of envoy-types would decode whatever is below the
//! message limit. That limit must exceed the largest `BUFFERED` body, and prost makes 72 bytes of a header that takes two
//! on the wire, so that 64 MiB of empty headers would take over 2 GiB. Here everything but the bytes of a body is bounded
//! by [`MAX_OVERHEAD`].
//!
//! **Bodies without copies.** The bytes of a body stay in the buffer that tonic read them into, and a piece of one is
//! written from there. envoy-types has a `Vec` for either, which is a copy each.

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

/// The most bytes of a message beside a body: headers, trailers, attributes, metadata. Envoy's own default limit of all
/// headers together is 60 KiB.
pub(super) const MAX_OVERHEAD: usize = 1024 * 1024;

/// What stands before each message: a flag for compression, and its length in four bytes.
const PREFIX: usize = 5;

/// `ProcessingRequest.request_body`.
const REQUEST_BODY: u32 = 4;

/// `HttpBody.body` and `StreamedBodyResponse.body`.
const BODY: u32 = 1;

/// All fields of `ProcessingRequest.request`.
const CONTENTS: RangeInclusive<u32> = 2..=7;

/// A stream's first buffer, in bytes: most heads fit.
const BUFFER: usize = 4 * 1024;

/// So many bytes of answers go out together, at most.
const TOGETHER: usize = 32 * 1024;

/// A message from Envoy.
#[derive(Debug, Default, PartialEq)]
pub struct IncomingMessage {
    /// All of it, but that a body has no bytes.
    pub message: ProcessingRequest,
    /// The bytes of its body, if it has one.
    pub body: Bytes,
}

/// A message to Envoy.
#[derive(Debug)]
pub enum OutgoingMessage {
    /// Any but the next.
    Response(Box<ProcessingResponse>),
    /// A piece of the body, which answers `request_body` with a `streamed_response`.
    BodyChunk {
        /// The bytes.
        bytes: Bytes,
        /// Whether the body ends with them.
        end_of_stream: bool,
    },
}

/// The codec of one stream.
#[derive(Debug)]
pub(super) struct Codec {
    counted_body: CountedBody,
}

/// Encodes what is sent.
#[derive(Debug)]
pub(super) struct ResponseEncoder;

/// Decodes what is received, and tells the counted_body how long they were.
#[derive(Debug)]
pub(super) struct RequestDecoder {
    counted_body: CountedBody,
}

impl Codec {
    /// For a stream whose bytes come by `counted_body`.
    pub(super) fn new(counted_body: CountedBody) -> Self {
        Self { counted_body }
    }
}

impl RequestDecoder {
    /// For a stream whose bytes come by `counted_body`.
    pub(super) fn new(counted_body: CountedBody) -> Self {
        Self { counted_body }
    }
}

impl tonic::codec::Codec for Codec {
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
        // tonic hands a message over in one piece.
        let MessageSummary { around, contents } = survey(message.chunk());
        if around > MAX_OVERHEAD {
            let text = format!("a message with {around} bytes beside its body, but {MAX_OVERHEAD} are the most");
            return Err(Status::invalid_argument(text));
        }
        // Protobuf would let the last one win. Envoy never writes two.
        if contents > 1 {
            return Err(Status::invalid_argument("a message with two contents"));
        }
        let decoded = received(message);
        self.counted_body.message_decoded(PREFIX + length);
        match decoded {
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(Status::internal(format!("a message that cannot be read: {error}"))),
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, TOGETHER)
    }
}

impl Encoder for ResponseEncoder {
    type Item = OutgoingMessage;
    type Error = Status;

    fn encode(&mut self, sent: OutgoingMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match sent {
            OutgoingMessage::Response(message) => {
                message.encode(buffer).map_err(|error| Status::internal(format!("an answer: {error}")))
            }
            OutgoingMessage::BodyChunk { bytes, end_of_stream } => {
                piece(bytes, end_of_stream, buffer);
                Ok(())
            }
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, TOGETHER)
    }
}

/// Decodes a message. A body that Envoy has written, which stands first, keeps its bytes where they are.
fn received(message: &mut impl Buf) -> Result<IncomingMessage, DecodeError> {
    let Some(BodyLayout { head, bytes, tail }) = layout(message.chunk()) else {
        let mut message = ProcessingRequest::decode(message)?;
        let body = match &mut message.request {
            Some(Request::RequestBody(body)) => std::mem::take(&mut body.body).into(),
            _ => Bytes::new(),
        };
        return Ok(IncomingMessage { message, body });
    };
    message.advance(head);
    let body = message.copy_to_bytes(bytes);
    // Should it have a second body, that is the one, as prost has it.
    let mut http_body = HttpBody::decode(message.copy_to_bytes(tail))?;
    let second = Bytes::from(std::mem::take(&mut http_body.body));
    let mut message = ProcessingRequest::decode(message)?;
    message.request = Some(Request::RequestBody(http_body));
    Ok(IncomingMessage { message, body: if second.is_empty() { body } else { second } })
}

/// Where the bytes of a body are in a message that begins with `request_body`, which begins with `body`.
struct BodyLayout {
    head: usize,
    bytes: usize,
    /// What is left of `request_body` behind them.
    tail: usize,
}

fn layout(message: &[u8]) -> Option<BodyLayout> {
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

/// Writes a piece of a body: `request_body { response { body_mutation { streamed_response { body, end_of_stream }}}}`.
fn piece(bytes: Bytes, end_of_stream: bool, buffer: &mut impl BufMut) {
    const WITHIN: [u32; 4] = [3, 1, 3, 3];
    const END_OF_STREAM: u32 = 2;
    // The tags of all these fields take one byte.
    let field = |length: usize| 1 + encoded_len_varint(length as u64) + length;
    let streamed = field(bytes.len()) + if end_of_stream { 2 } else { 0 };
    let mutation = field(streamed);
    let common = field(mutation);
    for (number, length) in WITHIN.into_iter().zip([field(common), common, mutation, streamed]) {
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

/// What a message has, without unpacking it.
#[derive(Debug, Default, PartialEq, Eq)]
struct MessageSummary {
    /// Bytes that are of no request's body.
    around: usize,
    /// Headers, bodies, trailers.
    contents: usize,
}

/// Goes over the fields of a message. Of one that cannot be read all bytes from the first bad one on are around.
fn survey(mut message: &[u8]) -> MessageSummary {
    let mut survey = MessageSummary::default();
    while !message.is_empty() {
        let before = message.len();
        let Some((tag, body)) = next_field(&mut message) else {
            survey.around += before;
            break;
        };
        survey.around += before - message.len() - body;
        survey.contents += usize::from(CONTENTS.contains(&tag));
    }
    survey
}

/// Skips a field: its tag, and how many bytes of a request's body it has.
fn next_field(message: &mut &[u8]) -> Option<(u32, usize)> {
    let (tag, wire_type) = decode_key(message).ok()?;
    let before = message.len();
    skip_field(wire_type, tag, message, DecodeContext::default()).ok()?;
    Some((tag, if tag == REQUEST_BODY { before - message.len() } else { 0 }))
}

#[cfg(test)]
mod tests;
