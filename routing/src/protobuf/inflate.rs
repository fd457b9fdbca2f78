//! Decompression of one gRPC message, as it arrives (gRPC over HTTP/2, "Message-Encoding").

use crate::body::BodyError;
use crate::encoding::flate::FlateDecoder;
use crate::encoding::step::StepEnd;
use crate::format::Compression;
use crate::reason::Reason;

/// How many bytes the messages of a request may expand to, whatever their size.
pub(super) const MIN_ALLOWANCE: u64 = 16 << 20;

/// How many more bytes each compressed byte may expand to.
pub(super) const MAX_RATIO: u64 = 32;

/// The bytes that are decompressed at a time.
const OUTPUT: usize = 4 << 10;

/// Decompresses a message. Memory: that of the decoder, and [`OUTPUT`].
#[derive(Debug)]
pub(super) struct Inflater(FlateDecoder);

impl Inflater {
    /// The decompressor of messages with this compression, if they may be compressed.
    pub(super) fn new(compression: Compression) -> Option<Self> {
        match compression {
            Compression::Gzip => Some(Self(FlateDecoder::gzip())),
            Compression::Deflate => Some(Self(FlateDecoder::zlib())),
            Compression::Identity | Compression::Unknown => None,
        }
    }

    /// Prepares for the next message of the same compression. This costs less than a new decompressor.
    pub(super) fn restart(&mut self) {
        self.0.restart();
    }

    /// Decompresses the next bytes into `output`. The offset of an error means nothing.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        allowance: &mut u64,
        output: &mut dyn FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<(), BodyError> {
        let mut buffer = [0; OUTPUT];
        while !piece.is_empty() {
            // Decoders differ on a second stream behind the first.
            let step = self.0.step(piece, &mut buffer);
            piece = piece.get(step.read..).unwrap_or_default();
            self.give_out(buffer.get(..step.written).unwrap_or_default(), allowance, output)?;
            if step.end == StepEnd::Damaged || (step.read == 0 && step.written == 0) {
                return Err(damaged());
            }
        }
        // What did not fit into the buffer.
        loop {
            let step = self.0.step(&[], &mut buffer);
            self.give_out(buffer.get(..step.written).unwrap_or_default(), allowance, output)?;
            match step.end {
                StepEnd::Damaged => return Err(damaged()),
                StepEnd::More | StepEnd::Complete if step.written == 0 => return Ok(()),
                StepEnd::More | StepEnd::Complete => {}
            }
        }
    }

    /// Whether the message may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.0.is_complete()
    }

    /// Passes on decompressed bytes. What comes before a fault counts, so that the result does not depend on the size of the
    /// pieces.
    fn give_out(
        &self,
        bytes: &[u8],
        allowance: &mut u64,
        output: &mut dyn FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<(), BodyError> {
        *allowance = allowance.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
        output(bytes)
    }
}

fn damaged() -> BodyError {
    BodyError { reason: Reason::BodyMalformed, offset: 0, expected: "expected a compressed message that is intact" }
}

fn too_large() -> BodyError {
    let expected = "expected compressed messages of at most 16 MiB and 32 times their size";
    BodyError { reason: Reason::BodyTooLarge, offset: 0, expected }
}
