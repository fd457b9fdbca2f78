//! Tree to Rust types: a serde deserializer whose errors have a path and a position.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::super::fault::Fault;
use super::super::suggest::nearest;
use super::super::text::{float, quote};
use super::{MapEntry, TreeNode, Value};

/// The most entries that a message lists.
const MAX_LISTED: usize = 8;

/// Deserializes a whole tree.
pub(in super::super) fn read<'de, T: Deserialize<'de>>(root: &'de TreeNode) -> Result<T, Fault> {
    match &root.value {
        Value::Map(_) => T::deserialize(root).map_err(|fault| fault.at(root.at)),
        other => Err(Fault::new(format!("expected a map of fields, found {}", other.describe())).at(root.at)),
    }
}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Unsigned(value) => value.to_string(),
            Unexpected::Signed(value) => value.to_string(),
            Unexpected::Float(value) => float(value),
            Unexpected::Str(text) => quote(text),
            Unexpected::Seq => "a list".into(),
            Unexpected::Map => "a map".into(),
            _ => "something else".into(),
        };
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(unknown("value", variant, expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(unknown("field", field, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("this required field is missing").in_entry(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("this field occurs twice").in_entry(field)
    }
}

fn unknown(what: &str, found: &str, expected: &[&str]) -> String {
    match nearest(found, expected.iter().copied()) {
        Some(near) => format!("unknown {what} {}; did you mean `{near}`?", quote(found)),
        None => {
            let expected: Vec<_> = expected.iter().filter(|name| !name.starts_with('$')).copied().collect();
            format!("unknown {what} {}, expected one of `{}`", quote(found), expected.join("`, `"))
        }
    }
}

impl TreeNode {
    fn type_mismatch(&self, expected: &dyn fmt::Display) -> Fault {
        let advice = match (&self.value, expected.to_string().as_str()) {
            (Value::Unsigned(_) | Value::Negative(_) | Value::Float(_) | Value::Bool(_), "a string") => {
                " (write it in quotes)"
            }
            (Value::Null, _) => " (remove the field, or give it a value)",
            _ => "",
        };
        Fault::new(format!("expected {expected}, found {}{advice}", self.value.describe())).at(self.at)
    }
}

impl<'de> Deserializer<'de> for &'de TreeNode {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Null => Err(self.type_mismatch(&Expectation(&visitor))),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Negative(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(ListAccess { items: items.iter(), index: 0 }),
            Value::Map(entries) => visitor.visit_map(EntryAccess { entries: entries.iter(), current: None }),
        }
        .map_err(|fault| fault.at(self.at))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Text(_) => self.deserialize_any(visitor),
            _ => Err(self.type_mismatch(&"a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => Err(self.type_mismatch(&"a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Map(_) => self.deserialize_any(visitor),
            _ => Err(self.type_mismatch(&"a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant = match &self.value {
            Value::Text(name) => TaggedValue { at: self.at, name, node: None },
            Value::Map(entries) => match entries.as_slice() {
                [MapEntry { at, name, node }] => TaggedValue { at: *at, name, node: Some(node) },
                others => {
                    let names: Vec<_> = others.iter().take(MAX_LISTED).map(|entry| quote(&entry.name)).collect();
                    let more = if others.len() > MAX_LISTED { ", …" } else { "" };
                    let message =
                        format!("expected a map with one entry, found {} [{}{more}]", others.len(), names.join(", "));
                    return Err(Fault::new(message).at(self.at));
                }
            },
            _ => return Err(self.type_mismatch(&Expectation(&visitor))),
        };
        visitor.visit_enum(variant).map_err(|fault| fault.at(self.at))
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

struct ListAccess<'de> {
    items: std::slice::Iter<'de, TreeNode>,
    index: usize,
}

impl<'de> SeqAccess<'de> for ListAccess<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|fault| fault.at(item.at).in_item(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct EntryAccess<'de> {
    entries: std::slice::Iter<'de, MapEntry>,
    /// The entry whose name was read last.
    current: Option<&'de MapEntry>,
}

impl<'de> MapAccess<'de> for EntryAccess<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let name: StrDeserializer<'de, Fault> = (*entry.name).into_deserializer();
        seed.deserialize(name).map(Some).map_err(|fault| fault.at(entry.at).in_entry(&entry.name))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some(entry) = self.current else { return Err(Fault::new("a value without a name")) };
        seed.deserialize(&entry.node).map_err(|fault| fault.at(entry.node.at).in_entry(&entry.name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// An enum's value: a name (`defer`), or a map with one entry (`reject: 400`).
struct TaggedValue<'de> {
    at: usize,
    name: &'de str,
    node: Option<&'de TreeNode>,
}

impl<'de> EnumAccess<'de> for TaggedValue<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'de, Fault> = self.name.into_deserializer();
        let variant = seed.deserialize(name).map_err(|fault| fault.at(self.at))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for TaggedValue<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.node {
            None => Ok(()),
            Some(_) => Err(Fault::new(format!("`{}` takes no value", self.name)).at(self.at)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        match self.node {
            None => Err(Fault::new(format!("`{0}` needs a value: write `{0}: …`", self.name)).at(self.at)),
            Some(node) => seed.deserialize(node).map_err(|fault| fault.at(node.at).in_entry(self.name)),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::new("unsupported"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::new("unsupported"))
    }
}
