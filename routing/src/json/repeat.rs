//! The fast way through what no pointer can reach: JSON repeats itself.
//!
//! Between the values of one record stand the same names, brackets and commas as between those of the next. What lies
//! between two scalar values, a *stretch*, is read by the grammar once. When the same bytes come again in the same
//! containers, they mean the same and lead to the same containers, so comparing them does for reading their tokens.
//!
//! Only text off the pointers' paths is read so, and nothing is ever found wrong here: what is not known, or not plain,
//! is left to the scanner. So whether this runs at all changes nothing but time.

use super::lanes::{HAVE_VECTORS, Vector};
use super::plain::{is_scalar, scalar_end, string_end};
use super::stack::Stack;

/// The most kinds of contexts that are remembered.
const CONTEXTS: usize = 16;

/// The most stretches that are remembered, and the origin.
const STRETCHES: usize = 64;

/// How many stretches are remembered as those that came after one.
const SUCCESSORS: usize = 3;

/// Contexts deeper than this are not remembered: their containers do not fit into one word.
const DEPTH: usize = u64::BITS as usize;

/// The bytes of all stretches.
const TEXT: usize = 2048;

/// The longest stretch that is remembered.
const LONGEST: usize = 255;

/// Only chunks that go on for so many bytes are worth the making of a memory.
const WORTH_MAKING: usize = 768;

/// Shorter rests of a chunk are read sooner by the scanner.
const WORTH_USING: usize = 64;

/// What a try costs, in bytes that the scanner reads in the same time.
const COST: usize = 32;

/// The most gain that is remembered, in bytes.
const GAIN: usize = 1024;

/// How many bytes to wait when tries bring nothing.
const REST: usize = 4096;

/// The stretch that stands for an unknown one. It has no bytes and no successors, and is nobody's successor.
const ORIGIN: u8 = 0;

/// What the document has taught so far.
#[derive(Debug)]
pub(super) struct Repeats {
    contexts: [Containers; CONTEXTS],
    stretches: [Stretch; STRETCHES],
    text: [u8; TEXT + Vector::BYTES],
    contexts_known: usize,
    stretches_known: usize,
    text_used: usize,
    /// How many containers pointers go through: with more or fewer, nothing learnt holds.
    floor: usize,
    /// The stretch before the value that was last read.
    here: u8,
    /// Where in this chunk that value ended, and in which containers, if what comes next may be learnt.
    last: Option<(Containers, usize)>,
    /// What reading from memory has brought lately, in bytes.
    gain: usize,
    /// Before this index of the chunk, it is not worth another try.
    resume: usize,
}

/// The open containers: all that decides what may follow a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Containers {
    depth: usize,
    objects: u64,
}

/// The bytes from the end of a scalar value to the beginning of the next one.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Stretch {
    /// The first of them, as many as fit.
    head: [u8; Vector::BYTES],
    /// One bit for each byte of the head.
    mask: u32,
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

/// Where reading from memory has ended.
pub(super) enum Stop {
    /// Before a value that is not plain.
    Scalar(usize),
    /// Before something else than a scalar, which the last stretch was only the beginning of.
    Other(usize),
    /// After a value, before bytes that are not known.
    Stretch(usize),
}

impl Repeats {
    /// The memory, made when there is enough to remember, if there is enough left to use it.
    #[inline]
    pub(super) fn worth(memory: &mut Option<Box<Self>>, rest: usize) -> Option<&mut Self> {
        if HAVE_VECTORS && rest >= WORTH_MAKING && memory.is_none() {
            *memory = Some(Box::new(Self::new()));
        }
        memory.as_deref_mut().filter(|_| rest >= WORTH_USING)
    }

    fn new() -> Self {
        Self {
            contexts: [Containers::default(); CONTEXTS],
            stretches: [Stretch::default(); STRETCHES],
            text: [0; TEXT + Vector::BYTES],
            contexts_known: 0,
            stretches_known: 1,
            text_used: 0,
            floor: 0,
            here: ORIGIN,
            last: None,
            gain: GAIN,
            resume: 0,
        }
    }

    /// Another chunk begins.
    #[inline]
    pub(super) fn next_chunk(&mut self) {
        self.lose();
        self.resume = 0;
    }

    /// A scalar value has ended before `at`.
    #[inline]
    pub(super) fn leave(&mut self, stack: &Stack, at: usize) {
        self.last = Containers::of(stack).map(|containers| (containers, at));
    }

    /// What comes next is not to be learnt: a pointer is near.
    #[inline]
    pub(super) fn lose(&mut self) {
        self.last = None;
        self.here = ORIGIN;
    }

    /// A scalar value begins at `at`, with no pointer near: learns how it was reached, and reads on from memory as far
    /// as possible. The outermost `floor` containers are those that pointers go through. Nothing, if that is not
    /// possible or seldom was of late.
    #[inline]
    pub(super) fn read(&mut self, chunk: &[u8], at: usize, stack: &mut Stack, floor: usize) -> Option<Stop> {
        if at < self.resume {
            return None;
        }
        let stop = self.learn_and_run(chunk, at, stack, floor)?;
        let (Stop::Scalar(end) | Stop::Other(end) | Stop::Stretch(end)) = stop;
        self.gain = GAIN.min(self.gain + (end - at)).saturating_sub(COST);
        if self.gain == 0 {
            // Nothing repeats here, and trying is not free.
            self.lose();
            self.gain = GAIN / 2;
            self.resume = end + REST;
        }
        Some(stop)
    }

    #[inline(never)]
    fn learn_and_run(&mut self, chunk: &[u8], at: usize, stack: &mut Stack, floor: usize) -> Option<Stop> {
        let containers = Containers::of(stack)?;
        if self.floor != floor || self.contexts_known + 2 > CONTEXTS || self.is_full() {
            self.forget();
            self.floor = floor;
        }
        let to = self.context(containers);
        self.here = match self.last.take() {
            Some((from, end)) => {
                let from = self.context(from);
                self.learn(from, chunk.get(end..at).unwrap_or_default(), to)
            }
            None => ORIGIN,
        };
        let (stop, context) = self.run(chunk, at, to);
        self.contexts.get(usize::from(context))?.restore(stack);
        Some(stop)
    }

    fn forget(&mut self) {
        (self.contexts_known, self.stretches_known, self.text_used) = (0, 1, 0);
        self.here = ORIGIN;
        if let Some(origin) = self.stretches.first_mut() {
            *origin = Stretch::default();
        }
    }

    fn is_full(&self) -> bool {
        self.stretches_known == STRETCHES || self.text_used + LONGEST > TEXT
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

    /// Learns that these bytes came next: the stretch, or the origin if it is none or too long.
    #[inline(never)]
    fn learn(&mut self, from: u8, bytes: &[u8], to: u8) -> u8 {
        let known = self.stretches.iter().take(self.stretches_known).position(|known| {
            let start = usize::from(known.start);
            let text = self.text.get(start..start + usize::from(known.length));
            known.from == from && known.to == to && text == Some(bytes)
        });
        let index = known.unwrap_or(self.stretches_known);
        if known.is_none() {
            let Some(length) = u8::try_from(bytes.len()).ok().filter(|length| *length > 0) else { return ORIGIN };
            let Some(text) = self.text.get_mut(self.text_used..self.text_used + bytes.len()) else { return ORIGIN };
            let Some(stretch) = self.stretches.get_mut(index) else { return ORIGIN };
            text.copy_from_slice(bytes);
            let mask = (1_u32 << bytes.len().min(Vector::BYTES)) - 1;
            *stretch = Stretch { mask, start: self.text_used as u16, length, from, to, ..Stretch::default() };
            stretch.head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            self.text_used += bytes.len();
            self.stretches_known += 1;
        }
        let index = index as u8;
        if self.here != ORIGIN
            && let Some(here) = self.stretches.get_mut(usize::from(self.here))
            && here.to == from
        {
            here.follow_with(index);
        }
        index
    }

    /// Reads on from a value at `at`: where it stops, and in which context.
    #[inline(always)]
    fn run(&mut self, chunk: &[u8], mut at: usize, mut context: u8) -> (Stop, u8) {
        let mut here = self.here;
        let mut before = here;
        let mut last = None;
        let stop = loop {
            let Some(end) = scalar_end(chunk, at) else {
                if is_scalar(chunk, at) {
                    break Stop::Scalar(at);
                }
                here = before;
                break Stop::Other(at);
            };
            last = Some((context, end));
            before = here;
            if let Some((index, next, to)) = self.known(here, chunk, end) {
                (here, at, context) = (index, next, to);
                continue;
            }
            self.here = here;
            let Some(next) = self.next_member(context, chunk, end) else { break Stop::Stretch(end) };
            at = next;
            here = if self.is_full() {
                ORIGIN
            } else {
                self.learn(context, chunk.get(end..at).unwrap_or_default(), context)
            };
        };
        self.here = here;
        self.last = last.and_then(|(context, end)| Some((*self.contexts.get(usize::from(context))?, end)));
        (stop, context)
    }

    /// The stretch that came after `here` before and whose bytes are those at `at`; the index after them; the context.
    #[inline(always)]
    fn known(&self, here: u8, chunk: &[u8], at: usize) -> Option<(u8, usize, u8)> {
        let bytes = Vector::load(chunk, at)?;
        let successors = self.stretch(here)?.successors;
        for index in successors {
            let stretch = self.stretch(index)?;
            let length = usize::from(stretch.length);
            if bytes.differ(Vector::of(&stretch.head)) & stretch.mask == 0
                && (length <= Vector::BYTES || is_same(&self.text, usize::from(stretch.start), chunk, at, length))
            {
                return (index != ORIGIN).then_some((index, at + length, stretch.to));
            }
        }
        None
    }

    #[inline(always)]
    fn stretch(&self, index: u8) -> Option<&Stretch> {
        // Always there: without the remainder, it would be asked each time.
        self.stretches.get(usize::from(index) % STRETCHES)
    }

    /// Where the value of an object's next member begins, if nothing but the member's name is between.
    #[inline(never)]
    fn next_member(&self, context: u8, chunk: &[u8], at: usize) -> Option<usize> {
        let is_object = self.contexts.get(usize::from(context))?.objects & 1 == 1;
        if !is_object || chunk.get(at..at + 2)? != b",\"" {
            return None;
        }
        let end = string_end(chunk, at + 2)?;
        (chunk.get(end) == Some(&b':') && is_scalar(chunk, end + 1)).then_some(end + 1)
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

impl Containers {
    /// Nothing, if there are too many.
    fn of(stack: &Stack) -> Option<Self> {
        let depth = stack.depth();
        (depth <= DEPTH).then(|| Self { depth, objects: stack.sight() })
    }

    fn restore(self, stack: &mut Stack) {
        stack.set_sight(self.depth, self.objects);
    }
}

/// Whether the two have the same `length` bytes, which are more than a vector's.
#[inline(always)]
fn is_same(text: &[u8], start: usize, chunk: &[u8], at: usize, length: usize) -> bool {
    let mut offset = Vector::BYTES;
    loop {
        // The last vector overlaps the one before.
        offset = offset.min(length - Vector::BYTES);
        let (Some(this), Some(that)) = (Vector::load(text, start + offset), Vector::load(chunk, at + offset)) else {
            return false;
        };
        if this.differ(that) != 0 {
            return false;
        }
        offset += Vector::BYTES;
        if offset >= length {
            return true;
        }
    }
}
