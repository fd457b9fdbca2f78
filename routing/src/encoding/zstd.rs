//! Zstandard (RFC 8878), with the library of its authors: the one in Rust takes five times as long.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::step::{DecodingStep, StepEnd};

/// The logarithm of the largest window that an HTTP body may need (RFC 9659).
const MAX_WINDOW_LOG: u32 = 23;

/// The largest window, in bytes.
pub(super) const MAX_WINDOW: u64 = 1 << MAX_WINDOW_LOG;

/// The memory without the window: the tables, and a block of 128 KiB before and after decoding.
pub(super) const MEMORY: u64 = 448 << 10;

/// The first byte of a frame.
const FRAME: u8 = 0x28;

/// The first bytes of skippable frames.
const SKIPPABLE: std::ops::RangeInclusive<u8> = 0x50..=0x5f;

/// Frames, one after the other.
pub(super) struct ZstdDecoder(DCtx<'static>);

impl ZstdDecoder {
    /// A decoder. `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let mut context = DCtx::try_create()?;
        context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).ok()?;
        Some(Self(context))
    }

    /// Decodes the next bytes of a frame.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> DecodingStep {
        let (mut source, mut target) = (InBuffer::around(input), OutBuffer::around(output));
        let result = self.0.decompress_stream(&mut target, &mut source);
        let end = match result {
            Ok(0) => StepEnd::Complete,
            Ok(_) => StepEnd::More,
            Err(_) => StepEnd::Damaged,
        };
        DecodingStep { read: source.pos(), written: target.pos(), end }
    }

    /// Whether a frame begins with this byte. The decoder begins it by itself.
    pub(super) fn may_go_on(first: u8) -> bool {
        first == FRAME || SKIPPABLE.contains(&first)
    }
}
