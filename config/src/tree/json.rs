//! JSON (RFC 8259) to tree.
//!
//! serde_json keeps no positions. It gives a value's source text ([`RawValue`]), whose start within the whole text is
//! the position. Each level of nesting is read again for that; there are few levels.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::bounds::MAX_DEPTH;
use super::super::fault::Fault;
use super::super::text::Position;
use super::{MapEntry, TreeNode, Value, too_deep};

/// Parses one JSON document. An empty text is null, as in YAML.
pub(in super::super) fn parse(text: &str) -> Result<TreeNode<'_>, Fault> {
    if text.trim_ascii().is_empty() {
        return Ok(TreeNode { at: 0, value: Value::Null });
    }
    let root: &RawValue = serde_json::from_str(text).map_err(|error| syntax_error(&error))?;
    JsonText { text }.node(root, MAX_DEPTH)
}

struct JsonText<'t> {
    text: &'t str,
}

impl<'t> JsonText<'t> {
    fn node(&self, raw: &'t RawValue, depth: usize) -> Result<TreeNode<'t>, Fault> {
        let at = self.offset(raw);
        if depth == 0 {
            return Err(Fault::at(at, too_deep()));
        }
        let value = match raw.get().bytes().next() {
            Some(b'{' | b'[') => match self.level(raw)? {
                Level::Map(entries) => {
                    let entry = |(name, value): (&'t RawValue, &'t RawValue)| {
                        let node = self.node(value, depth - 1)?;
                        Ok(MapEntry { at: self.offset(name), name: self.string(name)?, node })
                    };
                    Value::Map(entries.into_iter().map(entry).collect::<Result<_, Fault>>()?)
                }
                Level::List(items) => {
                    Value::List(items.into_iter().map(|item| self.node(item, depth - 1)).collect::<Result<_, _>>()?)
                }
                Level::Text(_) | Level::Scalar => Value::Null,
            },
            Some(b'"') => Value::Text(self.string(raw)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => match (raw.get().parse(), raw.get().parse()) {
                (Ok(number), _) => Value::Unsigned(number),
                // Not `-0`, which is an integer from 0.
                (_, Ok(number @ ..0)) => Value::Negative(number),
                _ => Value::Float(Cow::Borrowed(raw.get())),
            },
        };
        Ok(TreeNode { at, value })
    }

    /// A string: a part of the text, unless it has escapes.
    fn string(&self, raw: &'t RawValue) -> Result<Cow<'t, str>, Fault> {
        let plain = raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        if !plain.contains('\\') {
            return Ok(Cow::Borrowed(plain));
        }
        match self.level(raw)? {
            Level::Text(text) => Ok(Cow::Owned(text)),
            _ => Ok(Cow::Borrowed(plain)),
        }
    }

    /// Reads a part of the text. It can still have half of a surrogate pair.
    fn level(&self, raw: &'t RawValue) -> Result<Level<'t>, Fault> {
        serde_json::from_str(raw.get()).map_err(|error| Fault::at(self.offset(raw), message(&error)))
    }

    fn offset(&self, raw: &RawValue) -> usize {
        raw.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }
}

fn syntax_error(error: &serde_json::Error) -> Fault {
    Fault { position: Position::Line(error.line(), error.column()), message: message(error) }
}

/// serde_json's message without the position, which the error shows already.
fn message(error: &serde_json::Error) -> String {
    let mut text = format!("invalid JSON: {error}");
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    text
}

/// A value, read one level deep.
enum Level<'t> {
    Map(Vec<(&'t RawValue, &'t RawValue)>),
    List(Vec<&'t RawValue>),
    Text(String),
    /// Its text says all.
    Scalar,
}

/// Accepts every type. A visitor that refuses some has serde's message, and with it the code that writes floats, 20 KB of
/// the filter's module.
struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = Level<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Level::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Level::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Level::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Level::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Level::Scalar)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Level::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Level::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Level::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Level<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LevelVisitor)
    }
}
