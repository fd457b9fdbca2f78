//! The character classes of XML 1.0 (2.2, 2.3) and of Namespaces in XML 1.0 (3).

/// Whether a document may hold the character, as it is or by a reference (`Char`).
pub(super) fn is_char(character: char) -> bool {
    matches!(character, ' '..='\u{fffd}' | '\t' | '\n' | '\r' | '\u{10000}'..)
}

/// Whether the character is white space (`S`).
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Whether a name may begin with the character (`NameStartChar`). The colon is one.
pub(super) fn is_name_start(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphabetic() || matches!(character, '_' | ':');
    }
    matches!(character,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Whether a name may go on with the character (`NameChar`).
pub(super) fn is_name_char(character: char) -> bool {
    is_name_start(character)
        || matches!(character,
            '0'..='9' | '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// The number of ASCII characters at the beginning of the text with which a name may go on.
pub(super) fn ascii_name_bytes(text: &str) -> usize {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    text.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(text.len())
}

/// Whether the text is a name without a colon (`NCName`).
pub(super) fn is_local_name(text: &str) -> bool {
    text.starts_with(is_name_start) && text.chars().all(|character| character != ':' && is_name_char(character))
}

/// The prefix, empty without one, and the local name. `None` if the name has more than one colon, or an empty part.
///
/// `name` is a `Name`, so each of its characters is one of a name already.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    let colon = name.bytes().position(|byte| byte == b':');
    let (prefix, local) = match colon.and_then(|colon| Some((name.get(..colon)?, name.get(colon + 1..)?))) {
        None => ("", name),
        Some(("", _)) => return None,
        Some(parts) => parts,
    };
    (local.starts_with(is_name_start) && !local.bytes().any(|byte| byte == b':')).then_some((prefix, local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ascii_characters_of_a_name_are_name_characters() {
        for byte in 0..=0x7f_u8 {
            let character = char::from(byte);
            assert_eq!(ascii_name_bytes(&format!("{character}é")) == 1, is_name_char(character), "{character:?}");
        }
        assert_eq!((ascii_name_bytes("a:b-1._é"), ascii_name_bytes("a"), ascii_name_bytes("")), (7, 1, 0));
    }

    #[test]
    fn a_name_has_a_prefix_or_none() {
        assert_eq!(split_name("a"), Some(("", "a")));
        assert_eq!(split_name("soap:Body"), Some(("soap", "Body")));
        for bad in ["", ":", ":a", "a:", "a:b:c", "a::b", "a:-b", "a:1"] {
            assert_eq!(split_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_local_name_has_no_colon() {
        assert!(["a", "_a-1.b", "été", "名"].into_iter().all(is_local_name));
        assert!(!["", "1a", "-a", "a:b", "a b", "a/b", "·a"].into_iter().any(is_local_name));
    }

    #[test]
    fn control_characters_and_noncharacters_are_not_allowed() {
        assert!(
            ['\t', '\n', '\r', ' ', '\u{7f}', '\u{85}', '\u{d7ff}', '\u{fffd}', '\u{1fffe}'].into_iter().all(is_char)
        );
        assert!(!['\0', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'].into_iter().any(is_char));
    }
}
