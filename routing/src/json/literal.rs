//! The three literal names (RFC 8259, 3).

use crate::reason::Reason;

/// `true`, `false` or `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    True,
    False,
    Null,
}

impl Literal {
    /// The literal that starts with this byte.
    #[inline]
    pub(super) fn starting(byte: u8) -> Option<Self> {
        match byte {
            b't' => Some(Literal::True),
            b'f' => Some(Literal::False),
            b'n' => Some(Literal::Null),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn text(self) -> &'static [u8] {
        match self {
            Literal::True => b"true",
            Literal::False => b"false",
            Literal::Null => b"null",
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Literal::True => "expected `true`",
            Literal::False => "expected `false`",
            Literal::Null => "expected `null`",
        }
    }

    /// Why it cannot be a routing key.
    pub(super) fn reason(self) -> Reason {
        match self {
            Literal::True | Literal::False => Reason::KeyBoolean,
            Literal::Null => Reason::KeyNull,
        }
    }
}
