//! A configuration's text as a tree of values, each with its position.
//!
//! JSON and YAML both become this tree. So each later step exists once, and every error can give a position.

mod duplicates;
mod incomplete;
mod json;
mod reader;
#[cfg(feature = "yaml")]
mod serialize;
#[cfg(feature = "yaml")]
mod twins;
#[cfg(feature = "yaml")]
mod yaml;

use std::borrow::Cow;

use super::bounds::MAX_DEPTH;
use super::path::Step;
use super::text::{quote, shorten};
pub(super) use duplicates::refuse_duplicates;
pub(super) use incomplete::IncompleteMaps;
pub(super) use json::parse as parse_json;
pub(super) use reader::{Findings, FromNode, NodeReader, NumberKind, read};
#[cfg(feature = "yaml")]
pub(super) use yaml::parse as parse_yaml;

/// A value and the offset of its first byte.
#[derive(Debug)]
pub(super) struct TreeNode<'t> {
    pub(super) at: usize,
    pub(super) value: Value<'t>,
}

#[derive(Debug)]
pub(super) enum Value<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    /// A number that is no 64-bit integer, as written in JSON.
    Float(Cow<'t, str>),
    Text(Cow<'t, str>),
    List(Vec<TreeNode<'t>>),
    Map(Vec<MapEntry<'t>>),
    /// A value that has a problem already: whoever reads it gets no value and notes nothing.
    Refused,
}

/// One entry of a map, and the offset of its name.
#[derive(Debug)]
pub(super) struct MapEntry<'t> {
    pub(super) at: usize,
    pub(super) name: Cow<'t, str>,
    pub(super) node: TreeNode<'t>,
}

/// A value one step below another; for an entry of a map, with its name and the name's offset.
pub(super) struct TreeChild<'a> {
    pub(super) at: usize,
    pub(super) name: &'a str,
    pub(super) node: &'a TreeNode<'a>,
}

impl TreeNode<'_> {
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
        Some(entry.child())
    }
}

impl MapEntry<'_> {
    /// The value, one step below the map.
    pub(super) fn child(&self) -> TreeChild<'_> {
        TreeChild { at: self.at, name: &self.name, node: &self.node }
    }
}

impl Value<'_> {
    /// The value for a message: `a map`, `0`, `"64k"`.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Null => "nothing (null)".into(),
            Value::Bool(value) => value.to_string(),
            Value::Unsigned(value) => value.to_string(),
            Value::Negative(value) => value.to_string(),
            Value::Float(value) => shorten(value),
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
