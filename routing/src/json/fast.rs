//! The fast path: moves over many bytes at a time where their meaning is certain and no pointer can use them.
//!
//! The scanner makes one call, [`FastPath::advance`], wherever it can stop between two steps. The fast path never
//! reports an error and never finds a key. Where it is not certain (malformed bytes, a token that the chunk cuts, the end
//! of the chunk) it stops, in the state that the scanner would be in at that place. Results therefore do not depend on
//! it, only speed does, and a scanner without it is the reference that tests compare it with.
//!
//! - [`skip`] reads whole tokens, found by [`tokens`], in containers that no pointer goes through.
//! - [`structure_cache`] compares the bytes between values with earlier ones instead of reading their tokens again;
//!   [`backoff`] pauses it where nothing repeats.
//! - [`strings`] finds the ends of strings and of whitespace.
//! - [`simd`] is the only place with vector instructions.

mod backoff;
mod simd;
mod skip;
mod strings;
mod structure_cache;
mod tokens;

use skip::Skip;
pub(super) use strings::{line_end, plain_length};
use structure_cache::StructureCache;

use super::stack::Stack;
use super::state::GrammarState;

/// The fast path of one document.
#[derive(Debug, Default)]
pub(super) struct FastPath {
    cache: Option<Box<StructureCache>>,
}

/// A place in a chunk, and the state of the grammar there.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanPosition {
    pub(super) at: usize,
    pub(super) state: GrammarState,
}

/// The parts of the scanner's state that limit the fast path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many containers, from the root inwards, pointers go through.
    pub(super) live: usize,
    /// The most containers that may be open.
    pub(super) depth: usize,
    /// Whether the scanner keeps the text of the string it is in. Escape sequences must then be decoded.
    pub(super) keeps_text: bool,
    /// The length of the body so far, this chunk included.
    pub(super) received: u64,
}

impl FastPath {
    /// Moves on from `place`, as far as every byte is certain to be valid. The place must be either between two characters
    /// of a string, or between two tokens in a container that no pointer goes through.
    #[inline(always)]
    pub(super) fn advance(
        &mut self,
        chunk: &[u8],
        place: ScanPosition,
        bounds: Bounds,
        stack: &mut Stack,
    ) -> ScanPosition {
        match place.state {
            GrammarState::NameText | GrammarState::StringText => {
                ScanPosition { at: strings::text_end(chunk, place.at, !bounds.keeps_text), ..place }
            }
            state if Skip::can_begin(state, stack) => self.skip(chunk, place, bounds, stack),
            _ => place,
        }
    }

    /// The chunk has ended.
    #[inline]
    pub(super) fn end_chunk(&mut self, length: usize) {
        if let Some(cache) = &mut self.cache {
            cache.end_chunk(length);
        }
    }

    #[inline(always)]
    fn skip(&mut self, chunk: &[u8], place: ScanPosition, bounds: Bounds, stack: &mut Stack) -> ScanPosition {
        let cache = StructureCache::for_chunk(&mut self.cache, chunk.len(), bounds);
        Skip { chunk, bounds, cache }.read(place, stack)
    }
}
