//! The scanner of protobuf bodies: one message, or the messages of a gRPC or gRPC-Web call.

use std::sync::Arc;

use super::base64::Base64Decoder;
use super::frame::FrameReader;
use super::message::MessageReader;
use super::query::{MESSAGE, MessageQuery};
use super::values::FieldValues;
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::format::{Compression, Framing};
use crate::reason::Reason;

/// One pass over a body.
#[derive(Debug)]
pub struct ProtobufScanner {
    query: Arc<MessageQuery>,
    values: FieldValues,
    layer: BodyLayer,
}

#[derive(Debug)]
enum BodyLayer {
    Message(MessageReader),
    Frames(FrameReader),
    /// Frames in base64, and the number of characters so far.
    Text {
        decoder: Base64Decoder,
        frames: FrameReader,
        offset: u64,
    },
}

impl ProtobufScanner {
    /// A scanner for one body.
    ///
    /// # Errors
    /// The messages may have a compression that this build does not read: [`Reason::BodyEncoded`].
    pub fn new(query: Arc<MessageQuery>, framing: Framing) -> Result<Self, Reason> {
        let layer = match framing {
            Framing::None => BodyLayer::Message(MessageReader::new(None)),
            Framing::Grpc(compression) => BodyLayer::Frames(FrameReader::new(readable(compression)?, false)),
            Framing::GrpcWeb(compression) => BodyLayer::Frames(FrameReader::new(readable(compression)?, true)),
            Framing::GrpcWebText(compression) => BodyLayer::Text {
                decoder: Base64Decoder::default(),
                frames: FrameReader::new(readable(compression)?, true),
                offset: 0,
            },
        };
        Ok(Self { values: FieldValues::new(&query), query, layer })
    }
}

impl BodyScanner for ProtobufScanner {
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let Self { query, values, layer } = self;
        match layer {
            BodyLayer::Message(message) => message.push(chunk, query, values),
            BodyLayer::Frames(frames) => frames.push(chunk, query, values),
            BodyLayer::Text { decoder, frames, offset } => {
                for character in chunk {
                    // Errors are at the start of the group of four characters.
                    let start = *offset / 4 * 4;
                    *offset += 1;
                    let decoded = decoder.push(*character).map_err(|()| BodyError {
                        reason: Reason::BodyMalformed,
                        offset: start,
                        expected: "expected base64 with padding (RFC 4648, 4)",
                    })?;
                    if let Some((bytes, size)) = decoded {
                        let bytes = bytes.get(..size).unwrap_or_default();
                        frames.push(bytes, query, values).map_err(|error| BodyError { offset: start, ..error })?;
                    }
                }
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        let (is_complete, offset) = match &self.layer {
            BodyLayer::Message(message) => (message.is_complete(), message.offset()),
            BodyLayer::Frames(frames) => (frames.is_complete(), frames.offset()),
            BodyLayer::Text { decoder, frames, offset } => (decoder.is_complete() && frames.is_complete(), *offset),
        };
        if !is_complete {
            let expected = "expected the rest of the message";
            return Err(BodyError { reason: Reason::BodyTruncated, offset, expected });
        }
        if let (BodyLayer::Message(_), Some(message)) = (&self.layer, self.query.field(MESSAGE)) {
            self.values.leave(&self.query, message);
        }
        Ok(())
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.values.candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.values.is_settled(index, self.query.duplicates())
    }
}

/// The compression, if this build reads it.
fn readable(compression: Compression) -> Result<Compression, Reason> {
    match compression {
        Compression::Identity => Ok(compression),
        Compression::Gzip | Compression::Deflate if cfg!(feature = "gzip") => Ok(compression),
        Compression::Gzip | Compression::Deflate | Compression::Unknown => Err(Reason::BodyEncoded),
    }
}
