//! JSON repeats itself: what lies between two values is compared with what lay there before.
//!
//! Between the values of one record stand the same names, brackets and commas as between those of the next. What lies
//! between two scalar values, a *stretch*, is read by the grammar once. When the same bytes come again in the same
//! containers, they mean the same and lead to the same containers, so comparing them does for reading their tokens. And
//! where the next value begins is known before the bytes have been looked at, so that a processor can go ahead.

use super::super::stack::Containers;
use super::simd::Vector;
use super::tokens::{near, near_end, scalar_end};

/// The most kinds of contexts that are remembered.
const CONTEXTS: usize = 16;

/// The most stretches that are remembered, and the one that stands for an unknown one.
const STRETCHES: usize = 64;

/// How many stretches are remembered as those that came after one.
const SUCCESSORS: usize = 3;

/// The bytes of all stretches.
const TEXT: usize = 2048;

/// The longest stretch that is remembered.
const LONGEST: usize = 255;

/// Only bodies that are known to be so long are worth the making of a memory,
const WORTH_MAKING: u64 = 1536;

/// that come in chunks of so many;
const WORTH_USING: usize = 768;

/// and where fewer are left of a chunk, it is not begun any more.
const WORTH_BEGINNING: usize = 128;

/// What a try costs, in bytes that the grammar reads in the same time.
const COST: usize = 48;

/// The most gain that is remembered, in bytes.
const GAIN: usize = 1024;

/// How many bytes to wait when tries bring nothing.
const REST: usize = 4096;

/// The stretch that stands for an unknown one. It has no bytes and no successors, and is nobody's successor.
const ORIGIN: u8 = 0;

/// What the document has taught so far.
#[derive(Debug)]
pub(in crate::json) struct Memory {
    stretches: [Stretch; STRETCHES],
    contexts: [Containers; CONTEXTS],
    text: [u8; TEXT],
    /// The stretch that was last learnt of those with a hash.
    latest: [u8; STRETCHES],
    contexts_known: usize,
    stretches_known: usize,
    text_used: usize,
    /// How many containers pointers go through: with more or fewer, nothing learnt holds.
    floor: usize,
    /// What reading from memory has brought lately, in bytes.
    gain: usize,
    /// Where the last try ended.
    tried: usize,
    /// Before this index of the chunk, it is not worth another try.
    resume: usize,
}

/// The end of a value.
#[derive(Clone, Copy, Debug)]
pub(in crate::json) struct Place {
    /// The stretch before the value.
    here: u8,
    pub(in crate::json) end: usize,
}

/// The bytes from the end of a scalar value to the beginning of the next one.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Stretch {
    /// The first of them, as many as fit.
    head: [u8; Vector::BYTES],
    /// One bit for each byte of the head that is none of them.
    beyond: u32,
    /// Where all of them are in the text.
    start: u16,
    length: u8,
    /// The context of the value before.
    from: u8,
    /// The context of the value after.
    to: u8,
    /// Those that followed, the last one learnt first.
    successors: [u8; SUCCESSORS],
}

impl Memory {
    /// The memory, if it is of use for the `rest` of a `chunk`, both in bytes, where at least `body` come in all. The
    /// outermost `floor` containers are those that pointers go through.
    #[inline]
    pub(in crate::json) fn for_rest(
        memory: &mut Option<Box<Self>>,
        rest: usize,
        chunk: usize,
        body: u64,
        floor: usize,
    ) -> Option<&mut Self> {
        if rest < WORTH_BEGINNING || chunk < WORTH_USING || body < WORTH_MAKING {
            return None;
        }
        let memory = memory.get_or_insert_with(|| Box::new(Self::new()));
        if memory.floor != floor {
            memory.forget();
            memory.floor = floor;
        }
        Some(memory)
    }

    fn new() -> Self {
        Self {
            stretches: [Stretch::default(); STRETCHES],
            contexts: [Containers::default(); CONTEXTS],
            text: [0; TEXT],
            latest: [ORIGIN; STRETCHES],
            contexts_known: 0,
            stretches_known: 1,
            text_used: 0,
            floor: 0,
            gain: GAIN,
            tried: 0,
            resume: 0,
        }
    }

    /// A chunk of so many bytes has ended.
    #[inline]
    pub(in crate::json) fn end_chunk(&mut self, length: usize) {
        self.tried = self.tried.saturating_sub(length);
        self.resume = self.resume.saturating_sub(length);
    }

    /// Whether a try is worth it at this index of the chunk.
    #[inline(always)]
    pub(in crate::json) fn is_awake(&self, at: usize) -> bool {
        at >= self.resume
    }

    /// A try has ended at `end`. Whether tries have brought more than they cost.
    #[inline(always)]
    pub(in crate::json) fn is_worth_it(&mut self, end: usize) -> bool {
        self.gain = GAIN.min(self.gain + end.saturating_sub(self.tried)).saturating_sub(COST);
        self.tried = end;
        let is_worth_it = self.gain > 0;
        if !is_worth_it {
            // Nothing repeats here, and trying is not free.
            self.gain = GAIN / 2;
            self.resume = end + REST;
            self.tried = self.resume;
        }
        is_worth_it
    }

    /// The containers that are open after a value, if the stretch before it is known.
    #[inline(always)]
    pub(in crate::json) fn open(&self, place: Place) -> Option<Containers> {
        let stretch = self.stretch(place.here).filter(|_| place.here != ORIGIN)?;
        self.contexts.get(usize::from(stretch.to)).copied()
    }

    /// Learns that these bytes came after a value, and lead from some open containers to others and to a value that ends
    /// at `end`.
    #[inline(never)]
    pub(in crate::json) fn learn(
        &mut self,
        mut place: Place,
        from: Containers,
        bytes: &[u8],
        to: Containers,
        end: usize,
    ) -> Place {
        if self.contexts_known + 2 > CONTEXTS || self.stretches_known == STRETCHES || self.text_used + LONGEST > TEXT {
            self.forget();
            place.here = ORIGIN;
        }
        let (from, to) = (self.context(from), self.context(to));
        let here = self.find_or_add(from, bytes, to).unwrap_or(ORIGIN);
        if here != ORIGIN
            && place.here != ORIGIN
            && let Some(before) = self.stretches.get_mut(usize::from(place.here))
            && before.to == from
        {
            before.follow_with(here);
        }
        Place { here, end }
    }

    fn forget(&mut self) {
        (self.contexts_known, self.stretches_known, self.text_used) = (0, 1, 0);
        self.latest = [ORIGIN; STRETCHES];
    }

    /// The context with these containers.
    fn context(&mut self, containers: Containers) -> u8 {
        let known = self.contexts.iter().take(self.contexts_known).position(|known| *known == containers);
        let index = known.unwrap_or(self.contexts_known);
        if known.is_none()
            && let Some(context) = self.contexts.get_mut(index)
        {
            *context = containers;
            self.contexts_known += 1;
        }
        index as u8
    }

    /// The stretch of these bytes, if there are any and not too many.
    fn find_or_add(&mut self, from: u8, bytes: &[u8], to: u8) -> Option<u8> {
        let length = u8::try_from(bytes.len()).ok().filter(|length| *length > 0)?;
        let latest = self.latest.get_mut(hash(from, bytes))?;
        let known = self.stretches.get(usize::from(*latest))?;
        let start = usize::from(known.start);
        let text = self.text.get(start..start + usize::from(known.length));
        if (known.from, known.to, text) == (from, to, Some(bytes)) {
            return Some(*latest);
        }
        let beyond = !((1_u32 << bytes.len().min(Vector::BYTES)) - 1) & Vector::ALL;
        let start = self.text_used;
        let mut stretch = Stretch { beyond, start: start as u16, length, from, to, ..Stretch::default() };
        stretch.head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.text.get_mut(start..start + bytes.len())?.copy_from_slice(bytes);
        *self.stretches.get_mut(self.stretches_known)? = stretch;
        *latest = self.stretches_known as u8;
        self.stretches_known += 1;
        self.text_used += bytes.len();
        Some(*latest)
    }

    /// Reads on from the end of a value: the end of the last one before something that is not known.
    #[inline(never)]
    pub(in crate::json) fn read(&self, chunk: &[u8], mut place: Place) -> Place {
        let Some(mut next) = self.next(place, chunk) else { return place };
        loop {
            let (here, at) = next;
            let Some(value) = near(chunk, at) else { return place };
            if let Some(length) = near_end(value)
                && let Some(bytes) = value.get(length..).and_then(<[u8]>::first_chunk)
                && let Some(known) = self.known(Place { here, end: at + length }, bytes, chunk)
            {
                place = Place { here, end: at + length };
                next = known;
                continue;
            }
            let Some(end) = scalar_end(chunk, at) else { return place };
            place = Place { here, end };
            let Some(known) = self.next(place, chunk) else { return place };
            next = known;
        }
    }

    #[inline(always)]
    fn next(&self, place: Place, chunk: &[u8]) -> Option<(u8, usize)> {
        self.known(place, chunk.get(place.end..)?.first_chunk()?, chunk)
    }

    /// The stretch that came after `place` before and whose bytes are those there, which begin with `bytes`; and the
    /// index after them.
    #[inline(always)]
    fn known(&self, place: Place, bytes: &[u8; Vector::BYTES], chunk: &[u8]) -> Option<(u8, usize)> {
        let bytes = Vector::of(bytes);
        let before = self.stretch(place.here)?;
        for index in &before.successors {
            let stretch = self.stretch(*index)?;
            let end = place.end + usize::from(stretch.length);
            if bytes.same(Vector::of(&stretch.head)) | stretch.beyond == Vector::ALL
                && (usize::from(stretch.length) <= Vector::BYTES || self.is_rest_same(stretch, chunk, end))
            {
                return (*index != ORIGIN).then_some((*index, end));
            }
        }
        None
    }

    /// Whether the bytes before `end` are those of the stretch that are more than a vector.
    #[inline(always)]
    fn is_rest_same(&self, stretch: &Stretch, chunk: &[u8], end: usize) -> bool {
        let (start, length) = (usize::from(stretch.start), usize::from(stretch.length));
        let mut left = length;
        while let Some(behind) = left.checked_sub(Vector::BYTES)
            && behind > 0
        {
            // From the last one to the second; the head, already compared, may be met again.
            let this = Vector::load(&self.text, start + behind);
            let that = Vector::load(chunk, end - length + behind);
            match (this, that) {
                (Some(this), Some(that)) if this.same(that) == Vector::ALL => left = behind,
                _ => return false,
            }
        }
        true
    }

    #[inline(always)]
    fn stretch(&self, index: u8) -> Option<&Stretch> {
        // Always there: without the remainder, it would be asked each time.
        self.stretches.get(usize::from(index) % STRETCHES)
    }
}

impl Place {
    /// The end of a value that was reached by what is not known.
    #[inline(always)]
    pub(in crate::json) fn unknown(end: usize) -> Self {
        Self { here: ORIGIN, end }
    }
}

impl Stretch {
    /// Puts a successor first; the last one is forgotten.
    fn follow_with(&mut self, index: u8) {
        let place = self.successors.iter().position(|known| *known == index).unwrap_or(SUCCESSORS - 1);
        if let Some(places) = self.successors.get_mut(..=place) {
            places.rotate_right(1);
        }
        let [first, ..] = &mut self.successors;
        *first = index;
    }
}

/// Below [`STRETCHES`], and by every byte: names of one length often begin, or end, alike.
fn hash(from: u8, bytes: &[u8]) -> usize {
    let mix = |all: u64, word: u64| (all ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = bytes.as_chunks();
    let all = words.iter().fold(u64::from(from), |all, word| mix(all, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(bytes.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
    (mix(all, rest) >> (u64::BITS - STRETCHES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_one_length_that_begin_or_end_alike_are_told_apart() {
        for (before, after) in [(",\n      \"", "\": "), (",\"address_of_the_", "\":"), (",\"", "_of_the_addressee\":")]
        {
            let names = ('a'..='z').map(|letter| format!("{before}{letter}{after}"));
            let places: BTreeSet<usize> = names.map(|name| hash(1, name.as_bytes())).collect();
            // Of 26 thrown into 64 at random, 21 or 22 would be alone on average.
            assert!(places.len() >= 18, "{before}: {places:?}");
        }
    }
}
