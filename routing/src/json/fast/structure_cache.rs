//! The structure cache: compares the bytes between two values with bytes that were there before.
//!
//! The records of a list have the same names, brackets and commas in the same places. The bytes from the end of a scalar
//! value to the beginning of the next one are a *gap*. The grammar reads each new gap once. When the same bytes come
//! again in the same containers, they mean the same and lead to the same containers, because nothing else decides what
//! may follow a value. Comparing them therefore replaces reading their tokens. And the processor knows where the next
//! value begins before it has looked at the gap, so that the two steps overlap.

use super::super::stack::Containers;
use super::Bounds;
use super::backoff::Backoff;
use super::simd::Vector;
use super::tokens::{lookahead, scalar_end, short_scalar_length};

/// The most gaps, [`UNKNOWN`] included. A document that has more starts again with an empty cache.
const GAPS: usize = 64;

/// The most bytes in all gaps.
const GAP_BYTES: usize = 2048;

/// The most combinations of open containers.
const CONTEXTS: usize = 16;

/// How many gaps are remembered as those that came after another one.
const SUCCESSORS: usize = 3;

/// In shorter chunks, such as the lines of an NDJSON body, the cache costs more than it brings.
const MIN_CHUNK: usize = 256;

/// In shorter bodies, the cache costs more than it brings.
const MIN_BODY: u64 = 1536;

/// The gap that stands for one that is not known. It is empty, has no successors and is not a successor.
const UNKNOWN: u8 = 0;

/// The gaps of a document so far.
#[derive(Debug)]
pub(super) struct StructureCache {
    gaps: [Gap; GAPS],
    contexts: [Containers; CONTEXTS],
    bytes: [u8; GAP_BYTES],
    /// For each hash, the gap that was learnt last.
    by_hash: [u8; GAPS],
    gap_count: usize,
    context_count: usize,
    byte_count: usize,
    /// How many containers pointers go through. The gaps are valid for this number only.
    live: usize,
    pub(super) backoff: Backoff,
}

/// The end of a scalar value.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueEnd {
    /// The gap before the value.
    gap: u8,
    pub(super) end: usize,
}

/// The bytes from the end of a scalar value to the beginning of the next one.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Gap {
    /// The first bytes, as many as fit.
    head: [u8; Vector::BYTES],
    /// One bit for each byte of the head that is not part of the gap.
    unused: u32,
    /// Where the bytes are in [`StructureCache::bytes`].
    start: u16,
    length: u8,
    /// The context of the value before.
    from: u8,
    /// The context of the value after.
    to: u8,
    /// The gaps that followed, the latest first.
    successors: [u8; SUCCESSORS],
}

impl StructureCache {
    /// The cache, if it is of use for a chunk of this length.
    #[inline]
    pub(super) fn for_chunk(cache: &mut Option<Box<Self>>, chunk: usize, bounds: Bounds) -> Option<&mut Self> {
        if chunk < MIN_CHUNK || bounds.received < MIN_BODY {
            return None;
        }
        let cache = cache.get_or_insert_with(|| Box::new(Self::new()));
        if cache.live != bounds.live {
            cache.clear();
            cache.live = bounds.live;
        }
        Some(cache)
    }

    fn new() -> Self {
        Self {
            gaps: [Gap::default(); GAPS],
            contexts: [Containers::default(); CONTEXTS],
            bytes: [0; GAP_BYTES],
            by_hash: [UNKNOWN; GAPS],
            gap_count: 1,
            context_count: 0,
            byte_count: 0,
            live: 0,
            backoff: Backoff::new(),
        }
    }

    fn clear(&mut self) {
        (self.gap_count, self.context_count, self.byte_count) = (1, 0, 0);
        self.by_hash = [UNKNOWN; GAPS];
    }

    /// The chunk has ended.
    #[inline]
    pub(super) fn end_chunk(&mut self, length: usize) {
        self.backoff.end_chunk(length);
    }

    /// The containers that are open after a value, if the gap before it is known.
    #[inline(always)]
    pub(super) fn open_after(&self, value: ValueEnd) -> Option<Containers> {
        let gap = self.gap(value.gap).filter(|_| value.gap != UNKNOWN)?;
        self.contexts.get(usize::from(gap.to)).copied()
    }

    /// Learns the gap between `value` and the next one, which ends at `end`; and the containers open before and after it.
    #[inline(never)]
    pub(super) fn learn(
        &mut self,
        mut value: ValueEnd,
        from: Containers,
        bytes: &[u8],
        to: Containers,
        end: usize,
    ) -> ValueEnd {
        let is_full = self.gap_count == GAPS
            || self.context_count + 2 > CONTEXTS
            || self.byte_count + usize::from(u8::MAX) > GAP_BYTES;
        if is_full {
            self.clear();
            value.gap = UNKNOWN;
        }
        let (from, to) = (self.context(from), self.context(to));
        let gap = self.find_or_add(from, bytes, to).unwrap_or(UNKNOWN);
        if gap != UNKNOWN
            && value.gap != UNKNOWN
            && let Some(before) = self.gaps.get_mut(usize::from(value.gap))
            && before.to == from
        {
            before.put_successor_first(gap);
        }
        ValueEnd { gap, end }
    }

    /// The context with these containers.
    fn context(&mut self, containers: Containers) -> u8 {
        let known = self.contexts.iter().take(self.context_count).position(|known| *known == containers);
        let index = known.unwrap_or(self.context_count);
        if known.is_none()
            && let Some(context) = self.contexts.get_mut(index)
        {
            *context = containers;
            self.context_count += 1;
        }
        index as u8
    }

    /// The gap with these bytes. `None` if there are none or too many.
    fn find_or_add(&mut self, from: u8, bytes: &[u8], to: u8) -> Option<u8> {
        let length = u8::try_from(bytes.len()).ok().filter(|length| *length > 0)?;
        let latest = self.by_hash.get_mut(hash(from, bytes))?;
        let known = self.gaps.get(usize::from(*latest))?;
        let start = usize::from(known.start);
        let known_bytes = self.bytes.get(start..start + usize::from(known.length));
        if (known.from, known.to, known_bytes) == (from, to, Some(bytes)) {
            return Some(*latest);
        }
        let unused = !((1_u32 << bytes.len().min(Vector::BYTES)) - 1) & Vector::ALL;
        let start = self.byte_count;
        let mut gap = Gap { unused, start: start as u16, length, from, to, ..Gap::default() };
        gap.head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.bytes.get_mut(start..start + bytes.len())?.copy_from_slice(bytes);
        *self.gaps.get_mut(self.gap_count)? = gap;
        *latest = self.gap_count as u8;
        self.gap_count += 1;
        self.byte_count += bytes.len();
        Some(*latest)
    }

    /// Reads on from the end of a value. Returns the end of the last value before something that is not known.
    #[inline(never)]
    pub(super) fn read(&self, chunk: &[u8], mut value: ValueEnd) -> ValueEnd {
        let Some(mut next) = self.next(value, chunk) else { return value };
        loop {
            let (gap, at) = next;
            let Some(bytes) = lookahead(chunk, at) else { return value };
            if let Some(length) = short_scalar_length(bytes)
                && let Some(after) = bytes.get(length..).and_then(<[u8]>::first_chunk)
                && let Some(known) = self.successor(ValueEnd { gap, end: at + length }, after, chunk)
            {
                value = ValueEnd { gap, end: at + length };
                next = known;
                continue;
            }
            let Some(end) = scalar_end(chunk, at) else { return value };
            value = ValueEnd { gap, end };
            let Some(known) = self.next(value, chunk) else { return value };
            next = known;
        }
    }

    #[inline(always)]
    fn next(&self, value: ValueEnd, chunk: &[u8]) -> Option<(u8, usize)> {
        self.successor(value, chunk.get(value.end..)?.first_chunk()?, chunk)
    }

    /// The gap that came after this value's gap before, and whose bytes are those after the value, of which `bytes` are
    /// the first; and the index after it.
    #[inline(always)]
    fn successor(&self, value: ValueEnd, bytes: &[u8; Vector::BYTES], chunk: &[u8]) -> Option<(u8, usize)> {
        let bytes = Vector::new(bytes);
        let before = self.gap(value.gap)?;
        for index in &before.successors {
            let gap = self.gap(*index)?;
            let end = value.end + usize::from(gap.length);
            if bytes.equal(Vector::new(&gap.head)) | gap.unused == Vector::ALL
                && (usize::from(gap.length) <= Vector::BYTES || self.is_tail_equal(gap, chunk, end))
            {
                return (*index != UNKNOWN).then_some((*index, end));
            }
        }
        None
    }

    /// Whether the bytes before `end` equal the bytes of a gap that is longer than its head.
    #[inline(always)]
    fn is_tail_equal(&self, gap: &Gap, chunk: &[u8], end: usize) -> bool {
        let (start, length) = (usize::from(gap.start), usize::from(gap.length));
        let mut left = length;
        // From the last vector backwards. The last step may compare a part of the head again.
        while let Some(offset) = left.checked_sub(Vector::BYTES)
            && offset > 0
        {
            let known = Vector::load(&self.bytes, start + offset);
            let found = Vector::load(chunk, end - length + offset);
            match (known, found) {
                (Some(known), Some(found)) if known.equal(found) == Vector::ALL => left = offset,
                _ => return false,
            }
        }
        true
    }

    #[inline(always)]
    fn gap(&self, index: u8) -> Option<&Gap> {
        // Always there. The remainder shows it to the compiler, which then leaves out the check.
        self.gaps.get(usize::from(index) % GAPS)
    }
}

impl ValueEnd {
    /// The end of a value that was reached through a gap that is not known.
    #[inline(always)]
    pub(super) fn unknown(end: usize) -> Self {
        Self { gap: UNKNOWN, end }
    }
}

impl Gap {
    /// Puts a successor first. If it is new, the last one is forgotten.
    fn put_successor_first(&mut self, index: u8) {
        let place = self.successors.iter().position(|known| *known == index).unwrap_or(SUCCESSORS - 1);
        if let Some(places) = self.successors.get_mut(..=place) {
            places.rotate_right(1);
        }
        let [first, ..] = &mut self.successors;
        *first = index;
    }
}

/// A hash below [`GAPS`] of every byte: names of one length often begin or end alike.
fn hash(from: u8, bytes: &[u8]) -> usize {
    let mix = |all: u64, word: u64| (all ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = bytes.as_chunks();
    let all = words.iter().fold(u64::from(from), |all, word| mix(all, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(bytes.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
    (mix(all, rest) >> (u64::BITS - GAPS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_one_length_that_begin_or_end_alike_have_different_hashes() {
        for (before, after) in [(",\n      \"", "\": "), (",\"address_of_the_", "\":"), (",\"", "_of_the_addressee\":")]
        {
            let names = ('a'..='z').map(|letter| format!("{before}{letter}{after}"));
            let hashes: BTreeSet<usize> = names.map(|name| hash(1, name.as_bytes())).collect();
            // Of 26 random numbers below 64, 21 or 22 differ on average.
            assert!(hashes.len() >= 18, "{before}: {hashes:?}");
        }
    }
}
