//! Markup that is no tag: comments (2.5), processing instructions (2.6), CDATA sections (2.7), the XML declaration (2.8).

use super::super::characters::{is_name_char, is_name_start, is_space};
use super::super::declaration;
use super::super::syntax_fault::{SyntaxFault, doctype, malformed, too_complex};
use super::tag::TagState;
use super::{Lexer, MAX_NAME, State, take_run};

/// Where in the markup the next character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkupState {
    /// Behind `<!`.
    Bang,
    /// Behind `<!-`.
    CommentStart,
    Comment,
    /// In a comment, behind this many hyphens.
    CommentEnd(usize),
    /// Behind `<![` and this many characters of `CDATA[`.
    SectionStart(usize),
    Section,
    /// In a CDATA section, behind this many brackets.
    SectionEnd(usize),
    /// Behind `<?`.
    TargetStart,
    Target,
    /// Behind `<?target?`.
    TargetEnd,
    Instruction,
    /// In a processing instruction, behind `?`.
    InstructionEnd,
    Declaration,
    /// In the XML declaration, behind `?`.
    DeclarationEnd,
}

/// Behind `<![` in a CDATA section.
const SECTION: &str = "CDATA[";

impl Lexer {
    /// Behind `<`.
    pub(super) fn less(&mut self, character: char) -> Result<State, SyntaxFault> {
        let is_declarable = std::mem::take(&mut self.is_first);
        match character {
            '!' => Ok(State::Markup(MarkupState::Bang)),
            '?' => {
                self.is_first = is_declarable;
                Ok(State::Markup(MarkupState::TargetStart))
            }
            '/' if !self.elements.is_outside() => Ok(State::Tag(TagState::EndStart)),
            _ if is_name_start(character) && self.has_root && self.elements.is_outside() => {
                Err(malformed("expected one root element"))
            }
            _ if is_name_start(character) => {
                self.start_name(character);
                Ok(State::Tag(TagState::Name))
            }
            _ => Err(malformed("expected a name, '/', '!' or '?' behind '<'")),
        }
    }

    /// Skips characters that have no meaning in a comment or a processing instruction, and takes those of a section.
    pub(super) fn skip_markup(&mut self, state: MarkupState, rest: &mut &str) {
        match state {
            MarkupState::Comment => drop(take_run(rest, |byte| byte == b'-')),
            MarkupState::Instruction => drop(take_run(rest, |byte| byte == b'?')),
            MarkupState::Section => {
                let run = take_run(rest, |byte| byte == b']');
                self.elements.push_text(run);
            }
            _ => {}
        }
    }

    pub(super) fn markup(&mut self, state: MarkupState, character: char) -> Result<Option<State>, SyntaxFault> {
        let next = match (state, character) {
            (MarkupState::Bang, '-') => MarkupState::CommentStart,
            (MarkupState::Bang, '[') if !self.elements.is_outside() => MarkupState::SectionStart(0),
            (MarkupState::Bang, 'D') => return Err(doctype("expected no document type declaration")),
            (MarkupState::Bang, _) => return Err(malformed("expected a comment or a CDATA section behind '<!'")),

            (MarkupState::CommentStart, '-') => {
                self.elements.interrupt_text();
                MarkupState::Comment
            }
            (MarkupState::CommentStart, _) => return Err(malformed("expected '<!--'")),
            (MarkupState::Comment, '-') => MarkupState::CommentEnd(1),
            (MarkupState::Comment, _) => state,
            (MarkupState::CommentEnd(1), '-') => MarkupState::CommentEnd(2),
            (MarkupState::CommentEnd(1), _) => MarkupState::Comment,
            (MarkupState::CommentEnd(_), '>') => return Ok(Some(State::Content)),
            (MarkupState::CommentEnd(_), _) => return Err(malformed("expected '--' only at the end of a comment")),

            (MarkupState::SectionStart(count), _) => return self.section_start(count, character).map(Some),
            (MarkupState::Section, ']') => MarkupState::SectionEnd(1),
            (MarkupState::Section, _) => {
                self.push_content(character);
                state
            }
            (MarkupState::SectionEnd(count), _) => return Ok(self.section_end(count, character)),

            (MarkupState::TargetStart, _) if is_name_start(character) => {
                self.elements.interrupt_text();
                self.start_name(character);
                MarkupState::Target
            }
            (MarkupState::TargetStart, _) => return Err(malformed("expected the target of a processing instruction")),
            (MarkupState::Target, _) => return self.target(character).map(Some),
            (MarkupState::TargetEnd | MarkupState::InstructionEnd, '>') => return Ok(Some(State::Content)),
            (MarkupState::TargetEnd, _) => return Err(malformed("expected '?>'")),
            (MarkupState::Instruction | MarkupState::InstructionEnd, '?') => MarkupState::InstructionEnd,
            (MarkupState::Instruction | MarkupState::InstructionEnd, _) => MarkupState::Instruction,

            (MarkupState::Declaration | MarkupState::DeclarationEnd, _) => {
                return self.declaration(state, character).map(Some);
            }
        };
        Ok(Some(State::Markup(next)))
    }

    fn section_start(&mut self, count: usize, character: char) -> Result<State, SyntaxFault> {
        if SECTION.chars().nth(count) != Some(character) {
            return Err(malformed("expected '<![CDATA['"));
        }
        let count = count + 1;
        let is_complete = count == SECTION.len();
        if is_complete {
            self.elements.interrupt_text();
        }
        Ok(State::Markup(if is_complete { MarkupState::Section } else { MarkupState::SectionStart(count) }))
    }

    fn section_end(&mut self, count: usize, character: char) -> Option<State> {
        match (character, count) {
            (']', 1) => Some(State::Markup(MarkupState::SectionEnd(2))),
            (']', _) => {
                self.elements.push_text("]");
                Some(State::Markup(MarkupState::SectionEnd(2)))
            }
            ('>', 2) => {
                self.elements.interrupt_text();
                Some(State::Content)
            }
            _ => {
                self.elements.push_text(if count == 1 { "]" } else { "]]" });
                self.state = State::Markup(MarkupState::Section);
                None
            }
        }
    }

    /// The target of a processing instruction. `xml` in any case is reserved: only the XML declaration has it.
    fn target(&mut self, character: char) -> Result<State, SyntaxFault> {
        if is_name_char(character) {
            self.push_name(character)?;
            return Ok(State::Markup(MarkupState::Target));
        }
        let is_first = std::mem::take(&mut self.is_first);
        if self.name.contains(':') {
            return Err(malformed("expected the target of a processing instruction without a colon"));
        }
        if self.name.eq_ignore_ascii_case("xml") {
            let is_declaration = self.name == "xml" && is_first && is_space(character);
            self.start_name(character);
            return if is_declaration {
                Ok(State::Markup(MarkupState::Declaration))
            } else {
                Err(malformed("expected '<?xml version' only at the beginning of the body"))
            };
        }
        match character {
            '?' => Ok(State::Markup(MarkupState::TargetEnd)),
            _ if is_space(character) => Ok(State::Markup(MarkupState::Instruction)),
            _ => Err(malformed("expected white space or '?>' behind the target of a processing instruction")),
        }
    }

    fn declaration(&mut self, state: MarkupState, character: char) -> Result<State, SyntaxFault> {
        match (state, character) {
            (MarkupState::DeclarationEnd, '>') => {
                let text = self.name.strip_suffix('?').unwrap_or_default();
                declaration::check(text).map(|()| State::Content)
            }
            _ if self.name.len() >= MAX_NAME => Err(too_complex("expected a shorter XML declaration")),
            _ => {
                self.name.push(character);
                let is_end = character == '?';
                Ok(State::Markup(if is_end { MarkupState::DeclarationEnd } else { MarkupState::Declaration }))
            }
        }
    }
}
