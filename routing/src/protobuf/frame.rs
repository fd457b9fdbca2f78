//! Length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"; gRPC-Web; Connect, "Enveloped-Message").

#[cfg(feature = "gzip")]
use super::inflate::{Inflater, MAX_RATIO, MIN_ALLOWANCE};
use super::message::MessageReader;
use super::query::{MESSAGE, MessageQuery};
use super::values::FieldValues;
use crate::body::BodyError;
use crate::format::Compression;
use crate::reason::Reason;

/// The bytes before a message: the flags, and the length as a big-endian integer of 32 bits.
const PREFIX: usize = 5;

const COMPRESSED: u8 = 0x01;
/// The flag of the trailers, which only gRPC-Web has.
const TRAILERS: u8 = 0x80;

/// Reads a sequence of messages.
#[derive(Debug)]
pub(super) struct FrameReader {
    compression: Compression,
    /// Whether the last message may hold the trailers.
    may_have_trailers: bool,
    state: FrameState,
    /// The bytes so far.
    offset: u64,
    /// How many bytes the compressed messages may still expand to.
    #[cfg(feature = "gzip")]
    allowance: u64,
    /// The decompressor of the last compressed message, for the next one: a client may send very many tiny messages.
    #[cfg(feature = "gzip")]
    spare: Option<Box<Inflater>>,
}

#[derive(Debug)]
enum FrameState {
    Prefix {
        bytes: [u8; PREFIX],
        read: usize,
    },
    Message {
        reader: MessageReader,
        start: u64,
        left: u64,
    },
    #[cfg(feature = "gzip")]
    Compressed {
        inflater: Box<Inflater>,
        reader: MessageReader,
        start: u64,
        left: u64,
    },
    Trailers {
        left: u64,
    },
    /// The trailers have ended.
    Closed,
}

impl FrameReader {
    /// A reader of messages that may have this compression.
    pub(super) fn new(compression: Compression, may_have_trailers: bool) -> Self {
        Self {
            compression,
            may_have_trailers,
            state: FrameState::Prefix { bytes: [0; PREFIX], read: 0 },
            offset: 0,
            #[cfg(feature = "gzip")]
            allowance: MIN_ALLOWANCE,
            #[cfg(feature = "gzip")]
            spare: None,
        }
    }

    /// Reads the next bytes.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        query: &MessageQuery,
        values: &mut FieldValues,
    ) -> Result<(), BodyError> {
        while let Some((byte, rest)) = piece.split_first() {
            let size = match &mut self.state {
                FrameState::Prefix { bytes, read } => {
                    if let Some(next) = bytes.get_mut(*read) {
                        *next = *byte;
                    }
                    *read += 1;
                    1
                }
                FrameState::Message { left, .. } | FrameState::Trailers { left } => take(left, piece),
                #[cfg(feature = "gzip")]
                FrameState::Compressed { left, .. } => take(left, piece),
                FrameState::Closed => return Err(self.malformed("expected no byte after the trailers")),
            };
            let (bytes, after) = piece.split_at_checked(size).unwrap_or((piece, rest));
            self.content(bytes, query, values)?;
            self.offset += bytes.len() as u64;
            piece = after;
            self.advance(query, values)?;
        }
        Ok(())
    }

    /// Whether the body may end here.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, FrameState::Prefix { read: 0, .. } | FrameState::Closed)
    }

    /// The bytes so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes of a message.
    fn content(&mut self, bytes: &[u8], query: &MessageQuery, values: &mut FieldValues) -> Result<(), BodyError> {
        match &mut self.state {
            FrameState::Message { reader, start, .. } => {
                reader.push(bytes, query, values).map_err(|error| BodyError { offset: *start + error.offset, ..error })
            }
            #[cfg(feature = "gzip")]
            FrameState::Compressed { inflater, reader, start, .. } => inflater
                .push(bytes, &mut self.allowance, &mut |piece| reader.push(piece, query, values))
                .map_err(|error| BodyError { offset: *start, ..error }),
            FrameState::Prefix { .. } | FrameState::Trailers { .. } | FrameState::Closed => Ok(()),
        }
    }

    /// Begins a message after its prefix, and ends it after its last byte.
    fn advance(&mut self, query: &MessageQuery, values: &mut FieldValues) -> Result<(), BodyError> {
        if let FrameState::Prefix { bytes, read: PREFIX } = self.state {
            self.state = self.begin(bytes)?;
        }
        let (is_whole, start) = match &self.state {
            FrameState::Message { reader, left: 0, start } => (reader.is_complete(), *start),
            #[cfg(feature = "gzip")]
            FrameState::Compressed { inflater, reader, left: 0, start } => {
                (inflater.is_complete() && reader.is_complete(), *start)
            }
            FrameState::Trailers { left: 0 } => {
                self.state = FrameState::Closed;
                return Ok(());
            }
            _ => return Ok(()),
        };
        if !is_whole {
            let expected = "expected a message that is complete at its length";
            return Err(BodyError { reason: Reason::BodyMalformed, offset: start, expected });
        }
        if let Some(message) = query.field(MESSAGE) {
            values.leave(query, message);
        }
        let ended = std::mem::replace(&mut self.state, FrameState::Prefix { bytes: [0; PREFIX], read: 0 });
        #[cfg(feature = "gzip")]
        if let FrameState::Compressed { inflater, .. } = ended {
            self.spare = Some(inflater);
        }
        #[cfg(not(feature = "gzip"))]
        drop(ended);
        Ok(())
    }

    fn begin(&mut self, prefix: [u8; PREFIX]) -> Result<FrameState, BodyError> {
        let [flags, length @ ..] = prefix;
        let left = u64::from(u32::from_be_bytes(length));
        let start = self.offset;
        match flags {
            0 => Ok(FrameState::Message { reader: MessageReader::new(Some(left)), start, left }),
            COMPRESSED => self.begin_compressed(left),
            flags if self.may_have_trailers && flags & !COMPRESSED == TRAILERS => Ok(FrameState::Trailers { left }),
            _ => Err(self.malformed("expected a message with known flags")),
        }
    }

    #[cfg(feature = "gzip")]
    fn begin_compressed(&mut self, left: u64) -> Result<FrameState, BodyError> {
        let inflater = match self.spare.take() {
            Some(mut spare) => {
                spare.restart();
                Some(spare)
            }
            None => Inflater::new(self.compression).map(Box::new),
        };
        let Some(inflater) = inflater else { return Err(self.unannounced()) };
        self.allowance = self.allowance.saturating_add(left.saturating_mul(MAX_RATIO));
        let (reader, start) = (MessageReader::new(None), self.offset);
        Ok(FrameState::Compressed { inflater, reader, start, left })
    }

    /// Without a decompressor, a call that announces compressed messages is not read at all.
    #[cfg(not(feature = "gzip"))]
    fn begin_compressed(&mut self, _: u64) -> Result<FrameState, BodyError> {
        debug_assert_eq!(self.compression, Compression::Identity);
        Err(self.unannounced())
    }

    fn unannounced(&self) -> BodyError {
        self.malformed("expected an uncompressed message, since the request announces no compression")
    }

    fn malformed(&self, expected: &'static str) -> BodyError {
        BodyError { reason: Reason::BodyMalformed, offset: self.offset, expected }
    }
}

/// How many bytes of the piece belong to what has this many left.
fn take(left: &mut u64, piece: &[u8]) -> usize {
    let size = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
    *left -= size as u64;
    size
}
