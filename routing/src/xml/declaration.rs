//! The XML declaration (XML 1.0, 2.8 and 4.3.3).

use super::characters::is_space;
use super::syntax_fault::{SyntaxFault, malformed};
use crate::ascii::is_utf8_charset;
use crate::reason::Reason;

/// Checks the text between `<?xml` and `?>`: the version is 1.0, and the encoding UTF-8 or its subset US-ASCII.
///
/// # Errors
/// The text does not follow the grammar, or names another version or encoding.
pub(super) fn check(text: &str) -> Result<(), SyntaxFault> {
    let (version, rest) = pseudo_attribute(text, "version").ok_or(malformed("expected the version of XML"))?;
    if version != "1.0" {
        return Err(malformed("expected version 1.0 of XML"));
    }
    let (encoding, rest) = optional(rest, "encoding");
    if let Some(encoding) = encoding
        && !is_utf8_charset(encoding.as_bytes())
    {
        let is_name = encoding.starts_with(|first: char| first.is_ascii_alphabetic())
            && encoding.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        let reason = if is_name { Reason::CharsetUnsupported } else { Reason::BodyMalformed };
        return Err(SyntaxFault { reason, expected: "expected the encoding UTF-8" });
    }
    let (standalone, rest) = optional(rest, "standalone");
    if !matches!(standalone, None | Some("yes" | "no")) {
        return Err(malformed("expected standalone to be yes or no"));
    }
    if rest.chars().all(is_space) { Ok(()) } else { Err(malformed("expected '?>' at the end of the XML declaration")) }
}

/// The value of a pseudo-attribute that may be left out, and the rest of the text.
fn optional<'a>(text: &'a str, name: &str) -> (Option<&'a str>, &'a str) {
    pseudo_attribute(text, name).map_or((None, text), |(value, rest)| (Some(value), rest))
}

/// The value of the pseudo-attribute with which the text begins, behind white space, and the rest of the text.
fn pseudo_attribute<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let name_on = text.trim_start_matches(is_space);
    if name_on.len() == text.len() {
        return None;
    }
    let equals_on = name_on.strip_prefix(name)?.trim_start_matches(is_space);
    let value_on = equals_on.strip_prefix('=')?.trim_start_matches(is_space);
    let quote = value_on.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value_on.strip_prefix(quote)?.split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_in_all_its_spellings_is_accepted() {
        for text in [
            " version='1.0'",
            " version=\"1.0\" encoding=\"UTF-8\"",
            "\n version = '1.0'\tencoding\n=\n'utf-8' standalone='no' ",
            " version='1.0' standalone='yes'",
            " version='1.0' encoding='US-ASCII'",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn other_declarations_have_a_reason() {
        let reason = |text: &str| check(text).unwrap_err().reason;
        for encoding in ["ISO-8859-1", "UTF-16", "utf-7", "windows-1252", "ebcdic-cp-us"] {
            assert_eq!(reason(&format!(" version='1.0' encoding='{encoding}'")), Reason::CharsetUnsupported);
        }
        for text in [
            "",
            " ",
            "version='1.0'",
            " version='1.1'",
            " version='2.0'",
            " version=1.0",
            " version='1.0\"",
            " encoding='UTF-8'",
            " version='1.0' encoding='é'",
            " version='1.0' encoding=''",
            " version='1.0'encoding='UTF-8'",
            " version='1.0' standalone='maybe'",
            " version='1.0' standalone='YES'",
            " version='1.0' standalone='yes' encoding='UTF-8'",
            " version='1.0' x='y'",
            " version='1.0' ?",
        ] {
            assert_eq!(reason(text), Reason::BodyMalformed, "{text}");
        }
    }
}
