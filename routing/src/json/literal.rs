//! The three literal names.

use crate::reason::Reason;

/// `true`, `false` or `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    True,
    False,
    Null,
}

impl Word {
    /// The word that starts with this byte.
    #[inline]
    pub(super) fn starting(byte: u8) -> Option<Self> {
        match byte {
            b't' => Some(Word::True),
            b'f' => Some(Word::False),
            b'n' => Some(Word::Null),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn text(self) -> &'static [u8] {
        match self {
            Word::True => b"true",
            Word::False => b"false",
            Word::Null => b"null",
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Word::True => "expected `true`",
            Word::False => "expected `false`",
            Word::Null => "expected `null`",
        }
    }

    /// Why it is no key.
    pub(super) fn reason(self) -> Reason {
        match self {
            Word::True | Word::False => Reason::KeyBoolean,
            Word::Null => Reason::KeyNull,
        }
    }
}
