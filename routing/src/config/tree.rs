//! A configuration text as a tree of values that remember where they stand.
//!
//! JSON and YAML both become this tree, so that every later step exists once and every error can name its place.

mod deserializer;
mod json;
#[cfg(feature = "yaml")]
mod yaml;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::error::{Fault, float, quote};
pub(super) use deserializer::read;
pub(super) use json::parse as parse_json;
#[cfg(feature = "yaml")]
pub(super) use yaml::parse as parse_yaml;

/// The deepest nesting of a configuration. The schema needs four levels.
const MAX_DEPTH: usize = 16;

/// A value and the offset of its first byte.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Text(Box<str>),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: usize,
    pub(super) name: Box<str>,
    pub(super) node: Node,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Bytes from the beginning.
    Offset(usize),
    /// Line and column, as a parser reported them.
    Line(usize, usize),
}

impl Place {
    /// Line and column (in characters), counted from 1.
    pub(super) fn line_and_column(self, text: &str) -> (usize, usize) {
        let offset = match self {
            Place::Line(line, column) => return (line.max(1), column.max(1)),
            Place::Offset(offset) => offset.min(text.len()),
        };
        let before = text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.bytes().filter(|byte| *byte == b'\n').count() + 1, column)
    }
}

impl Node {
    /// Refuses maps with two entries of one name: parsers differ on which one counts, so neither does.
    pub(super) fn refuse_duplicates(&self) -> Result<(), Fault> {
        match &self.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| item.refuse_duplicates().map_err(|f| f.item(index))),
            Value::Map(entries) => {
                let mut names: Vec<(&str, usize)> = entries.iter().map(|entry| (&*entry.name, entry.at)).collect();
                names.sort_unstable();
                for pair in names.windows(2) {
                    if let [(first, _), (second, at)] = pair
                        && first == second
                    {
                        return Err(Fault::new("this stands here for the second time").at(*at).of(second));
                    }
                }
                entries
                    .iter()
                    .try_for_each(|entry| entry.node.refuse_duplicates().map_err(|fault| fault.of(&entry.name)))
            }
            _ => Ok(()),
        }
    }
}

impl Value {
    /// The value for an error message: `a map`, `0`, `"64k"`.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Null => "nothing (null)".into(),
            Value::Bool(value) => value.to_string(),
            Value::Unsigned(value) => value.to_string(),
            Value::Negative(value) => value.to_string(),
            Value::Float(value) => float(*value),
            Value::Text(text) => quote(text),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Unsigned(value) => serializer.serialize_u64(*value),
            Value::Negative(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.name, &entry.node)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_in_characters() {
        let text = "a\nå: b\n";
        assert_eq!(Place::Offset(0).line_and_column(text), (1, 1));
        assert_eq!(Place::Offset(2).line_and_column(text), (2, 1));
        assert_eq!(Place::Offset(6).line_and_column(text), (2, 4));
        assert_eq!(Place::Offset(99).line_and_column(text), (3, 1));
    }
}
