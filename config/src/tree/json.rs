//! JSON (RFC 8259) to tree.
//!
//! A parser of our own: it is small in the filter's module, knows where each value begins, and reads the text once.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::super::bounds::MAX_DEPTH;
use super::super::fault::Fault;
use super::super::text::quote;
use super::{MapEntry, TreeNode, Value, too_deep};

/// Parses one JSON document. An empty text is null, as in YAML.
pub(in super::super) fn parse(text: &str) -> Result<TreeNode<'_>, Fault> {
    let mut json = JsonText { text, at: 0 };
    if json.next().is_none() {
        return Ok(TreeNode { at: 0, value: Value::Null });
    }
    let root = json.node(MAX_DEPTH)?;
    if json.next().is_some() { Err(json.unexpected("the end of the text")) } else { Ok(root) }
}

/// A text, and how far it is read.
struct JsonText<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> JsonText<'t> {
    fn node(&mut self, depth: usize) -> Result<TreeNode<'t>, Fault> {
        let first = self.next();
        let at = self.at;
        if depth == 0 {
            return Err(Fault::at(at, too_deep()));
        }
        let value = match first {
            Some(b'{') => Value::Map(self.entries(depth)?),
            Some(b'[') => Value::List(self.items(depth)?),
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ if self.take("true") => Value::Bool(true),
            _ if self.take("false") => Value::Bool(false),
            _ if self.take("null") => Value::Null,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(TreeNode { at, value })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<MapEntry<'t>>, Fault> {
        let mut entries = Vec::new();
        self.at += 1;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(entries);
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(self.unexpected("a name in double quotes"));
            }
            let at = self.at;
            let name = self.string()?;
            self.next();
            if !self.take(":") {
                return Err(self.unexpected("`:`"));
            }
            entries.push(MapEntry { at, name, node: self.node(depth - 1)? });
            if self.ends("}", "`,` or `}`")? {
                return Ok(entries);
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<TreeNode<'t>>, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(self.node(depth - 1)?);
            if self.ends("]", "`,` or `]`")? {
                return Ok(items);
            }
        }
    }

    /// Whether the list or map ends here, or goes on behind a comma.
    fn ends(&mut self, end: &str, expected: &str) -> Result<bool, Fault> {
        self.next();
        if self.take(end) {
            Ok(true)
        } else if self.take(",") {
            Ok(false)
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// A string, from its opening quote on.
    fn string(&mut self) -> Result<Cow<'t, str>, Fault> {
        self.at += 1;
        let plain = self.plain_part();
        if self.take("\"") {
            return Ok(Cow::Borrowed(plain));
        }
        let mut string = String::from(plain);
        loop {
            if self.take("\"") {
                return Ok(Cow::Owned(string));
            }
            if !self.take("\\") {
                return Err(self.unexpected("`\"` or an escape such as `\\n`"));
            }
            string.push(self.escaped()?);
            string.push_str(self.plain_part());
        }
    }

    /// The part of a string up to a quote, an escape, a control character or the end of the text.
    fn plain_part(&mut self) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// The character of an escape, from the byte after the backslash on.
    fn escaped(&mut self) -> Result<char, Fault> {
        const SIMPLE: [(&str, char); 8] = [
            ("\"", '"'),
            ("\\", '\\'),
            ("/", '/'),
            ("b", '\u{8}'),
            ("f", '\u{c}'),
            ("n", '\n'),
            ("r", '\r'),
            ("t", '\t'),
        ];
        if let Some((_, character)) = SIMPLE.iter().find(|(letter, _)| self.take(letter)) {
            return Ok(*character);
        }
        let at = self.at.saturating_sub(1);
        if !self.take("u") {
            return Err(self.unexpected("an escape such as `\\n`"));
        }
        let mut code = self.code_unit()?;
        if (0xd800..0xdc00).contains(&code) && self.take("\\u") {
            let low = self.code_unit()?;
            // Neither half alone is a character, and a wrong second half makes a number that is none.
            code = if (0xdc00..0xe000).contains(&low) { 0x10000 + ((code & 0x3ff) << 10 | low & 0x3ff) } else { code };
        }
        char::from_u32(code).ok_or_else(|| Fault::at(at, "invalid JSON: half of a surrogate pair".into()))
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u32, Fault> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(self.unexpected("four hexadecimal digits"));
        };
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Value<'t>, Fault> {
        let rest = self.rest();
        let start = self.at;
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.take(".") {
            is_integer = false;
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            is_integer = false;
            let _ = self.take("+") || self.take("-");
            self.digits()?;
        }
        let number = rest.get(..self.at - start).unwrap_or_default();
        Ok(match (number.parse(), number.parse()) {
            (Ok(number), _) if is_integer => Value::Unsigned(number),
            (_, Ok(number)) if is_integer => Value::Negative(number),
            _ => Value::Float(Cow::Borrowed(number)),
        })
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let count = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        if count == 0 { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    /// Takes a token, if it is next.
    fn take(&mut self, token: &str) -> bool {
        let is_next = self.rest().as_bytes().starts_with(token.as_bytes());
        self.at += if is_next { token.len() } else { 0 };
        is_next
    }

    /// Skips white space. Returns the byte behind it.
    fn next(&mut self) -> Option<u8> {
        let rest = self.rest();
        let skipped = rest.bytes().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += skipped;
        rest.as_bytes().get(skipped).copied()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn unexpected(&self, expected: &str) -> Fault {
        let found = match self.rest().chars().next() {
            Some(character) => quote(character.encode_utf8(&mut [0; 4])),
            None => "the end of the text".into(),
        };
        Fault::at(self.at, ["invalid JSON: expected ", expected, ", found ", &found].concat())
    }
}
