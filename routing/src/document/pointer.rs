//! RFC 6901 JSON Pointers.

use std::fmt;
use std::str::FromStr;

/// A JSON Pointer: reference tokens, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<Box<str>>,
}

/// The text is not a JSON Pointer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// It is not empty and has no leading slash.
    #[error("expected an RFC 6901 pointer that starts with `/`, such as `/tenant/id`")]
    NoSlash,
    /// A `~` is not followed by `0` or `1`.
    #[error("expected `~0` (for `~`) or `~1` (for `/`) after `~` in an RFC 6901 pointer")]
    BadEscape,
    /// More tokens than [`Pointer::MAX_TOKENS`].
    #[error("expected at most {} levels in a pointer", Pointer::MAX_TOKENS)]
    TooLong,
}

impl Pointer {
    /// The most reference tokens a pointer may have.
    pub const MAX_TOKENS: usize = 16;

    /// The reference tokens, unescaped.
    #[must_use]
    pub fn tokens(&self) -> &[Box<str>] {
        &self.tokens
    }
}

impl FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let path = text.strip_prefix('/').ok_or(BadPointer::NoSlash)?;
        let tokens = path.split('/').map(unescape).collect::<Result<Vec<_>, _>>()?;
        if tokens.len() > Self::MAX_TOKENS { Err(BadPointer::TooLong) } else { Ok(Self { tokens }) }
    }
}

fn unescape(token: &str) -> Result<Box<str>, BadPointer> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = if let Some(rest) = part.strip_prefix('0') {
            text.push('~');
            rest
        } else if let Some(rest) = part.strip_prefix('1') {
            text.push('/');
            rest
        } else {
            return Err(BadPointer::BadEscape);
        };
        text.push_str(rest);
    }
    Ok(text.into())
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        text.parse::<Pointer>().unwrap().tokens().iter().map(|token| token.to_string()).collect()
    }

    #[test]
    fn tokens_are_unescaped_and_written_back() {
        assert_eq!(tokens(""), Vec::<String>::new());
        assert_eq!(tokens("/"), [""]);
        assert_eq!(tokens("/a~1b/m~0n/~01"), ["a/b", "m~n", "~1"]);
        for text in ["", "/", "/a~1b/m~0n/~01", "/tenant/id", "/0/"] {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_pointers_are_refused() {
        assert_eq!("tenant".parse::<Pointer>(), Err(BadPointer::NoSlash));
        assert_eq!("/a~".parse::<Pointer>(), Err(BadPointer::BadEscape));
        assert_eq!("/a~2".parse::<Pointer>(), Err(BadPointer::BadEscape));
        assert_eq!("/a".repeat(17).parse::<Pointer>(), Err(BadPointer::TooLong));
    }
}
