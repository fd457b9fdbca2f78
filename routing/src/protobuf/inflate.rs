//! Decompression of one gRPC message, as it arrives (gRPC over HTTP/2, "Message-Encoding").

mod gzip;

use flate2::{Decompress, FlushDecompress, Status};

use self::gzip::{GzipHeader, GzipTrailer};
use crate::body::BodyError;
use crate::format::Compression;
use crate::reason::Reason;

/// How many bytes the messages of a request may expand to, whatever their size.
pub(super) const MIN_ALLOWANCE: u64 = 16 << 20;

/// How many more bytes each compressed byte may expand to.
pub(super) const MAX_RATIO: u64 = 32;

/// The bytes that are decompressed at a time.
const OUTPUT: usize = 4 << 10;

/// Decompresses a message. Memory: the window of 32 KiB, the tables and [`OUTPUT`].
#[derive(Debug)]
pub(super) struct Inflater {
    state: InflateState,
    inflate: Decompress,
    /// The sum of the bytes so far, which the end of a gzip stream has too. A zlib stream checks its own.
    trailer: Option<GzipTrailer>,
}

#[derive(Debug)]
enum InflateState {
    Header(GzipHeader),
    Data,
    Trailer,
    Complete,
}

impl Inflater {
    /// The decompressor of messages with this compression, if they may be compressed.
    pub(super) fn new(compression: Compression) -> Option<Self> {
        match compression {
            Compression::Gzip => Some(Self {
                state: InflateState::Header(GzipHeader::default()),
                inflate: Decompress::new(false),
                trailer: Some(GzipTrailer::default()),
            }),
            Compression::Deflate => {
                Some(Self { state: InflateState::Data, inflate: Decompress::new(true), trailer: None })
            }
            Compression::Identity | Compression::Unknown => None,
        }
    }

    /// Prepares for the next message of the same compression. This costs less than a new decompressor.
    pub(super) fn restart(&mut self) {
        let is_gzip = self.trailer.is_some();
        self.inflate.reset(!is_gzip);
        self.trailer = is_gzip.then(GzipTrailer::default);
        self.state = if is_gzip { InflateState::Header(GzipHeader::default()) } else { InflateState::Data };
    }

    /// Decompresses the next bytes into `output`. The offset of an error means nothing.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        allowance: &mut u64,
        output: &mut dyn FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<(), BodyError> {
        while let Some((byte, rest)) = piece.split_first() {
            match &mut self.state {
                InflateState::Header(header) => {
                    if header.push(*byte).map_err(|()| damaged())? {
                        self.state = InflateState::Data;
                    }
                    piece = rest;
                }
                InflateState::Data => piece = self.inflate(piece, allowance, output)?,
                InflateState::Trailer => {
                    if self.trailer.as_mut().is_none_or(|trailer| trailer.push(*byte)) {
                        self.state = InflateState::Complete;
                        let is_intact = self.trailer.as_ref().is_none_or(GzipTrailer::is_intact);
                        if !is_intact {
                            return Err(damaged());
                        }
                    }
                    piece = rest;
                }
                // Decoders differ on a second stream behind the first.
                InflateState::Complete => return Err(damaged()),
            }
        }
        Ok(())
    }

    /// Whether the message may end here.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, InflateState::Complete)
    }

    /// Decompresses until the input or the stream ends. Returns the rest of the input.
    fn inflate<'a>(
        &mut self,
        mut piece: &'a [u8],
        allowance: &mut u64,
        output: &mut dyn FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<&'a [u8], BodyError> {
        let mut buffer = [0; OUTPUT];
        loop {
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(piece, &mut buffer, FlushDecompress::None);
            let written = count(self.inflate.total_out() - written);
            piece = piece.get(count(self.inflate.total_in() - read)..).unwrap_or_default();
            // What comes before a fault counts, so that the result does not depend on the size of the pieces.
            let bytes = buffer.get(..written).unwrap_or_default();
            *allowance = allowance.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
            if let Some(trailer) = &mut self.trailer {
                trailer.add(bytes);
            }
            output(bytes)?;
            match status {
                Err(_) => return Err(damaged()),
                Ok(Status::StreamEnd) => {
                    let has_trailer = self.trailer.is_some();
                    self.state = if has_trailer { InflateState::Trailer } else { InflateState::Complete };
                    return Ok(piece);
                }
                Ok(Status::Ok | Status::BufError) if written < OUTPUT && piece.is_empty() => return Ok(piece),
                Ok(Status::Ok | Status::BufError) if written == 0 => return Err(damaged()),
                Ok(Status::Ok | Status::BufError) => {}
            }
        }
    }
}

fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn damaged() -> BodyError {
    BodyError { reason: Reason::BodyMalformed, offset: 0, expected: "expected a compressed message that is intact" }
}

fn too_large() -> BodyError {
    let expected = "expected compressed messages of at most 16 MiB and 32 times their size";
    BodyError { reason: Reason::BodyTooLarge, offset: 0, expected }
}
