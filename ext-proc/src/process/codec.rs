//! Envoy's messages as tonic reads and writes them: what tonic's own codec does, and two limits before a message is
//! unpacked.
//!
//! `ExternalProcessorServer` of envoy-types would decode whatever is below the message limit. That limit must exceed the
//! largest `BUFFERED` body, and prost makes 72 bytes of a header that takes two on the wire, so that 64 MiB of empty
//! headers would take over 2 GiB. Here everything but the bytes of a body is bounded by [`AROUND`].

use std::ops::RangeInclusive;

use bytes::Buf;
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::process::intake::Intake;

/// The most bytes of a message beside a body: headers, trailers, attributes, metadata. Envoy's own default limit of all
/// headers together is 60 KiB.
pub(super) const AROUND: usize = 1024 * 1024;

/// What stands before each message: a flag for compression, and its length in four bytes.
const PREFIX: usize = 5;

/// `ProcessingRequest.request_body`.
const REQUEST_BODY: u32 = 4;

/// All fields of `ProcessingRequest.request`.
const CONTENTS: RangeInclusive<u32> = 2..=7;

/// A stream's first buffer, in bytes: most heads fit.
const BUFFER: usize = 4 * 1024;

/// So many bytes of answers go out together, at most.
const TOGETHER: usize = 32 * 1024;

/// The codec of one stream.
#[derive(Debug)]
pub(super) struct Codec {
    intake: Intake,
}

/// Decodes [`ProcessingRequest`]s, and tells the intake how long they were.
#[derive(Debug)]
pub(super) struct RequestDecoder {
    intake: Intake,
}

impl Codec {
    /// For a stream whose bytes come by `intake`.
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake }
    }
}

impl RequestDecoder {
    /// For a stream whose bytes come by `intake`.
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake }
    }
}

impl tonic::codec::Codec for Codec {
    type Encode = ProcessingResponse;
    type Decode = ProcessingRequest;
    type Encoder = ProstEncoder<ProcessingResponse>;
    type Decoder = RequestDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, TOGETHER))
    }

    fn decoder(&mut self) -> Self::Decoder {
        RequestDecoder::new(self.intake.clone())
    }
}

impl Decoder for RequestDecoder {
    type Item = ProcessingRequest;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<ProcessingRequest>, Status> {
        let length = message.remaining();
        // tonic hands a message over in one piece.
        let Survey { around, contents } = survey(message.chunk());
        if around > AROUND {
            let text = format!("a message with {around} bytes beside its body, but {AROUND} are the most");
            return Err(Status::invalid_argument(text));
        }
        // Protobuf would let the last one win. Envoy never writes two.
        if contents > 1 {
            return Err(Status::invalid_argument("a message with two contents"));
        }
        let decoded = ProcessingRequest::decode(message);
        self.intake.taken(PREFIX + length);
        match decoded {
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(Status::internal(format!("a message that cannot be read: {error}"))),
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, TOGETHER)
    }
}

/// What a message has, without unpacking it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Survey {
    /// Bytes that are of no request's body.
    around: usize,
    /// Headers, bodies, trailers.
    contents: usize,
}

/// Goes over the fields of a message. Of one that cannot be read all bytes from the first bad one on are around.
fn survey(mut message: &[u8]) -> Survey {
    let mut survey = Survey::default();
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
