//! Strings (RFC 8259, 7), resumable at every byte: escapes, surrogate pairs and UTF-8.

use super::fast::strings::plain_run;
use super::text::Text;
use crate::body::BodyError;
use crate::reason::Reason;

/// What a string's scanner remembers between chunks. Back in its first state at the end of every string.
#[derive(Debug, Default)]
pub(super) struct StringScan {
    escape: Escape,
    partial: Partial,
}

/// How far into an escape sequence the scanner is.
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    None,
    Backslash,
    /// Inside `\uXXXX`. `high` is the high surrogate that came before it, or zero.
    Hex {
        high: u16,
        value: u16,
        digits: u8,
    },
    /// After a high surrogate: only `\u` may follow.
    Pair {
        high: u16,
    },
    PairBackslash {
        high: u16,
    },
}

/// The beginning of a UTF-8 sequence that the chunk, or a part of it, has cut off.
#[derive(Debug, Default)]
struct Partial {
    bytes: [u8; 4],
    len: u8,
}

impl StringScan {
    /// Reads on from `at`: the index after the closing quote, or nothing if the chunk ends first.
    ///
    /// `base` is how many bytes of the body come before the chunk; decoded text goes to `text`.
    ///
    /// # Errors
    /// The string is malformed or no UTF-8.
    pub(super) fn advance(
        &mut self,
        chunk: &[u8],
        mut at: usize,
        base: u64,
        mut text: Option<&mut Text>,
    ) -> Result<Option<usize>, BodyError> {
        loop {
            while !matches!(self.escape, Escape::None) {
                let Some(byte) = chunk.get(at) else { return Ok(None) };
                let error = |expected| malformed(base + at as u64, expected);
                if let Some(character) = self.escape.advance(*byte).map_err(error)?
                    && let Some(text) = text.as_deref_mut()
                {
                    text.push(character);
                }
                at += 1;
            }
            let run = plain_run(chunk, at);
            let plain = chunk.get(at..run.end).unwrap_or_default();
            if self.partial.len > 0 || run.has_high {
                self.partial.check(plain, base + at as u64)?;
            }
            if let Some(text) = text.as_deref_mut() {
                text.extend(plain);
            }
            let Some(stop) = chunk.get(run.end) else { return Ok(None) };
            let offset = base + run.end as u64;
            if self.partial.len > 0 {
                return Err(self.partial.invalid(offset));
            }
            at = run.end + 1;
            match stop {
                b'"' => return Ok(Some(at)),
                b'\\' => match whole_escape(chunk, at) {
                    Some((character, length)) => {
                        if let Some(text) = text.as_deref_mut() {
                            text.push(character);
                        }
                        at += length;
                    }
                    None => self.escape = Escape::Backslash,
                },
                _ => return Err(malformed(offset, "expected control characters to be escaped")),
            }
        }
    }
}

impl Escape {
    /// The next byte of an escape sequence: the character, if that was its last one.
    fn advance(&mut self, byte: u8) -> Result<Option<char>, &'static str> {
        let (next, character) = match *self {
            Escape::None => (Escape::None, None),
            Escape::Backslash if byte == b'u' => (Escape::Hex { high: 0, value: 0, digits: 0 }, None),
            Escape::Backslash => (Escape::None, Some(short(byte)?)),
            Escape::Pair { high } if byte == b'\\' => (Escape::PairBackslash { high }, None),
            Escape::PairBackslash { high } if byte == b'u' => (Escape::Hex { high, value: 0, digits: 0 }, None),
            Escape::Pair { .. } | Escape::PairBackslash { .. } => {
                return Err("expected the escape of a low surrogate after that of a high one");
            }
            Escape::Hex { high, value, digits } => {
                let digit = char::from(byte).to_digit(16).ok_or("expected a hexadecimal digit")?;
                let value = value << 4 | digit as u16;
                match digits {
                    0..3 => (Escape::Hex { high, value, digits: digits + 1 }, None),
                    _ => unit(high, value)?,
                }
            }
        };
        *self = next;
        Ok(character)
    }
}

/// The escape sequence behind a backslash, if it is right and whole in the chunk: its character and length.
#[inline(always)]
pub(super) fn whole_escape(chunk: &[u8], at: usize) -> Option<(char, usize)> {
    let letter = *chunk.get(at)?;
    if letter != b'u' {
        return Some((short(letter).ok()?, 1));
    }
    match unit(0, code_unit(chunk.get(at + 1..)?)?).ok()? {
        (Escape::Pair { high }, _) => {
            let low = code_unit(chunk.get(at + 5..)?.strip_prefix(b"\\u")?)?;
            Some((unit(high, low).ok()?.1?, 11))
        }
        (_, character) => Some((character?, 5)),
    }
}

/// The UTF-16 code unit of the first four digits.
fn code_unit(digits: &[u8]) -> Option<u16> {
    digits
        .first_chunk::<4>()?
        .iter()
        .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// The character of a one-letter escape.
fn short(byte: u8) -> Result<char, &'static str> {
    Ok(match byte {
        b'"' | b'\\' | b'/' => char::from(byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return Err("expected an escape sequence"),
    })
}

/// What a whole UTF-16 code unit means after the high surrogate before it, if any.
fn unit(high: u16, value: u16) -> Result<(Escape, Option<char>), &'static str> {
    match (high, value) {
        (0, 0xd800..=0xdbff) => Ok((Escape::Pair { high: value }, None)),
        (0, _) => char::from_u32(u32::from(value))
            .map(|character| (Escape::None, Some(character)))
            .ok_or("expected a high surrogate before a low one"),
        (_, 0xdc00..=0xdfff) => {
            let code = 0x1_0000 + (u32::from(high & 0x3ff) << 10) + u32::from(value & 0x3ff);
            Ok((Escape::None, char::from_u32(code)))
        }
        _ => Err("expected a low surrogate after a high one"),
    }
}

impl Partial {
    /// Checks a run of bytes that starts at `offset`, after what was left of the run before.
    fn check(&mut self, mut run: &[u8], mut offset: u64) -> Result<(), BodyError> {
        while self.len > 0 {
            let Some((byte, rest)) = run.split_first() else { return Ok(()) };
            if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
                *place = *byte;
            }
            let longer = self.bytes.get(..=usize::from(self.len)).unwrap_or_default();
            self.len = match std::str::from_utf8(longer) {
                Ok(_) => 0,
                Err(error) if error.error_len().is_none() => self.len + 1,
                Err(_) => return Err(self.invalid(offset)),
            };
            run = rest;
            offset += 1;
        }
        if let Err(error) = std::str::from_utf8(run) {
            let valid = error.valid_up_to();
            if error.error_len().is_some() {
                return Err(invalid_utf8(offset + valid as u64));
            }
            for (place, byte) in self.bytes.iter_mut().zip(run.iter().skip(valid)) {
                *place = *byte;
                self.len += 1;
            }
        }
        Ok(())
    }

    /// The cut-off sequence does not go on at `offset`.
    fn invalid(&self, offset: u64) -> BodyError {
        invalid_utf8(offset - u64::from(self.len))
    }
}

fn malformed(offset: u64, expected: &'static str) -> BodyError {
    BodyError { reason: Reason::BodyMalformed, offset, expected }
}

/// `offset` is that of the first byte of the ill-formed sequence.
fn invalid_utf8(offset: u64) -> BodyError {
    BodyError { reason: Reason::BodyInvalidUtf8, offset, expected: "expected UTF-8" }
}
