//! References to characters and to the five predefined entities (XML 1.0, 4.1 and 4.6).

use super::characters::{is_char, is_name_char};
use super::syntax_fault::{SyntaxFault, doctype, malformed};

/// The longest name of a predefined entity, in bytes.
const MAX_ENTITY: usize = 4;
/// A number above all characters.
const NO_CHARACTER: u32 = 0x11_0000;

/// How far into a reference the scanner is. It begins behind the `&`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// The name of an entity, or nothing yet.
    Entity { name: [u8; MAX_ENTITY], length: usize },
    /// Behind `&#`.
    Hash,
    /// Behind `&#` and decimal digits, or `&#x`.
    Number { radix: u32, value: u32, has_digit: bool },
}

/// The state of a reference behind a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferenceRead {
    Open(Reference),
    /// The reference is complete and stands for this character.
    Closed(char),
}

impl Reference {
    pub(super) const START: Self = Self::Entity { name: [0; MAX_ENTITY], length: 0 };

    /// Reads the next character.
    ///
    /// # Errors
    /// It is not part of a reference, or it ends one to another entity or to a character that XML does not allow.
    pub(super) fn push(self, character: char) -> Result<ReferenceRead, SyntaxFault> {
        match (self, character) {
            (Self::Entity { length: 0, .. }, '#') => Ok(ReferenceRead::Open(Self::Hash)),
            (Self::Entity { length: 1.., .. }, ';') => self.entity().map(ReferenceRead::Closed),
            (Self::Entity { name, length }, _) if is_name_char(character) => append(name, length, character),
            (Self::Entity { .. }, _) => Err(malformed("expected the name of an entity, and ';'")),
            (Self::Hash, 'x') => Ok(ReferenceRead::Open(Self::Number { radix: 16, value: 0, has_digit: false })),
            (Self::Hash, _) => Self::Number { radix: 10, value: 0, has_digit: false }.push(character),
            (Self::Number { value, has_digit: true, .. }, ';') => char::from_u32(value)
                .filter(|character| is_char(*character))
                .map(ReferenceRead::Closed)
                .ok_or(malformed("expected a reference to a character that XML allows")),
            (Self::Number { radix, value, .. }, _) => {
                let digit =
                    character.to_digit(radix).ok_or(malformed("expected the digits of a character, and ';'"))?;
                let value = (value.saturating_mul(radix).saturating_add(digit)).min(NO_CHARACTER);
                Ok(ReferenceRead::Open(Self::Number { radix, value, has_digit: true }))
            }
        }
    }

    fn entity(self) -> Result<char, SyntaxFault> {
        let Self::Entity { name, length } = self else { return Err(UNDECLARED) };
        Ok(match name.get(..length).unwrap_or_default() {
            b"lt" => '<',
            b"gt" => '>',
            b"amp" => '&',
            b"apos" => '\'',
            b"quot" => '"',
            _ => return Err(UNDECLARED),
        })
    }
}

/// Only a document type declaration can declare other entities.
const UNDECLARED: SyntaxFault = doctype("expected no entity except lt, gt, amp, apos and quot");

/// Adds a character to the name of an entity. A predefined one has only ASCII letters.
fn append(mut name: [u8; MAX_ENTITY], length: usize, character: char) -> Result<ReferenceRead, SyntaxFault> {
    match (name.get_mut(length), u8::try_from(character)) {
        (Some(place), Ok(letter)) => *place = letter,
        _ => return Err(UNDECLARED),
    }
    Ok(ReferenceRead::Open(Reference::Entity { name, length: length + 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    fn read(text: &str) -> Result<char, Reason> {
        let mut reference = Reference::START;
        for character in text.chars() {
            match reference.push(character).map_err(|fault| fault.reason)? {
                ReferenceRead::Open(next) => reference = next,
                ReferenceRead::Closed(character) => return Ok(character),
            }
        }
        panic!("{text} is not complete");
    }

    #[test]
    fn predefined_entities_and_characters_are_read() {
        for (text, character) in [
            ("lt;", '<'),
            ("gt;", '>'),
            ("amp;", '&'),
            ("apos;", '\''),
            ("quot;", '"'),
            ("#65;", 'A'),
            ("#0000000065;", 'A'),
            ("#x41;", 'A'),
            ("#xe5;", 'å'),
            ("#x1F600;", '😀'),
            ("#10;", '\n'),
        ] {
            assert_eq!(read(text), Ok(character), "{text}");
        }
    }

    #[test]
    fn other_references_are_refused() {
        for text in [";", "#;", "#x;", "#X41;", "#0;", "#xfffe;", "#xd800;", "#x110000;", "#99999999999;", "a b;", "&;"]
        {
            assert_eq!(read(text), Err(Reason::BodyMalformed), "{text}");
        }
        for text in ["nbsp;", "LT;", "a;", "hellip;", "lol9;", "é;", "%"] {
            let expected = if text == "%" { Reason::BodyMalformed } else { Reason::BodyDoctype };
            assert_eq!(read(text), Err(expected), "{text}");
        }
    }
}
