//! Brotli (RFC 7932), without the large windows that are no part of it.

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, HuffmanCode, SliceWrapper, StandardAlloc,
};

use super::step::{DecodingStep, StepEnd};

/// The state itself, and a margin for what each allocation costs.
const STATE: u64 = 16 << 10;

/// The bytes of the window's allocation that are written before anything is decoded.
const WINDOW_MARGIN: u64 = 64 << 10;

/// One stream. Memory: a window of at most 16 MiB, of which untouched pages take none, and the tables.
pub(super) struct BrotliDecoder(BrotliState<CountingAllocator, CountingAllocator, CountingAllocator>);

/// The allocator of the standard library. It counts.
#[derive(Default)]
pub(super) struct CountingAllocator {
    bytes: u64,
}

impl<T: Clone + Default> Allocator<T> for CountingAllocator {
    type AllocatedMemory = <StandardAlloc as Allocator<T>>::AllocatedMemory;

    fn alloc_cell(&mut self, cells: usize) -> Self::AllocatedMemory {
        self.bytes = self.bytes.saturating_add(size_of::<T>() as u64 * cells as u64);
        StandardAlloc::default().alloc_cell(cells)
    }

    fn free_cell(&mut self, memory: Self::AllocatedMemory) {
        self.bytes = self.bytes.saturating_sub(size_of::<T>() as u64 * memory.slice().len() as u64);
    }
}

impl Default for BrotliDecoder {
    fn default() -> Self {
        Self(BrotliState::new_strict(
            CountingAllocator::default(),
            CountingAllocator::default(),
            CountingAllocator::default(),
        ))
    }
}

impl BrotliDecoder {
    /// Decodes the next bytes.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> DecodingStep {
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written, mut total) = (output.len(), 0, 0);
        let state = &mut self.0;
        let result =
            BrotliDecompressStream(&mut left, &mut read, input, &mut room, &mut written, output, &mut total, state);
        let end = match result {
            BrotliResult::ResultSuccess => StepEnd::Complete,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => StepEnd::More,
            BrotliResult::ResultFailure => StepEnd::Damaged,
        };
        DecodingStep { read, written, end }
    }

    /// The memory in use. Of the window, no more than was decoded is.
    pub(super) fn memory(&self, decoded: u64) -> u64 {
        let Self(state) = self;
        let tables = state.alloc_u32.bytes.saturating_add(state.alloc_hc.bytes);
        let window = state.alloc_u8.bytes.min(decoded.saturating_add(WINDOW_MARGIN));
        STATE.saturating_add(tables).saturating_add(window)
    }
}

const _: () = {
    // The tables are of these.
    assert!(size_of::<HuffmanCode>() <= 4);
};
