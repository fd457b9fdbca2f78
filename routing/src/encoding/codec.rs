//! One decoder, whatever its coding is.

#[cfg(feature = "brotli")]
use super::brotli::BrotliDecoder;
use super::content_coding::ContentCoding;
#[cfg(feature = "gzip")]
use super::flate::FlateDecoder;
use super::step::{DecodingStep, StepEnd};
#[cfg(feature = "zstd")]
use super::zstd::ZstdDecoder;
use crate::reason::Reason;

/// The decoder of a coding.
pub(super) enum Codec {
    #[cfg(feature = "gzip")]
    Flate(Box<FlateDecoder>),
    #[cfg(feature = "brotli")]
    Brotli(Box<BrotliDecoder>),
    #[cfg(feature = "zstd")]
    Zstd(ZstdDecoder),
}

impl Codec {
    /// # Errors
    /// This build does not read the coding: [`Reason::BodyEncoded`].
    pub(super) fn new(coding: ContentCoding) -> Result<Self, Reason> {
        match coding {
            #[cfg(feature = "gzip")]
            ContentCoding::Gzip => Ok(Codec::Flate(Box::new(FlateDecoder::gzip()))),
            #[cfg(feature = "gzip")]
            ContentCoding::Deflate => Ok(Codec::Flate(Box::new(FlateDecoder::deflate()))),
            #[cfg(feature = "brotli")]
            ContentCoding::Brotli => Ok(Codec::Brotli(Box::default())),
            #[cfg(feature = "zstd")]
            ContentCoding::Zstd => ZstdDecoder::new().map(Codec::Zstd).ok_or(Reason::BodyEncoded),
            #[allow(unreachable_patterns, reason = "the features say which codings are left")]
            _ => Err(Reason::BodyEncoded),
        }
    }

    /// Decodes the next bytes of the input into the output.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> DecodingStep {
        match self {
            #[cfg(feature = "gzip")]
            Codec::Flate(decoder) => decoder.step(input, output),
            #[cfg(feature = "brotli")]
            Codec::Brotli(decoder) => decoder.step(input, output),
            #[cfg(feature = "zstd")]
            Codec::Zstd(decoder) => decoder.step(input, output),
            #[allow(unreachable_patterns, reason = "the features say which codings are left")]
            _ => {
                let _unused = (input, output);
                DecodingStep { read: 0, written: 0, end: StepEnd::Damaged }
            }
        }
    }

    /// Whether a member that begins with this byte may follow a complete one.
    pub(super) fn may_go_on(&self, first: u8) -> bool {
        match self {
            #[cfg(feature = "gzip")]
            Codec::Flate(decoder) => decoder.may_go_on(first),
            #[cfg(feature = "zstd")]
            Codec::Zstd(_) => ZstdDecoder::may_go_on(first),
            #[allow(unreachable_patterns, reason = "the features say which codings are left")]
            _ => {
                let _unused = first;
                false
            }
        }
    }

    /// Begins the next member.
    pub(super) fn restart(&mut self) {
        match self {
            #[cfg(feature = "gzip")]
            Codec::Flate(decoder) => decoder.restart(),
            #[allow(unreachable_patterns, reason = "the features say which codings are left")]
            _ => {}
        }
    }

    /// The memory in use after this many decoded bytes: of a window, no more than what was written to it.
    pub(super) fn memory(&self, decoded: u64) -> u64 {
        match self {
            #[cfg(feature = "gzip")]
            Codec::Flate(_) => super::flate::MEMORY,
            #[cfg(feature = "brotli")]
            Codec::Brotli(decoder) => decoder.memory(decoded),
            #[cfg(feature = "zstd")]
            Codec::Zstd(_) => super::zstd::MEMORY + decoded.min(super::zstd::MAX_WINDOW),
            #[allow(unreachable_patterns, reason = "the features say which codings are left")]
            _ => decoded,
        }
    }
}
