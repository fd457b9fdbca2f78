//! A field, or an item of a list or table, that may be refused without its siblings.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Visitor};

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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for RawField<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(RawFieldVisitor(PhantomData))
    }
}

struct RawFieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for RawFieldVisitor<T> {
    type Value = RawField<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<RawField<T>, E> {
        Ok(RawField::Absent)
    }

    /// The tree's deserializer has noted the error, so it is not lost here.
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawField<T>, D::Error> {
        Ok(T::deserialize(deserializer).map_or(RawField::Refused, RawField::Given))
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
