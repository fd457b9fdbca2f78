//! A configuration's text as a tree of values, each with its position.
//!
//! JSON and YAML both become this tree. So each later step exists once, and every error can give a position.

mod deserializer;
mod duplicates;
mod json;
#[cfg(feature = "yaml")]
mod twins;
mod unknown;
#[cfg(feature = "yaml")]
mod yaml;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::bounds::MAX_DEPTH;
use super::path::Step;
use super::text::{float, quote};
pub(super) use deserializer::{Findings, read};
pub(super) use duplicates::refuse_duplicates;
pub(super) use json::parse as parse_json;
pub(super) use unknown::take_out;
#[cfg(feature = "yaml")]
pub(super) use yaml::parse as parse_yaml;

/// A value and the offset of its first byte.
#[derive(Debug)]
pub(super) struct TreeNode {
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
    List(Vec<TreeNode>),
    Map(Vec<MapEntry>),
    /// A value that has a problem already: whoever reads it gets no value and notes nothing.
    Refused,
}

/// One entry of a map, and the offset of its name.
#[derive(Debug)]
pub(super) struct MapEntry {
    pub(super) at: usize,
    pub(super) name: Box<str>,
    pub(super) node: TreeNode,
}

/// A value one step below another; for an entry of a map, with its name and the name's offset.
pub(super) struct TreeChild<'a> {
    pub(super) at: usize,
    pub(super) name: &'a str,
    pub(super) node: &'a TreeNode,
}

impl TreeNode {
    /// The value one step down.
    pub(super) fn child(&self, step: Step<'_>) -> Option<TreeChild<'_>> {
        let entry = match (&self.value, step) {
            (Value::List(items), Step::Item(index)) => {
                return items.get(index).map(|node| TreeChild { at: node.at, name: "", node });
            }
            (Value::Map(entries), Step::Field(name)) => entries.iter().find(|entry| &*entry.name == name),
            (Value::Map(entries), Step::Entry(index) | Step::Name(index)) => entries.get(index),
            _ => None,
        }?;
        Some(TreeChild { at: entry.at, name: &entry.name, node: &entry.node })
    }
}

impl Value {
    /// The value for a message: `a map`, `0`, `"64k"`.
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
            Value::Refused => "a refused value".into(),
        }
    }
}

/// The message for a text that is nested too deep.
fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} levels deep")
}

impl Serialize for TreeNode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            // Only a valid configuration is written, which has no refused value.
            Value::Null | Value::Refused => serializer.serialize_unit(),
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
