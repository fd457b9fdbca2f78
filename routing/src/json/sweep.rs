//! The fast way through what no pointer can reach: sixty-four bytes of tokens at once.
//!
//! Inside a container that no pointer goes through, the only question is whether the text is JSON. Most of it can be
//! answered without looking at tokens one by one. JSON's grammar says which kinds of token may follow which; masks
//! with one bit for each byte say where tokens of a kind begin and end; so a rule of the grammar is a shift and an
//! `and` for 64 bytes together. Only brackets are walked, for they decide what a comma means, and numbers and words
//! that are more than a row of digits.
//!
//! A sweep never decides that text is wrong. It takes a stretch that is surely right, up to a comma, colon or bracket,
//! and leaves everything else, such as escapes, bytes beyond ASCII, long strings and all errors, to the scanner. So it
//! starts and ends between tokens, and whether it runs at all changes nothing but time.

use super::lanes::{Lanes, WIDTH};
use super::number::Number;
use super::stack::{Sight, Stack};
use super::state::State;

/// Shorter rests of a chunk are not worth a sweep.
const WORTH: usize = 16;

/// How far a sweep has come.
pub(super) struct Swept {
    pub(super) at: usize,
    pub(super) state: State,
    /// Before this index, another sweep would stop at the same obstacle.
    pub(super) next: usize,
}

/// Sweeps from `at`, between tokens, as far as possible. At least one container is open; the `floor` outermost ones
/// stay the innermost at no point, and no more than `limit` are ever open.
#[inline(never)]
pub(super) fn sweep(chunk: &[u8], mut at: usize, state: State, stack: &mut Stack, floor: usize, limit: usize) -> Swept {
    let mut sight = stack.sight();
    sight.least = sight.least.max(floor + 1);
    sight.most = sight.most.min(limit);
    let Some(mut expected) = Expected::of(state) else { return Swept { at, state, next: at + 1 } };
    let next = loop {
        let rest = chunk.get(at..).unwrap_or_default();
        let step = match rest.first_chunk() {
            Some(bytes) => step(bytes, sight, expected),
            None if rest.len() < WORTH => break chunk.len(),
            None => {
                let mut bytes = [b' '; WIDTH];
                bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                step(&bytes, sight, expected)
            }
        };
        match step {
            Ok(step) => {
                at += step.bytes;
                sight = step.sight;
                expected = step.expected;
            }
            Err(obstacle) => break at + obstacle + 1,
        }
    };
    let state = expected.state(sight);
    stack.set_sight(sight);
    Swept { at, state, next }
}

/// What may come next, one bit for each byte at which something must; between steps, in the lowest bit.
#[derive(Clone, Copy, Default)]
struct Expected {
    name: u64,
    name_or_end: u64,
    value: u64,
    value_or_end: u64,
    colon: u64,
    comma_or_end: u64,
}

/// A stretch that is surely right.
struct Step {
    bytes: usize,
    sight: Sight,
    expected: Expected,
}

/// The bytes of one step by kind. Bits after the stretch mean nothing.
struct Kinds {
    gaps: u64,
    string: u64,
    opening: u64,
    closing: u64,
    opens: u64,
    closes: u64,
    colons: u64,
    commas: u64,
    /// Where the innermost container is an object; at a bracket, after it.
    objects: u64,
    scalars: u64,
    scalar_starts: u64,
}

/// Takes what it can from 64 bytes.
///
/// # Errors
/// The index of the byte that the scanner must see past before another step is worthwhile.
#[inline(always)]
fn step(bytes: &[u8; WIDTH], sight: Sight, expected: Expected) -> Result<Step, usize> {
    let lanes = Lanes::load(bytes);
    let quotes = lanes.equal(b'"');
    let string = prefix_xor(quotes);
    let mut spaces = lanes.equal(b' ');
    let mut foreign = lanes.foreign();
    if foreign != 0 {
        // Compact documents have no other white space; what a string has is foreign.
        let gaps = lanes.spaces() & !string;
        spaces |= gaps;
        foreign &= !gaps;
    }
    let clean = before(lowest(foreign)) & !string;

    let opens = lanes.either(b'{') & clean;
    let closes = lanes.either(b'}') & clean;
    let colons = lanes.equal(b':') & clean;
    let commas = lanes.equal(b',') & clean;
    let (sight, objects, end) = nest(bytes, opens, closes, sight)?;
    let structure = (opens | closes | colons | commas) & before(end);
    let Some(last) = structure.checked_ilog2() else {
        return Err(lowest(foreign).min(end).trailing_zeros() as usize % WIDTH);
    };
    let last_bit = 1 << last;
    let stretch = last_bit | before(last_bit);
    let scalars = !(string | quotes | structure | spaces) & stretch;
    let kinds = Kinds {
        gaps: spaces & !string,
        string,
        opening: quotes & string,
        closing: quotes & !string,
        opens,
        closes,
        colons,
        commas,
        objects,
        scalars,
        scalar_starts: scalars & !(scalars << 1),
    };
    let (wrong, follows) = kinds.check(expected);
    if wrong & stretch != 0 || !kinds.are_scalars(bytes, lanes) {
        return Err(WIDTH);
    }
    Ok(Step { bytes: last as usize + 1, sight, expected: follows.map(|ends| u64::from(ends & last_bit != 0)) })
}

/// Walks the brackets: the containers in sight after them, where objects are innermost, and the bit of the bracket
/// that goes out of bounds, if one does (zero if none).
///
/// # Errors
/// The index of a bracket that does not match.
#[inline(always)]
fn nest(bytes: &[u8; WIDTH], opens: u64, closes: u64, mut sight: Sight) -> Result<(Sight, u64, u64), usize> {
    let mut brackets = opens | closes;
    let mut objects = (sight.objects & 1).wrapping_neg();
    while brackets != 0 {
        let bit = lowest(brackets);
        let index = bit.trailing_zeros() as usize;
        // Braces have this bit, square brackets do not.
        let is_object = u64::from(bytes.get(index).copied().unwrap_or_default() >> 5 & 1);
        let outer = sight.objects;
        if opens & bit != 0 {
            if sight.depth >= sight.most {
                return Ok((sight, objects, bit));
            }
            sight.depth += 1;
            sight.objects = sight.objects << 1 | is_object;
        } else {
            if sight.depth <= sight.least {
                return Ok((sight, objects, bit));
            }
            if sight.objects & 1 != is_object {
                return Err(index);
            }
            sight.depth -= 1;
            sight.objects >>= 1;
        }
        let has_changed = (outer ^ sight.objects) & 1;
        objects ^= has_changed.wrapping_neg() & bit.wrapping_neg();
        brackets &= brackets - 1;
    }
    Ok((sight, objects, 0))
}

impl Kinds {
    /// The grammar. Every token but the last of the stretch is followed by one token, so if all that follow are
    /// allowed to, every token is where it may be. The places where one is not allowed; and where tokens end.
    #[inline(always)]
    fn check(&self, before: Expected) -> (u64, Expected) {
        let mut ends = Expected {
            name: self.commas & self.objects,
            name_or_end: self.opens & self.objects,
            value: self.colons | self.commas & !self.objects,
            value_or_end: self.opens & !self.objects,
            ..Expected::default()
        };
        let name = self.follow(ends.name, before.name);
        let name_or_end = self.follow(ends.name_or_end, before.name_or_end);
        let names = self.opening & (name | name_or_end);
        // Each name's run of bits carries into its closing quote.
        ends.colon = self.string.wrapping_add(names) & self.closing;
        let scalar_ends = self.scalars & !(self.scalars >> 1);
        ends.comma_or_end = self.closing & !ends.colon | scalar_ends | self.closes;

        let values = self.opening & !names | self.scalar_starts | self.opens;
        let wrong = name & !self.opening
            | name_or_end & !(self.opening | self.closes)
            | self.follow(ends.value, before.value) & !values
            | self.follow(ends.value_or_end, before.value_or_end) & !(values | self.closes)
            | self.follow(ends.colon, before.colon) & !self.colons
            | self.follow(ends.comma_or_end, before.comma_or_end) & !(self.commas | self.closes);
        (wrong, ends)
    }

    /// Where the tokens begin that follow tokens with these ends: gaps are carried over.
    #[inline(always)]
    fn follow(&self, ends: u64, before: u64) -> u64 {
        (ends << 1 | before).wrapping_add(self.gaps) & !self.gaps
    }

    /// Whether every scalar is a number or a word. Most are rows of digits, with no leading zero.
    #[inline(always)]
    fn are_scalars(&self, bytes: &[u8; WIDTH], lanes: Lanes) -> bool {
        let leading_zeros = lanes.equal(b'0') & self.scalar_starts & (self.scalars >> 1);
        let mut odd = self.scalars & !lanes.digits() | leading_zeros;
        while odd != 0 {
            let bit = lowest(odd);
            let start = (self.scalar_starts & (bit | before(bit))).checked_ilog2().unwrap_or_default();
            let end = (self.scalars | before(bit)).trailing_ones();
            let scalar = bytes.get(start as usize..end as usize);
            if !scalar.is_some_and(is_scalar) {
                return false;
            }
            odd &= u64::MAX.checked_shl(end).unwrap_or_default();
        }
        true
    }
}

impl Expected {
    #[inline(always)]
    fn map(self, f: impl Fn(u64) -> u64) -> Self {
        Self {
            name: f(self.name),
            name_or_end: f(self.name_or_end),
            value: f(self.value),
            value_or_end: f(self.value_or_end),
            colon: f(self.colon),
            comma_or_end: f(self.comma_or_end),
        }
    }

    fn of(state: State) -> Option<Self> {
        let nothing = Self::default();
        Some(match state {
            State::Name => Self { name: 1, ..nothing },
            State::FirstName => Self { name_or_end: 1, ..nothing },
            State::Value => Self { value: 1, ..nothing },
            State::FirstElement => Self { value_or_end: 1, ..nothing },
            State::Colon => Self { colon: 1, ..nothing },
            State::ElementEnd | State::MemberEnd => Self { comma_or_end: 1, ..nothing },
            _ => return None,
        })
    }

    fn state(self, sight: Sight) -> State {
        match self {
            Self { name: 1, .. } => State::Name,
            Self { name_or_end: 1, .. } => State::FirstName,
            Self { value: 1, .. } => State::Value,
            Self { value_or_end: 1, .. } => State::FirstElement,
            Self { colon: 1, .. } => State::Colon,
            _ if sight.objects & 1 == 1 => State::MemberEnd,
            _ => State::ElementEnd,
        }
    }
}

fn is_scalar(text: &[u8]) -> bool {
    match text {
        b"true" | b"false" | b"null" => true,
        [first, ..] => Number::starting(*first)
            .is_some_and(|mut number| number.advance(text, 1) == Ok(text.len()) && number.is_complete()),
        [] => false,
    }
}

/// The lowest bit alone.
#[inline(always)]
fn lowest(mask: u64) -> u64 {
    mask & mask.wrapping_neg()
}

/// All bits below a single one, or all if there is none.
#[inline(always)]
fn before(bit: u64) -> u64 {
    bit.wrapping_sub(1)
}

/// Each bit is the parity of itself and all lower ones: with quotes, what is in a string, the opening quote included.
#[inline(always)]
fn prefix_xor(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}
