//! Tree to Rust types: a serde deserializer that notes every problem with its place, and goes on where the type allows it.
//!
//! serde ends at the first error. So each error is noted where it occurs, and on its way up it says only that there is no
//! value. [`RawField`](super::super::raw::RawField) stops it and stands for the missing value.

mod access;
mod refusal;
mod variant;

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::super::path::Trail;
use super::super::problems::Problems;
use super::super::text::quote;
use super::{MapEntry, TreeNode, Value};
use access::{EntryAccess, ListAccess, StructAccess};
use refusal::Refusal;
use variant::TaggedValue;

/// The most entries that a message lists.
const MAX_LISTED: usize = 8;

/// What is wrong with the shape of a tree.
#[derive(Debug, Default)]
pub(in super::super) struct Findings {
    pub(in super::super) problems: Problems,
    /// The offsets of the names of unknown fields.
    pub(in super::super) unknown: Vec<usize>,
}

/// Deserializes a whole tree. If there is no value, there is a problem.
pub(in super::super) fn read<T: DeserializeOwned>(root: &TreeNode, findings: &RefCell<Findings>) -> Option<T> {
    let reader = NodeReader { node: root, trail: &Trail::Root, findings };
    match &root.value {
        Value::Map(_) => T::deserialize(reader).ok(),
        Value::Null => {
            let fields = "`routing_header`, `cells`, `key` and `placement`";
            reader.note(0, Refusal::New(format!("the configuration is empty: it needs at least {fields}")));
            None
        }
        other => {
            reader.refuse(format!("expected a map of fields, found {}", other.describe()));
            None
        }
    }
}

/// A place in the tree, and where to note its problems.
#[derive(Clone, Copy)]
struct NodeReader<'c, 'de> {
    node: &'de TreeNode,
    trail: &'c Trail<'c>,
    findings: &'c RefCell<Findings>,
}

impl NodeReader<'_, '_> {
    /// Notes a problem of this value.
    fn refuse(self, message: String) -> Refusal {
        self.note(self.node.at, Refusal::New(message))
    }

    /// Notes a problem of this value at an offset, unless it is noted already.
    fn note(self, offset: usize, refusal: Refusal) -> Refusal {
        if let Refusal::New(message) = refusal {
            self.findings.borrow_mut().problems.note(offset, || self.trail.text(), || message);
        }
        Refusal::Noted
    }

    fn type_mismatch(self, expected: &dyn fmt::Display) -> Refusal {
        let advice = match (&self.node.value, expected.to_string().as_str()) {
            (Value::Refused, _) => return Refusal::Noted,
            (Value::Unsigned(_) | Value::Negative(_) | Value::Float(_) | Value::Bool(_), "a string") => {
                " (write it in quotes)"
            }
            (Value::Null, _) => " (remove the field, or give it a value)",
            _ => "",
        };
        self.refuse(format!("expected {expected}, found {}{advice}", self.node.value.describe()))
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_, 'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Null | Value::Refused => Err(self.type_mismatch(&Expectation(&visitor))),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Negative(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(ListAccess::new(self, items)),
            Value::Map(entries) => visitor.visit_map(EntryAccess::new(self, entries)),
        }
        .map_err(|refusal| self.note(self.node.at, refusal))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Text(_) => self.deserialize_any(visitor),
            _ => Err(self.type_mismatch(&"a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    /// serde makes an absent field null; here it has a value.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => Err(self.type_mismatch(&"a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Map(_) => self.deserialize_any(visitor),
            _ => Err(self.type_mismatch(&"a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match &self.node.value {
            Value::Map(entries) => visitor
                .visit_map(StructAccess::new(self, entries, fields))
                .map_err(|refusal| self.note(self.node.at, refusal)),
            _ => {
                // The expectation of a struct that states none is its name in Rust.
                let expected = Expectation(&visitor).to_string();
                let expected = if expected.starts_with("struct ") { "a map" } else { &*expected };
                Err(self.type_mismatch(&expected))
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let variant = match &self.node.value {
            Value::Text(name) => TaggedValue { owner: self, at: self.node.at, name, node: None },
            Value::Map(entries) => match entries.as_slice() {
                [MapEntry { at, name, node }] => TaggedValue { owner: self, at: *at, name, node: Some(node) },
                others => {
                    let names: Vec<_> = others.iter().take(MAX_LISTED).map(|entry| quote(&entry.name)).collect();
                    let more = if others.len() > MAX_LISTED { ", …" } else { "" };
                    let names = names.join(", ");
                    return Err(
                        self.refuse(format!("expected a map with one entry, found {} [{names}{more}]", others.len()))
                    );
                }
            },
            _ => return Err(self.type_mismatch(&Expectation(&visitor))),
        };
        visitor.visit_enum(variant).map_err(|refusal| self.note(self.node.at, refusal))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// Shows what a visitor expects.
struct Expectation<'a, V>(&'a V);

impl<'de, V: Visitor<'de>> fmt::Display for Expectation<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}
