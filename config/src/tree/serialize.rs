//! Tree to JSON.

use serde::ser::{Error, Serialize, SerializeMap, Serializer};

use super::{TreeNode, Value};

impl Serialize for TreeNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            // Only a valid configuration is written, which has no refused value.
            Value::Null | Value::Refused => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Unsigned(value) => serializer.serialize_u64(*value),
            Value::Negative(value) => serializer.serialize_i64(*value),
            Value::Float(number) => serializer.serialize_f64(number.parse().map_err(S::Error::custom)?),
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
