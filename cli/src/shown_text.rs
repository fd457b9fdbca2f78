//! Text of clients and of other programs as a terminal may show it: without characters that control the terminal or reorder what it shows.

use std::fmt::Write as _;

/// Characters of Unicode's categories Cf, Zl and Zp. Those of Cc are [`char::is_control`].
const INVISIBLE: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e007f}'),
];

/// Whether a terminal must not get this character.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// The text without these characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|character| !is_hidden(*character)).collect()
}

/// A JSON document with escapes for these characters, except the line ends between its values.
pub(crate) fn escaped(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || !is_hidden(character) {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing into a string cannot fail.
            let _ok = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOSTILE: &str =
        "a\u{1b}[2J\u{7f}\u{9b}31m\u{ad}\u{200b}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}b";

    #[test]
    fn text_keeps_what_can_be_seen() {
        assert_eq!(shown(HOSTILE), "a[2J31mb");
        assert_eq!(shown("naïve 日本語 🙂 e\u{301}"), "naïve 日本語 🙂 e\u{301}");
    }

    #[test]
    fn json_keeps_its_value() {
        let document = json!({ HOSTILE: [HOSTILE, "\n"] });
        let text = escaped(&format!("{document:#}"));
        assert!(!text.chars().any(|character| character != '\n' && is_hidden(character)), "{text:?}");
        assert!(text.contains(r"\u009b31m") && text.contains(r"\udb40\udc41"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
