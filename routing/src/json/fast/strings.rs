//! The ends of strings and of whitespace, many bytes at a time.

use super::super::string::{Escape, EscapeRead, decode_code_unit, decode_short_escape};
use super::simd::{Block, Vector};

/// Returns how far the text of a string is certain to be valid, from `start` on, which is between two characters: whole
/// characters and, if `with_escapes`, whole escape sequences. This may be before the end of the string.
#[inline]
pub(super) fn text_end(chunk: &[u8], start: usize, with_escapes: bool) -> usize {
    let mut at = start;
    loop {
        let (end, has_non_ascii) = run_end(chunk, at);
        if has_non_ascii && let Err(error) = std::str::from_utf8(chunk.get(at..end).unwrap_or_default()) {
            return at + error.valid_up_to();
        }
        at = end;
        if !with_escapes || chunk.get(at) != Some(&b'\\') {
            return at;
        }
        let Some(length) = escape_length(chunk, at + 1) else { return at };
        at += 1 + length;
    }
}

/// Returns the index after a whole string whose content begins at `at`. `None` if it is not certain to be valid.
#[inline(never)]
pub(super) fn string_end(chunk: &[u8], at: usize) -> Option<usize> {
    let end = text_end(chunk, at, true);
    (chunk.get(end) == Some(&b'"')).then_some(end + 1)
}

/// Returns where a run of characters ends: at a quote, a backslash or a control character, or at the end of the chunk.
/// Also returns whether it has non-ASCII bytes.
#[inline(always)]
fn run_end(chunk: &[u8], start: usize) -> (usize, bool) {
    let (mut at, mut non_ascii) = (start, 0);
    while let Some(vector) = Vector::load(chunk, at) {
        let stops = vector.stops();
        // The bits below the first stop; all of them if there is none.
        non_ascii |= vector.non_ascii() & stops.wrapping_sub(1) & !stops;
        if stops != 0 {
            return (at + stops.trailing_zeros() as usize, non_ascii != 0);
        }
        at += Vector::BYTES;
        // Most runs are short, and blocks would not fit.
        if (at - start).is_multiple_of(Block::BYTES) {
            at = skip_plain_blocks(chunk, at);
        }
    }
    // The rest of the chunk, if it is shorter than a vector.
    while let Some(byte) = chunk.get(at)
        && !matches!(byte, b'"' | b'\\' | ..b' ')
    {
        non_ascii |= u32::from(*byte >> 7);
        at += 1;
    }
    (at, non_ascii != 0)
}

#[inline(never)]
fn skip_plain_blocks(chunk: &[u8], mut at: usize) -> usize {
    while Block::load(chunk, at).is_some_and(Block::is_plain) {
        at += Block::BYTES;
    }
    at
}

/// Returns the length of the escape sequence after a backslash, if it is valid and whole in the chunk.
#[inline(always)]
fn escape_length(chunk: &[u8], at: usize) -> Option<usize> {
    let letter = *chunk.get(at)?;
    if letter != b'u' {
        return decode_short_escape(letter).is_ok().then_some(1);
    }
    match decode_code_unit(0, code_unit(chunk.get(at + 1..)?)?) {
        (Escape::Pair { high }, _) => {
            let low = code_unit(chunk.get(at + 5..)?.strip_prefix(b"\\u")?)?;
            matches!(decode_code_unit(high, low).1, EscapeRead::Character(_)).then_some(11)
        }
        (_, EscapeRead::Character(_)) => Some(5),
        _ => None,
    }
}

/// The UTF-16 code unit of the first four hexadecimal digits.
fn code_unit(digits: &[u8]) -> Option<u16> {
    digits
        .first_chunk::<4>()?
        .iter()
        .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// Returns the index of the first byte that is not plain: a quote, a backslash, a control character or not ASCII.
#[inline(always)]
pub(in super::super) fn plain_length(chunk: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(vector) = Vector::load(chunk, at) {
        let ends = vector.not_plain();
        if ends != 0 {
            return Some(at + ends.trailing_zeros() as usize);
        }
        at += Vector::BYTES;
    }
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..b' ' | 0x80..);
    chunk.get(at..)?.iter().position(|byte| !is_plain(byte)).map(|index| at + index)
}

/// Returns the index of the first LF.
#[inline]
pub(in super::super) fn line_end(chunk: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(vector) = Vector::load(chunk, at) {
        let ends = vector.line_feeds();
        if ends != 0 {
            return Some(at + ends.trailing_zeros() as usize);
        }
        at += Vector::BYTES;
    }
    chunk.get(at..)?.iter().position(|byte| *byte == b'\n').map(|index| at + index)
}

/// Returns the index of the first byte from `at` on that is not whitespace. For places where whitespace is rare.
#[inline(always)]
pub(super) fn skip_rare_whitespace(chunk: &[u8], at: usize) -> usize {
    match chunk.get(at) {
        Some(byte) if *byte > b' ' => at,
        _ => skip_whitespace(chunk, at),
    }
}

/// Returns the index of the first byte from `at` on that is not whitespace, or the chunk's length.
#[inline]
pub(super) fn skip_whitespace(chunk: &[u8], mut at: usize) -> usize {
    // Compact documents have none, most others one byte.
    for _ in 0..2 {
        match chunk.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
            _ => return at,
        }
    }
    skip_long_whitespace(chunk, at)
}

#[inline(never)]
fn skip_long_whitespace(chunk: &[u8], mut at: usize) -> usize {
    while Block::load(chunk, at).is_some_and(Block::is_whitespace) {
        at += Block::BYTES;
    }
    while let Some(vector) = Vector::load(chunk, at) {
        let others = !vector.whitespace() & Vector::ALL;
        if others != 0 {
            return at + others.trailing_zeros() as usize;
        }
        at += Vector::BYTES;
    }
    while matches!(chunk.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_its_quote_wherever_it_lies() {
        for length in (0..200).step_by(3) {
            for at in (0..=length).step_by(5) {
                for quote in at..=length {
                    let mut chunk = vec![b'x'; length];
                    chunk.push(b'x');
                    chunk[quote] = b'"';
                    assert_eq!(text_end(&chunk, at, true), quote, "from {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn text_ends_before_what_is_not_certain() {
        let cases: &[(&[u8], usize)] = &[
            (b"ab\"", 2),
            (b"a\\n\\u00e9\\ud83d\\ude00b\"", 22),
            (b"a\\x\"", 1),
            (b"a\\u00g0\"", 1),
            (b"a\\udc00\"", 1),
            (b"a\\ud800\\n\"", 1),
            (b"a\\ud800\\u0041\"", 1),
            ("é\u{1f600}\"".as_bytes(), 6),
            (b"\xc3\xa9\xc3\"", 2),
            (b"ab\xff\"", 2),
            (b"ab\n\"", 2),
        ];
        for (text, expected) in cases {
            for after in 0..70 {
                let chunk = [*text, &vec![b' '; after]].concat();
                assert_eq!(text_end(&chunk, 0, true), *expected, "{}", chunk.escape_ascii());
            }
        }
        assert_eq!(text_end(b"a\\n\"", 0, false), 1);
    }

    #[test]
    fn plain_text_ends_at_its_first_other_byte() {
        for length in 0..70 {
            for end in [b'"', b'\\', b'\n', 0, 0x1f, 0x80, 0xff] {
                let mut chunk = vec![b'\x7f'; length];
                assert_eq!(plain_length(&chunk), None);
                chunk.push(end);
                for after in [&b""[..], b"\"", b"abc\"defghijklmnopqrstuvwxyz"] {
                    assert_eq!(plain_length(&[&chunk[..], after].concat()), Some(length));
                }
            }
        }
    }

    #[test]
    fn a_line_ends_at_its_first_lf() {
        for length in 0..70 {
            let mut chunk = vec![b'x'; length];
            assert_eq!(line_end(&chunk), None);
            chunk.push(b'\n');
            for after in [&b""[..], b"\n", b"abc\ndefghijklmnopqrstuvwxyz"] {
                assert_eq!(line_end(&[&chunk[..], after].concat()), Some(length));
            }
        }
    }

    #[test]
    fn whitespace_is_skipped_to_the_first_other_byte() {
        for length in 0..200 {
            let mut chunk: Vec<u8> = b" \n\r\t".iter().copied().cycle().take(length).collect();
            assert_eq!(skip_whitespace(&chunk, 0), length);
            chunk.push(0x0b);
            chunk.extend([b' '; 20]);
            assert_eq!(skip_whitespace(&chunk, 0), length);
        }
    }
}
