//! What the grammar expects next.

use super::literal::Word;
use super::number::Number;

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// Nothing has been read but this many bytes of a byte order mark.
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
    /// Inside a token.
    NameText,
    StringText,
    Number(Number),
    Word(Word, u8),
}

impl State {
    /// What to tell a person who sent something else.
    pub(super) fn expected(self) -> &'static str {
        match self {
            State::Start(_) | State::Value => "expected a value",
            State::FirstElement => "expected a value or `]`",
            State::FirstName => "expected a name in quotes or `}`",
            State::Name => "expected a name in quotes",
            State::Colon => "expected `:`",
            State::ElementEnd => "expected `,` or `]`",
            State::MemberEnd => "expected `,` or `}`",
            State::End => "expected the end of the document",
            State::NameText | State::StringText | State::Number(_) | State::Word(..) => {
                "expected the rest of the token"
            }
        }
    }
}
