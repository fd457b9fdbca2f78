//! JSON (RFC 8259) to tree.
//!
//! serde_json keeps no positions. It does hand out a value's source text ([`RawValue`]), and where that slice starts
//! within the whole text is the position. Each level of nesting is read once more for that; there are few.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::error::Fault;
use super::{Entry, MAX_DEPTH, Node, Place, Value};

/// Parses one JSON document.
pub(in super::super) fn parse(text: &str) -> Result<Node, Fault> {
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

    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<Node, Fault> {
        let at = self.offset(raw);
        if depth == 0 {
            return Err(Fault::new("nested too deep").at(at));
        }
        let value = match raw.get().bytes().next() {
            Some(b'{') => {
                let Entries(entries) = self.read(raw)?;
                let entry = |(name, value): (&'a RawValue, &'a RawValue)| {
                    let (at, name): (_, Box<str>) = (self.offset(name), self.read(name)?);
                    let node = self.node(value, depth - 1).map_err(|fault| fault.of(&name))?;
                    Ok(Entry { at, name, node })
                };
                Value::Map(entries.into_iter().map(entry).collect::<Result<_, Fault>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(raw)?;
                let item = |(index, item)| self.node(item, depth - 1).map_err(|fault| fault.item(index));
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
        Ok(Node { at, value })
    }

    /// Reads a piece of the text. What can still be wrong with it is an escape or a number's range.
    fn read<T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, Fault> {
        serde_json::from_str(raw.get()).map_err(|error| Fault::new(message(&error)).at(self.offset(raw)))
    }
}

fn syntax_error(error: &serde_json::Error) -> Fault {
    Fault { place: Some(Place::Line(error.line(), error.column())), ..Fault::new(message(error)) }
}

/// serde_json's words without the position, which is stated already.
fn message(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    text
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
