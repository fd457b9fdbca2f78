//! The text of an element that may be the key.

use super::characters::is_space;
use crate::key::StoredKey;
use crate::reason::Reason;
use crate::value::{KeyRule, MAX_VALUE, ValueReader};

/// The element's own character data, without the white space around it.
///
/// Text on both sides of a comment, a processing instruction or the edge of a CDATA section is two nodes of a tree. Some
/// programs read only the first one, and others both.
///
/// Memory: the reader's, and white space of at most [`MAX_VALUE`] bytes and one piece.
#[derive(Debug)]
pub(super) struct ElementText {
    reader: ValueReader,
    /// White space that belongs to the value if more text follows.
    space: String,
    has_begun: bool,
    /// The text so far is followed by something else than text.
    is_interrupted: bool,
    /// More text follows what has interrupted the text.
    is_split: bool,
    has_elements: bool,
}

impl ElementText {
    pub(super) fn new(rule: &KeyRule) -> Self {
        Self {
            reader: rule.reader(),
            space: String::new(),
            has_begun: false,
            is_interrupted: false,
            is_split: false,
            has_elements: false,
        }
    }

    /// An element begins inside this one.
    pub(super) fn note_element(&mut self) {
        self.has_elements = true;
    }

    /// A comment, a processing instruction, or the edge of a CDATA section comes.
    pub(super) fn interrupt(&mut self) {
        self.is_interrupted = self.has_begun;
    }

    pub(super) fn push(&mut self, piece: &str) {
        let piece = if self.has_begun { piece } else { piece.trim_start_matches(is_space) };
        let text = piece.trim_end_matches(is_space);
        if !text.is_empty() {
            self.flush_space();
            self.reader.push(text.as_bytes());
            self.has_begun = true;
            self.is_split |= self.is_interrupted;
        }
        if self.has_begun {
            self.space.push_str(piece.get(text.len()..).unwrap_or_default());
            if self.space.len() > MAX_VALUE {
                self.flush_space();
            }
        }
    }

    /// Ends the element. `rule` made the text.
    pub(super) fn finish(self, rule: &KeyRule) -> StoredKey {
        match (self.has_elements, self.is_split) {
            (true, _) => StoredKey::Unusable(Reason::KeyObject),
            (false, true) => StoredKey::Unusable(Reason::KeyMalformed),
            (false, false) => self.reader.finish(rule).into(),
        }
    }

    fn flush_space(&mut self) {
        self.reader.push(self.space.as_bytes());
        self.space.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> StoredKey {
        let rule = KeyRule::whole(8);
        let mut text = ElementText::new(&rule);
        pieces.iter().for_each(|piece| text.push(piece));
        text.finish(&rule)
    }

    #[test]
    fn white_space_around_the_text_is_left_out() {
        assert_eq!(read(&["\n", " ac", "me", " ", "\t"]), StoredKey::Found("acme".into()));
        assert_eq!(read(&["a ", " ", "b "]), StoredKey::Found("a  b".into()));
        assert_eq!(read(&["\u{a0}a"]), StoredKey::Found("\u{a0}a".into()));
        assert_eq!(read(&[" ", "\r\n"]), StoredKey::Unusable(Reason::KeyEmpty));
    }

    #[test]
    fn white_space_is_bounded() {
        let rule = KeyRule::whole(8);
        let mut text = ElementText::new(&rule);
        text.push("a");
        (0..100_000).for_each(|_| text.push("      "));
        assert!(text.space.capacity() < 3 * MAX_VALUE);
        assert_eq!(text.finish(&rule), StoredKey::Unusable(Reason::KeyTooLong));
    }
}
