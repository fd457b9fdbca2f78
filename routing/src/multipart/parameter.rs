//! The parameters of a header field: `; name="value"; name=value`.

use crate::ascii;
use crate::token::is_token;

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a [u8],
    /// The value without its quotes, otherwise as written: some parsers drop a backslash, and others keep it.
    pub(super) value: &'a [u8],
    /// What follows the value's opening quote, if parsers differ on where the value ends: it has a quote behind a
    /// backslash. No parameter is read after it.
    pub(super) ambiguous_rest: Option<&'a [u8]>,
}

/// The parameters are not those that every parser reads alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadParameter;

/// Iterates over the parameters of a field's value, after the text before the first `;`.
pub(super) fn parameters(value: &[u8]) -> impl Iterator<Item = Result<Parameter<'_>, BadParameter>> {
    let start = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    Parameters { rest: value.get(start..).unwrap_or_default() }
}

impl Parameter<'_> {
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether the name starts so, as also in the spellings of RFC 2231: `name*`, `name*0`.
    pub(super) fn starts_with(&self, start: &[u8]) -> bool {
        ascii::starts_with(self.name, start)
    }
}

/// Each rest begins with `;`, or is empty.
struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, BadParameter>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.strip_prefix(b";")?.trim_ascii();
        // A `;` at the end names nothing.
        let read = if text.is_empty() { None } else { Some(read_parameter(text)) };
        self.rest = match read {
            Some(Some((_, rest))) => rest,
            _ => &[],
        };
        read.map(|read| read.map(|(parameter, _)| parameter).ok_or(BadParameter))
    }
}

/// Reads a parameter. Returns it and the rest of the text.
fn read_parameter(text: &[u8]) -> Option<(Parameter<'_>, &[u8])> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (text.get(..equals)?, text.get(equals + 1..)?);
    if !is_token(name) {
        return None;
    }
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (value, rest) = value.split_at_checked(end)?;
        let unpadded = value.trim_ascii_end();
        return is_unquoted(unpadded, name.ends_with(b"*"))
            .then_some((Parameter { name, value: unpadded, ambiguous_rest: None }, rest));
    };
    let end = quoted.iter().position(|byte| *byte == b'"')?;
    let (value, rest) = (quoted.get(..end)?, quoted.get(end + 1..)?.trim_ascii_start());
    if value.ends_with(b"\\") {
        return Some((Parameter { name, value, ambiguous_rest: Some(quoted) }, &[]));
    }
    (rest.is_empty() || rest.starts_with(b";")).then_some((Parameter { name, value, ambiguous_rest: None }, rest))
}

/// Whether parsers agree on a value without quotes. To PHP, `'` is a quote. In the extended notation of RFC 5987
/// (`utf-8''text`) there are two in one value, which agrees with PHP.
fn is_unquoted(value: &[u8], is_extended: bool) -> bool {
    // The separators are not allowed in tokens. But many senders write a boundary like this, and no parser reads another
    // value.
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/:=?()".contains(byte);
    let quotes = value.iter().filter(|byte| **byte == b'\'').count();
    !value.is_empty() && value.iter().all(is_allowed) && (quotes == 0 || is_extended && quotes == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Vec<(String, String)>, BadParameter> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        parameters(value.as_bytes()).map(|read| read.map(|read| (text(read.name), text(read.value)))).collect()
    }

    #[test]
    fn parameters_are_quoted_or_not() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("form-data"), Ok(vec![]));
        assert_eq!(read("form-data;"), Ok(vec![]));
        let all = vec![pair("name", "a; b=\"".trim_end_matches('"')), pair("x", "1"), pair("y", "")];
        assert_eq!(read("form-data;name=\"a; b=\" ;\tx=1 ; y=\"\";"), Ok(all));
        assert_eq!(read("f; x*=utf-8'en'a%20b"), Ok(vec![pair("x*", "utf-8'en'a%20b")]));
        assert_eq!(read("f; name=\"a\\b\""), Ok(vec![pair("name", "a\\b")]));
    }

    #[test]
    fn nothing_is_read_after_an_escaped_quote() {
        let read: Vec<_> = parameters(b"f; a=\"x\\\"; b=c\"; d=e").collect();
        let expected = Parameter { name: b"a", value: b"x\\", ambiguous_rest: Some(b"x\\\"; b=c\"; d=e") };
        assert_eq!(read, [Ok(expected)]);
    }

    #[test]
    fn other_spellings_are_refused() {
        for value in [
            "f; name",
            "f; =x",
            "f; name =x",
            "f; name= x",
            "f; name=",
            "f; name=\"x",
            "f; name=\"x\"y",
            "f;; name=x",
            "f; name='x'",
            "f; x*=utf-8'a; name=b; y*='c",
            "f; x*='a'b'",
            "f; name=x y",
            "f; name=å",
            "f; na me=x",
            "f; name=x\"y\"",
            "f; name=x,y",
        ] {
            assert_eq!(read(value), Err(BadParameter), "{value}");
        }
    }
}
