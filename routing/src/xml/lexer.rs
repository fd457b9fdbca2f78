//! The grammar of XML 1.0 (2 and 4.1) without document type declarations. Every state can be left at the end of a chunk.

mod markup;
mod tag;

use super::characters::{ascii_name_bytes, is_char, is_space};
use super::elements::Elements;
use super::reference::{Reference, ReferenceRead};
use super::syntax_fault::{SyntaxFault, malformed, too_complex};
use crate::reason::Reason;

/// The longest name and the longest XML declaration, in bytes.
pub(super) const MAX_NAME: usize = 1024;

/// Reads a document, character by character, or many characters at once where they have no meaning.
#[derive(Debug)]
pub(super) struct Lexer {
    state: State,
    /// A name, or the XML declaration, so far.
    name: String,
    /// The last character was a carriage return that was read as a line feed. A line feed behind it is a part of it.
    after_return: bool,
    /// Whether the document can begin with an XML declaration here.
    is_first: bool,
    has_root: bool,
    elements: Elements,
}

/// Where in the grammar the next character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before, in or behind the root element.
    Content,
    /// In an element, behind `]` or `]]`.
    Brackets(usize),
    /// In a reference, in the value of an attribute with this quote or in content.
    Reference(Reference, Option<char>),
    /// Behind `<`.
    Less,
    Markup(markup::MarkupState),
    Tag(tag::TagState),
}

impl Lexer {
    pub(super) fn new(elements: Elements) -> Self {
        Self {
            state: State::Content,
            name: String::new(),
            after_return: false,
            is_first: true,
            has_root: false,
            elements,
        }
    }

    pub(super) fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Whether the document may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Content && self.has_root && self.elements.is_outside()
    }

    /// Reads some text: all of it, or up to the character that is refused.
    pub(super) fn read(&mut self, rest: &mut &str) -> Result<(), SyntaxFault> {
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return)
                && let Some(after) = rest.strip_prefix('\n')
            {
                *rest = after;
                continue;
            }
            match self.state {
                State::Content if !self.elements.is_outside() => {
                    let run = take_run(rest, |byte| matches!(byte, b'<' | b'&' | b']'));
                    self.elements.push_text(run);
                }
                State::Tag(tag::TagState::Name | tag::TagState::AttributeName | tag::TagState::EndName) => {
                    self.take_name(rest);
                }
                State::Markup(state) => self.skip_markup(state, rest),
                State::Tag(tag::TagState::Value(_)) => {
                    let run = take_run(rest, |byte| matches!(byte, b'<' | b'&' | b'"' | b'\'' | b'\t' | b'\n'));
                    self.elements.push_attribute(run);
                }
                _ => {}
            }
            let mut characters = rest.chars();
            let Some(character) = characters.next() else { break };
            if !is_char(character) {
                return Err(match character {
                    // UTF-16 or UTF-32.
                    '\0' if !self.has_root && matches!(self.state, State::Content | State::Less) => CHARSET,
                    _ => malformed("expected a character that XML allows"),
                });
            }
            if let Some(state) = self.next(character)? {
                self.state = state;
                *rest = characters.as_str();
            }
        }
        Ok(())
    }

    /// Reads one character. Returns the next state, or `None` if the character is to be read again in the state that was
    /// set.
    fn next(&mut self, character: char) -> Result<Option<State>, SyntaxFault> {
        match self.state {
            State::Content if self.elements.is_outside() => self.outside(character).map(Some),
            State::Content => Ok(Some(self.content(character))),
            State::Brackets(count) => self.brackets(count, character),
            State::Reference(reference, quote) => self.reference(reference, quote, character).map(Some),
            State::Less => self.less(character).map(Some),
            State::Markup(state) => self.markup(state, character),
            State::Tag(state) => self.tag(state, character).map(Some),
        }
    }

    fn outside(&mut self, character: char) -> Result<State, SyntaxFault> {
        match character {
            '<' => return Ok(State::Less),
            _ if is_space(character) => self.is_first = false,
            _ => return Err(malformed("expected white space or '<' outside the root element")),
        }
        Ok(State::Content)
    }

    fn content(&mut self, character: char) -> State {
        match character {
            '<' => State::Less,
            '&' => State::Reference(Reference::START, None),
            ']' => State::Brackets(1),
            _ => {
                self.push_content(character);
                State::Content
            }
        }
    }

    /// `]]>` may stand only at the end of a CDATA section.
    fn brackets(&mut self, count: usize, character: char) -> Result<Option<State>, SyntaxFault> {
        match (character, count) {
            (']', 1) => Ok(Some(State::Brackets(2))),
            (']', _) => {
                self.elements.push_text("]");
                Ok(Some(State::Brackets(2)))
            }
            ('>', 2) => Err(malformed("expected ']]>' to be written as ']]&gt;'")),
            _ => {
                self.elements.push_text(if count == 1 { "]" } else { "]]" });
                self.state = State::Content;
                Ok(None)
            }
        }
    }

    fn reference(&mut self, reference: Reference, quote: Option<char>, character: char) -> Result<State, SyntaxFault> {
        let read = reference.push(character)?;
        let character = match read {
            ReferenceRead::Open(reference) => return Ok(State::Reference(reference, quote)),
            ReferenceRead::Closed(character) => character,
        };
        let text = &mut [0; 4];
        let text = character.encode_utf8(text);
        Ok(match quote {
            None => {
                self.elements.push_text(text);
                State::Content
            }
            Some(quote) => {
                self.elements.push_attribute(text);
                State::Tag(tag::TagState::Value(quote))
            }
        })
    }

    /// Adds a character of the document to the text; a line break of any kind is a line feed (2.11).
    fn push_content(&mut self, character: char) {
        self.after_return = character == '\r';
        let character = if self.after_return { '\n' } else { character };
        self.elements.push_text(character.encode_utf8(&mut [0; 4]));
    }

    /// Adds ASCII characters to the name, as long as there is room for them.
    fn take_name(&mut self, rest: &mut &str) {
        let room = MAX_NAME.saturating_sub(self.name.len());
        let length = ascii_name_bytes(rest).min(room);
        let (run, after) = rest.split_at_checked(length).unwrap_or(("", rest));
        self.name.push_str(run);
        *rest = after;
    }

    /// Adds a character to the name.
    fn push_name(&mut self, character: char) -> Result<(), SyntaxFault> {
        if self.name.len() + character.len_utf8() > MAX_NAME {
            return Err(too_complex("expected a shorter name"));
        }
        self.name.push(character);
        Ok(())
    }

    fn start_name(&mut self, character: char) {
        self.name.clear();
        self.name.push(character);
    }
}

const CHARSET: SyntaxFault = SyntaxFault { reason: Reason::CharsetUnsupported, expected: "expected UTF-8" };

/// Takes characters that have no meaning: up to the next one that `is_special`, a control character, or one of U+F000 to
/// U+FFFF, which may be one that XML does not allow.
fn take_run<'a>(rest: &mut &'a str, is_special: impl Fn(u8) -> bool) -> &'a str {
    let ends = |byte: u8| is_special(byte) || byte == 0xef || (byte < b' ' && byte != b'\t' && byte != b'\n');
    let end = rest.bytes().position(ends).unwrap_or(rest.len());
    // The byte at the end begins a character.
    let (run, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    *rest = after;
    run
}
