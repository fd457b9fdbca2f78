//! Strings (RFC 8259, 7), resumable at every byte: escape sequences, surrogate pairs and UTF-8.

use crate::body::BodyError;
use crate::document::QueryPath;
use crate::reason::Reason;

/// The state of a string's scan between two bytes. It is back in its initial state at the end of every string.
#[derive(Debug, Default)]
pub(super) struct StringScan {
    escape: Escape,
    utf8: Utf8Sequence,
}

/// How far into an escape sequence the scanner is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Escape {
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

/// What a byte of an escape sequence completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscapeRead {
    Nothing,
    Character(char),
    /// A lone surrogate, and the character after it if it is complete too.
    Lone(Option<char>),
    /// A lone surrogate before this byte, which belongs to what follows.
    LoneBeforeByte,
}

/// The bytes so far of a non-ASCII character.
#[derive(Debug, Default)]
struct Utf8Sequence {
    bytes: [u8; 4],
    length: usize,
}

/// How far a string has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringRead {
    /// The index after the closing quote.
    Closed(usize),
    /// An index between two characters, before the end of the string and of the chunk. It follows an escape sequence or
    /// a non-ASCII character.
    Open(usize),
    /// The chunk has ended.
    ChunkEnded,
}

impl StringScan {
    /// Whether the scan is between two characters.
    #[inline]
    pub(super) fn is_between_characters(&self) -> bool {
        matches!(self.escape, Escape::None) && self.utf8.length == 0
    }

    /// Reads on from `at`. `base` is how many bytes of the body come before the chunk; decoded text goes to `path`.
    ///
    /// A lone surrogate is half of a surrogate pair, escaped. RFC 8259, 8.2, allows it, and its meaning depends on the
    /// parser. If it is accepted, the text in `path` becomes unusable.
    ///
    /// # Errors
    /// The string is malformed, is not UTF-8, or has a lone surrogate that is not accepted.
    pub(super) fn advance(
        &mut self,
        chunk: &[u8],
        mut at: usize,
        base: u64,
        mut path: Option<&mut QueryPath>,
        accepts_lone: bool,
    ) -> Result<StringRead, BodyError> {
        while let Some(&byte) = chunk.get(at) {
            let offset = base + at as u64;
            at += 1;
            if self.is_between_characters() {
                match byte {
                    b'"' => return Ok(StringRead::Closed(at)),
                    b'\\' => self.escape = Escape::Backslash,
                    ..b' ' => return Err(malformed(offset, "expected control characters to be escaped")),
                    0x80.. => self.utf8.begin(byte, offset)?,
                    _ => {
                        if let Some(path) = path.as_deref_mut() {
                            path.push_text(&[byte]);
                        }
                    }
                }
                continue;
            }
            let decoded = match self.escape {
                Escape::None => self.utf8.advance(byte, offset)?.map_or(EscapeRead::Nothing, EscapeRead::Character),
                _ => self.escape.advance(byte).map_err(|expected| malformed(offset, expected))?,
            };
            let character = match decoded {
                EscapeRead::Nothing => None,
                EscapeRead::Character(character) => Some(character),
                EscapeRead::Lone(_) | EscapeRead::LoneBeforeByte if !accepts_lone => {
                    return Err(lone_surrogate(offset));
                }
                EscapeRead::Lone(character) => {
                    spoil(path.as_deref_mut());
                    character
                }
                EscapeRead::LoneBeforeByte => {
                    spoil(path.as_deref_mut());
                    at -= 1;
                    None
                }
            };
            if let (Some(character), Some(path)) = (character, path.as_deref_mut()) {
                path.push_text(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            if self.is_between_characters() && at < chunk.len() {
                return Ok(StringRead::Open(at));
            }
        }
        Ok(StringRead::ChunkEnded)
    }
}

impl Escape {
    /// Reads the next byte of an escape sequence.
    fn advance(&mut self, byte: u8) -> Result<EscapeRead, &'static str> {
        let (next, decoded) = match *self {
            Escape::None => (Escape::None, EscapeRead::Nothing),
            Escape::Backslash if byte == b'u' => (Escape::Hex { high: 0, value: 0, digits: 0 }, EscapeRead::Nothing),
            Escape::Backslash => (Escape::None, EscapeRead::Character(decode_short_escape(byte)?)),
            Escape::Pair { high } if byte == b'\\' => (Escape::PairBackslash { high }, EscapeRead::Nothing),
            Escape::Pair { .. } => (Escape::None, EscapeRead::LoneBeforeByte),
            Escape::PairBackslash { high } if byte == b'u' => {
                (Escape::Hex { high, value: 0, digits: 0 }, EscapeRead::Nothing)
            }
            Escape::PairBackslash { .. } => (Escape::Backslash, EscapeRead::LoneBeforeByte),
            Escape::Hex { high, value, digits } => {
                let digit = char::from(byte).to_digit(16).ok_or("expected a hexadecimal digit")?;
                let value = value << 4 | digit as u16;
                match digits {
                    0..3 => (Escape::Hex { high, value, digits: digits + 1 }, EscapeRead::Nothing),
                    _ => decode_code_unit(high, value),
                }
            }
        };
        *self = next;
        Ok(decoded)
    }
}

/// Returns the character of a one-letter escape sequence.
pub(super) fn decode_short_escape(letter: u8) -> Result<char, &'static str> {
    Ok(match letter {
        b'"' | b'\\' | b'/' => char::from(letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return Err("expected an escape sequence"),
    })
}

/// Returns what a UTF-16 code unit is, and the state after it, which may wait for its other half. `high` is the high
/// surrogate before it, or zero.
pub(super) fn decode_code_unit(high: u16, value: u16) -> (Escape, EscapeRead) {
    match (high, value) {
        (0, 0xd800..=0xdbff) => (Escape::Pair { high: value }, EscapeRead::Nothing),
        (_, 0xd800..=0xdbff) => (Escape::Pair { high: value }, EscapeRead::Lone(None)),
        (0, _) => {
            (Escape::None, char::from_u32(u32::from(value)).map_or(EscapeRead::Lone(None), EscapeRead::Character))
        }
        (_, 0xdc00..=0xdfff) => {
            let code = 0x1_0000 + (u32::from(high & 0x3ff) << 10) + u32::from(value & 0x3ff);
            (Escape::None, char::from_u32(code).map_or(EscapeRead::Nothing, EscapeRead::Character))
        }
        (_, _) => (Escape::None, EscapeRead::Lone(char::from_u32(u32::from(value)))),
    }
}

impl Utf8Sequence {
    /// Reads the first byte of a non-ASCII character, which is at `offset` in the body.
    fn begin(&mut self, byte: u8, offset: u64) -> Result<(), BodyError> {
        self.advance(byte, offset).map(drop)
    }

    /// Reads the next byte. Returns the character if that was its last byte.
    fn advance(&mut self, byte: u8, offset: u64) -> Result<Option<char>, BodyError> {
        let first = offset - self.length as u64;
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length += 1;
        match std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()) {
            Ok(text) => {
                self.length = 0;
                Ok(text.chars().next())
            }
            Err(error) if error.error_len().is_none() => Ok(None),
            Err(_) => Err(BodyError { reason: Reason::BodyInvalidUtf8, offset: first, expected: "expected UTF-8" }),
        }
    }
}

#[cold]
fn spoil(path: Option<&mut QueryPath>) {
    if let Some(path) = path {
        path.spoil_text(Reason::KeyMalformed);
    }
}

#[cold]
fn lone_surrogate(offset: u64) -> BodyError {
    BodyError { reason: Reason::BodyLoneSurrogate, offset, expected: "expected a surrogate pair" }
}

fn malformed(offset: u64, expected: &'static str) -> BodyError {
    BodyError { reason: Reason::BodyMalformed, offset, expected }
}
