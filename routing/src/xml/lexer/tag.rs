//! Tags and attributes (XML 1.0, 3.1).

use super::super::characters::{is_name_char, is_name_start, is_space};
use super::super::reference::Reference;
use super::super::syntax_fault::{SyntaxFault, malformed};
use super::{Lexer, State};

/// Where in a tag the next character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagState {
    /// In the name of a start tag.
    Name,
    /// Behind white space.
    Space,
    AttributeName,
    /// Behind the name of an attribute and white space.
    Equals,
    /// Behind `=`.
    Quote,
    /// In the value of an attribute that ends with this quote.
    Value(char),
    /// Behind the value of an attribute.
    ValueEnd,
    /// Behind `/` in a start tag.
    Empty,
    /// Behind `</`.
    EndStart,
    EndName,
    /// Behind the name of an end tag and white space.
    EndSpace,
}

impl Lexer {
    pub(super) fn tag(&mut self, state: TagState, character: char) -> Result<State, SyntaxFault> {
        let next = match (state, character) {
            (TagState::Name | TagState::AttributeName | TagState::EndName, _) if is_name_char(character) => {
                self.push_name(character)?;
                state
            }
            (TagState::Name, _) => {
                self.elements.begin_tag(&self.name)?;
                return self.in_tag(character, "expected white space, '/' or '>' behind the name of an element");
            }
            (TagState::Space, _) if is_name_start(character) => {
                self.start_name(character);
                TagState::AttributeName
            }
            (TagState::Space, _) => return self.in_tag(character, "expected an attribute, '/' or '>'"),
            (TagState::ValueEnd, _) => {
                return self.in_tag(character, "expected white space, '/' or '>' behind an attribute");
            }
            (TagState::AttributeName, _) => {
                self.elements.begin_attribute(&self.name)?;
                return equals(character);
            }
            (TagState::Equals, _) => return equals(character),
            (TagState::Quote, '"' | '\'') => TagState::Value(character),
            (TagState::Quote, _) if is_space(character) => state,
            (TagState::Quote, _) => return Err(malformed("expected the value of an attribute in quotes")),
            (TagState::Value(quote), _) => return self.value(quote, character),
            (TagState::Empty, '>') => {
                self.end_start_tag()?;
                self.elements.close();
                return Ok(State::Content);
            }
            (TagState::Empty, _) => return Err(malformed("expected '>' behind '/'")),
            (TagState::EndStart, _) if is_name_start(character) => {
                self.start_name(character);
                TagState::EndName
            }
            (TagState::EndStart, _) => return Err(malformed("expected a name behind '</'")),
            (TagState::EndName, _) => {
                self.elements.check_end(&self.name)?;
                return self.in_end_tag(character);
            }
            (TagState::EndSpace, _) => return self.in_end_tag(character),
        };
        Ok(State::Tag(next))
    }

    /// Behind a name or a value in a start tag.
    fn in_tag(&mut self, character: char, expected: &'static str) -> Result<State, SyntaxFault> {
        match character {
            '>' => self.end_start_tag().map(|()| State::Content),
            '/' => Ok(State::Tag(TagState::Empty)),
            _ if is_space(character) => Ok(State::Tag(TagState::Space)),
            _ => Err(malformed(expected)),
        }
    }

    fn end_start_tag(&mut self) -> Result<(), SyntaxFault> {
        self.has_root = true;
        self.elements.end_tag()
    }

    fn in_end_tag(&mut self, character: char) -> Result<State, SyntaxFault> {
        match character {
            '>' => {
                self.elements.close();
                Ok(State::Content)
            }
            _ if is_space(character) => Ok(State::Tag(TagState::EndSpace)),
            _ => Err(malformed("expected '>' at the end of an end tag")),
        }
    }

    /// In the value of an attribute. White space is read as spaces (3.3.3).
    fn value(&mut self, quote: char, character: char) -> Result<State, SyntaxFault> {
        match character {
            '<' => return Err(malformed("expected '<' in an attribute to be written as '&lt;'")),
            '&' => return Ok(State::Reference(Reference::START, Some(quote))),
            _ if character == quote => {
                return self.elements.end_attribute().map(|()| State::Tag(TagState::ValueEnd));
            }
            _ if is_space(character) => {
                self.after_return = character == '\r';
                self.elements.push_attribute(" ");
            }
            _ => self.elements.push_attribute(character.encode_utf8(&mut [0; 4])),
        }
        Ok(State::Tag(TagState::Value(quote)))
    }
}

/// Behind the name of an attribute.
fn equals(character: char) -> Result<State, SyntaxFault> {
    match character {
        '=' => Ok(State::Tag(TagState::Quote)),
        _ if is_space(character) => Ok(State::Tag(TagState::Equals)),
        _ => Err(malformed("expected '=' behind the name of an attribute")),
    }
}
