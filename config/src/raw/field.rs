//! A field, or an item of a list or table, that may be refused without its siblings.

use crate::tree::{FromNode, NodeReader};

/// The value of a field, item or entry.
#[derive(Clone, Debug, Default)]
pub(in super::super) enum RawField<T> {
    /// The map has no such field.
    #[default]
    Absent,
    /// There is a value, but its shape is wrong. The problem is noted already.
    Refused,
    Given(T),
}

impl<T> RawField<T> {
    /// Reads a value that is there.
    pub(in super::super) fn read<'a>(node: NodeReader<'_, 'a>) -> Self
    where
        T: FromNode<'a>,
    {
        T::from_node(node).map_or(Self::Refused, Self::Given)
    }

    pub(in super::super) fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }

    pub(in super::super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Default> RawField<T> {
    /// For a field whose default is a value.
    pub(in super::super) fn default_value() -> Self {
        Self::Given(T::default())
    }
}

impl<'a> FromNode<'a> for &'a str {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.text()
    }
}

impl<'a> FromNode<'a> for bool {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.boolean()
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};
    use serde::{Serialize, Serializer};

    use super::RawField;

    /// For defaults. No default is null.
    impl<T: Serialize> Serialize for RawField<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Given(value) => value.serialize(serializer),
                Self::Absent | Self::Refused => serializer.serialize_none(),
            }
        }
    }

    /// The schema of the value.
    impl<T: JsonSchema> JsonSchema for RawField<T> {
        fn inline_schema() -> bool {
            T::inline_schema()
        }

        fn schema_name() -> Cow<'static, str> {
            T::schema_name()
        }

        fn schema_id() -> Cow<'static, str> {
            T::schema_id()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            T::json_schema(generator)
        }
    }
}
