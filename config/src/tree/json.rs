//! JSON (RFC 8259) to tree.
//!
//! serde_json keeps no positions. It gives a value's source text ([`RawValue`]), whose start within the whole text is
//! the position. Each level of nesting is read again for that; there are few levels.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::bounds::MAX_DEPTH;
use super::super::fault::Fault;
use super::super::text::Position;
use super::{MapEntry, TreeNode, Value, too_deep};

/// Parses one JSON document. An empty text is null, as in YAML.
pub(in super::super) fn parse(text: &str) -> Result<TreeNode, Fault> {
    if text.trim_ascii().is_empty() {
        return Ok(TreeNode { at: 0, value: Value::Null });
    }
    let root: &RawValue = serde_json::from_str(text).map_err(|error| syntax_error(&error))?;
    JsonText { text }.node(root, MAX_DEPTH)
}

struct JsonText<'a> {
    text: &'a str,
}

impl<'a> JsonText<'a> {
    fn offset(&self, raw: &RawValue) -> usize {
        raw.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<TreeNode, Fault> {
        let at = self.offset(raw);
        if depth == 0 {
            return Err(Fault::new(too_deep()).at(at));
        }
        let value = match raw.get().bytes().next() {
            Some(b'{') => {
                let RawEntries(entries) = self.read(raw)?;
                let entry = |(name, value): (&'a RawValue, &'a RawValue)| {
                    let (at, name): (_, Box<str>) = (self.offset(name), self.read(name)?);
                    let node = self.node(value, depth - 1).map_err(|fault| fault.in_entry(&name))?;
                    Ok(MapEntry { at, name, node })
                };
                Value::Map(entries.into_iter().map(entry).collect::<Result<_, Fault>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(raw)?;
                let item = |(index, item)| self.node(item, depth - 1).map_err(|fault| fault.in_item(index));
                Value::List(items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?)
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
        Ok(TreeNode { at, value })
    }

    /// Reads a part of the text. It can still have a wrong escape or a number out of range.
    fn read<T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, Fault> {
        serde_json::from_str(raw.get()).map_err(|error| Fault::new(message(&error)).at(self.offset(raw)))
    }
}

fn syntax_error(error: &serde_json::Error) -> Fault {
    Fault { position: Some(Position::Line(error.line(), error.column())), ..Fault::new(message(error)) }
}

/// serde_json's message without the position, which the error shows already.
fn message(error: &serde_json::Error) -> String {
    let mut text = format!("invalid JSON: {error}");
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    text
}

struct RawEntries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

struct RawEntriesVisitor;

impl<'de> Visitor<'de> for RawEntriesVisitor {
    type Value = RawEntries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawEntries(entries))
    }
}

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawEntriesVisitor)
    }
}
