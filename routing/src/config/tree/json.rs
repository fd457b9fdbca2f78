//! JSON (RFC 8259) to tree.
//!
//! serde_json keeps no positions. It does hand out a value's source text ([`RawValue`]), and where that slice starts
//! within the whole text is the position. Each level of nesting is read once more for that; there are few.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Entry, MAX_DEPTH, Node, Place, SyntaxError, Value, refuse_duplicates};

/// Parses one JSON document.
pub(in super::super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let root: &RawValue = serde_json::from_str(text).map_err(|error| syntax_error(&error))?;
    Source { text }.node(root, MAX_DEPTH)
}

struct Source<'a> {
    text: &'a str,
}

impl<'a> Source<'a> {
    fn offset(&self, raw: &RawValue) -> usize {
        raw.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<Node, SyntaxError> {
        let at = self.offset(raw);
        if depth == 0 {
            return Err(SyntaxError { place: Place::Offset(at), message: "nested too deep".into() });
        }
        let value = match raw.get().bytes().next() {
            Some(b'{') => {
                let Entries(entries) = self.read(raw)?;
                let entries = entries
                    .into_iter()
                    .map(|(name, value)| {
                        Ok(Entry { at: self.offset(name), name: self.read(name)?, node: self.node(value, depth - 1)? })
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                refuse_duplicates(&entries)?;
                Value::Map(entries)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(raw)?;
                Value::List(items.into_iter().map(|item| self.node(item, depth - 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::Text(self.read(raw)?),
            Some(b't' | b'f') => Value::Bool(self.read(raw)?),
            Some(b'n') => Value::Null,
            _ => match (raw.get().parse(), raw.get().parse()) {
                (Ok(number), _) => Value::Unsigned(number),
                (_, Ok(number)) => Value::Negative(number),
                _ => Value::Float(self.read(raw)?),
            },
        };
        Ok(Node { at, value })
    }

    /// Reads a piece of the text. What can still be wrong with it is an escape or a number's range.
    fn read<T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, SyntaxError> {
        serde_json::from_str(raw.get()).map_err(|error| SyntaxError {
            place: Place::Offset(self.offset(raw)),
            message: syntax_error(&error).message,
        })
    }
}

fn syntax_error(error: &serde_json::Error) -> SyntaxError {
    let text = error.to_string();
    let message = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
    SyntaxError { place: Place::Line(error.line(), error.column()), message: message.to_owned() }
}

struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}
