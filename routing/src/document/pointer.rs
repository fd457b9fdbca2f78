//! RFC 6901 JSON Pointers, with two tokens more: `*`, and selectors such as `[key=tenant.id]`.

use std::fmt;
use std::str::FromStr;

/// A JSON Pointer: reference tokens, unescaped.
///
/// RFC 6901 has no `*` and no selectors. A name that looks like one of them is written with `~2` for `*`, and `~3` for
/// `[`, which RFC 6901 does not have either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<PointerToken>,
}

/// One step of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointerToken {
    /// The name of an object's member; also the index of an array's element, if it is one.
    Name(Box<str>),
    /// `*`: every element of an array.
    Each,
    /// `[NAME=TEXT]`: every element of an array that is an object whose member NAME is the string TEXT.
    Selector {
        /// The member's name.
        name: Box<str>,
        /// The member's value.
        text: Box<str>,
    },
}

/// The text is not a JSON Pointer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// It is not empty and has no leading slash.
    #[error("expected an RFC 6901 pointer that starts with `/`, such as `/tenant/id`")]
    NoSlash,
    /// A `~` is not followed by a digit from `0` to `3`.
    #[error("expected `~0` (for `~`), `~1` (for `/`), `~2` (for `*`) or `~3` (for `[`) after `~` in a pointer")]
    BadEscape,
    /// A token begins with `[` and is not a selector.
    #[error("expected a selector such as `[key=tenant.id]`, or `~3` for the `[` of a name")]
    BadSelector,
    /// More tokens than [`Pointer::MAX_TOKENS`].
    #[error("expected at most {} levels in a pointer", Pointer::MAX_TOKENS)]
    TooLong,
}

impl Pointer {
    /// The most reference tokens a pointer may have.
    pub const MAX_TOKENS: usize = 16;

    /// The reference tokens, unescaped.
    #[must_use]
    pub fn tokens(&self) -> &[PointerToken] {
        &self.tokens
    }

    /// Whether one of the pointers has an index where the other one has `*` or a selector. A query cannot have both.
    #[must_use]
    pub fn clashes_with(&self, other: &Pointer) -> bool {
        let mut pairs = self.tokens.iter().zip(&other.tokens);
        let fork = pairs.find(|(one, another)| !(one == another || one.is_each() && another.is_each()));
        fork.is_some_and(|(one, another)| {
            one.is_each() && another.index().is_some() || one.index().is_some() && another.is_each()
        })
    }
}

impl PointerToken {
    /// The array index that a name is (RFC 6901, 4): digits without leading zeros. `-` names the element after the last,
    /// which never exists.
    pub(crate) fn index(&self) -> Option<u64> {
        let PointerToken::Name(name) = self else { return None };
        let is_index = &**name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
        if is_index { name.parse().ok() } else { None }
    }

    /// The name, unescaped. Empty if it stands for more than one element.
    pub(crate) fn name(&self) -> &str {
        match self {
            PointerToken::Name(name) => name,
            PointerToken::Each | PointerToken::Selector { .. } => "",
        }
    }

    /// Whether it stands for more than one element.
    pub(crate) fn is_each(&self) -> bool {
        !matches!(self, PointerToken::Name(_))
    }
}

impl FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let path = text.strip_prefix('/').ok_or(BadPointer::NoSlash)?;
        let tokens = path.split('/').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if tokens.len() > Self::MAX_TOKENS { Err(BadPointer::TooLong) } else { Ok(Self { tokens }) }
    }
}

impl FromStr for PointerToken {
    type Err = BadPointer;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        if token == "*" {
            return Ok(PointerToken::Each);
        }
        let Some(selector) = token.strip_prefix('[') else { return Ok(PointerToken::Name(unescape(token)?)) };
        let (name, text) =
            selector.strip_suffix(']').and_then(|inner| inner.split_once('=')).ok_or(BadPointer::BadSelector)?;
        Ok(PointerToken::Selector { name: unescape(name)?, text: unescape(text)? })
    }
}

/// Replaces the escapes.
fn unescape(token: &str) -> Result<Box<str>, BadPointer> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut rest = part.chars();
        text.push(match rest.next() {
            Some('0') => '~',
            Some('1') => '/',
            Some('2') => '*',
            Some('3') => '[',
            _ => return Err(BadPointer::BadEscape),
        });
        text.push_str(rest.as_str());
    }
    Ok(text.into())
}

fn escape(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.iter().try_for_each(|token| write!(f, "/{token}"))
    }
}

impl fmt::Display for PointerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointerToken::Each => f.write_str("*"),
            PointerToken::Selector { name, text } => write!(f, "[{}={}]", escape(name), escape(text)),
            PointerToken::Name(name) if &**name == "*" => f.write_str("~2"),
            PointerToken::Name(name) => match name.strip_prefix('[') {
                Some(rest) => write!(f, "~3{}", escape(rest)),
                None => f.write_str(&escape(name)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let pointer: Pointer = text.parse().unwrap();
        pointer
            .tokens()
            .iter()
            .map(|token| match token {
                PointerToken::Name(name) => name.to_string(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn tokens_are_unescaped_and_written_back() {
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(names("/"), [""]);
        assert_eq!(names("/a~1b/m~0n/~01"), ["a/b", "m~n", "~1"]);
        assert_eq!(names("/~2/~3a]/**/a*/a[/~02"), ["*", "[a]", "**", "a*", "a[", "~2"]);
        for text in [
            "",
            "/",
            "/a~1b/m~0n/~01",
            "/tenant/id",
            "/0/",
            "/*/~2/**/[k=v]/~3k=v]/a[*",
            "/[a~1b=c~0d]/*",
            "/[=]",
            "/[k=]]",
            "/[k=a=b]",
        ] {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn stars_and_selectors_are_tokens_of_their_own() {
        let pointer: Pointer = "/*/[key=tenant.id]/[a~1b=~2]".parse().unwrap();
        let selector = |name: &str, text: &str| PointerToken::Selector { name: name.into(), text: text.into() };
        assert_eq!(pointer.tokens(), [PointerToken::Each, selector("key", "tenant.id"), selector("a/b", "*")]);
    }

    #[test]
    fn bad_pointers_are_refused() {
        assert_eq!("tenant".parse::<Pointer>(), Err(BadPointer::NoSlash));
        assert_eq!("*".parse::<Pointer>(), Err(BadPointer::NoSlash));
        for text in ["/a~", "/a~4", "/~/", "/[a~=b]", "/~~0"] {
            assert_eq!(text.parse::<Pointer>(), Err(BadPointer::BadEscape), "{text}");
        }
        for text in ["/[", "/[]", "/[a]", "/[a=b", "/[a=b/c]", "/[a=b]c"] {
            assert_eq!(text.parse::<Pointer>(), Err(BadPointer::BadSelector), "{text}");
        }
        assert_eq!("/a".repeat(17).parse::<Pointer>(), Err(BadPointer::TooLong));
    }

    #[test]
    fn only_plain_decimals_are_array_indices() {
        let index = |text: &str| PointerToken::Name(text.into()).index();
        for (token, expected) in [("0", Some(0)), ("10", Some(10)), ("18446744073709551615", Some(u64::MAX))] {
            assert_eq!(index(token), expected);
        }
        for token in ["", "00", "01", "-", "-1", "+1", "1 ", "a", "18446744073709551616"] {
            assert_eq!(index(token), None, "{token}");
        }
    }

    #[test]
    fn an_index_clashes_with_a_star_or_selector_in_the_same_array() {
        let clash = |one: &str, another: &str| {
            let (one, another): (Pointer, Pointer) = (one.parse().unwrap(), another.parse().unwrap());
            assert_eq!(one.clashes_with(&another), another.clashes_with(&one));
            one.clashes_with(&another)
        };
        for (one, another) in [("/*", "/0"), ("/a/*/b", "/a/1/b"), ("/[k=v]/a/0", "/*/a/*"), ("/[k=v]", "/10/a")] {
            assert!(clash(one, another), "{one} and {another}");
        }
        for (one, another) in
            [("/*", "/a"), ("/*", "/*"), ("/a/*", "/b/0"), ("/*", ""), ("/0/*", "/1/0"), ("/[k=v]", "/[k=w]/0")]
        {
            assert!(!clash(one, another), "{one} and {another}");
        }
    }
}
