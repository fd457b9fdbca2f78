//! The state of the grammar (RFC 8259, 2) between two bytes.

use super::literal::Literal;
use super::number::NumberState;

/// The token, or part of a token, that comes next.
#[derive(Clone, Copy, Debug)]
pub(super) enum GrammarState {
    /// Nothing has been read, except this many bytes of a byte order mark.
    Start(u8),
    Value,
    /// The first value of an array, or its end.
    FirstElement,
    /// The first name of an object, or its end.
    FirstName,
    Name,
    Colon,
    /// After an array's element.
    ElementEnd,
    /// After an object's member.
    MemberEnd,
    /// After the document.
    End,
    // The states inside a token.
    NameText,
    StringText,
    Number(NumberState),
    /// A literal, of which this many bytes have been read.
    Literal(Literal, u8),
}

impl GrammarState {
    /// Whether no token is cut, and the document has begun.
    #[inline(always)]
    pub(super) fn is_between_tokens(self) -> bool {
        use GrammarState::{Literal, NameText, Number, Start, StringText};
        !matches!(self, Start(_) | NameText | StringText | Number(_) | Literal(..))
    }

    /// The message for a client whose document has something else here.
    pub(super) fn expected(self) -> &'static str {
        match self {
            GrammarState::Start(_) | GrammarState::Value => "expected a value",
            GrammarState::FirstElement => "expected a value or `]`",
            GrammarState::FirstName => "expected a name in quotes or `}`",
            GrammarState::Name => "expected a name in quotes",
            GrammarState::Colon => "expected `:`",
            GrammarState::ElementEnd => "expected `,` or `]`",
            GrammarState::MemberEnd => "expected `,` or `}`",
            GrammarState::End => "expected the end of the document",
            GrammarState::NameText | GrammarState::StringText | GrammarState::Number(_) | GrammarState::Literal(..) => {
                "expected the rest of the token"
            }
        }
    }
}
