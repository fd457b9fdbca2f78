//! The cost of a request as written.

use cellgate_limiting::MAX_UNITS;

use super::super::{RawField, RawSource};
use crate::number::{Int, Size};
use crate::tree::{FromNode, NodeReader};

/// The units that a request uses.
#[derive(Debug)]
pub(crate) enum RawCost<'a> {
    /// The same for every request.
    Fixed(Int<1, MAX_UNITS>),
    /// By its Content-Length, or by a number in it.
    Measured {
        /// The bytes of a unit. Then there is no place.
        content_length: RawField<Size<1, { 1 << 30 }>>,
        /// The place of the number.
        source: RawSource<'a>,
        at_most: RawField<Int<1, MAX_UNITS>>,
        otherwise: RawField<Int<1, MAX_UNITS>>,
    },
}

impl<'a> FromNode<'a> for RawCost<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        if node.is_zero() {
            return node.refuse(
                "a cost of 0 uses nothing, so this limit would never refuse: use 1 or more units, or remove the limit",
            );
        }
        if !node.is_map() {
            return Int::from_node(node).map(Self::Fixed);
        }
        let mut content_length = RawField::Absent;
        let mut at_most = RawField::Absent;
        let mut otherwise = RawField::Absent;
        let names = ["content_length", "at_most", "otherwise"];
        let source = RawSource::read_with(node, "a cost", &names, &mut |index, value| match index {
            0 => content_length = RawField::read(value),
            1 => at_most = RawField::read(value),
            _ => otherwise = RawField::read(value),
        })?;
        Some(Self::Measured { content_length, source, at_most, otherwise })
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use cellgate_limiting::MAX_UNITS;
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde_json::json;

    use super::RawCost;
    use crate::number::{Int, Size};
    use crate::raw::source::source_with;

    impl JsonSchema for RawCost<'_> {
        fn schema_name() -> Cow<'static, str> {
            "Cost".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let units = |description| json!({ "description": description, "type": "integer", "minimum": 1, "maximum": MAX_UNITS });
            let at_most = units("The highest cost of a request.");
            let otherwise = units("The cost of a request without a number, or with one that is negative or not whole.");
            let number = source_with(
                generator,
                "A number in the request, and how it is read.",
                &[("at_most", at_most), ("otherwise", otherwise)],
                &["at_most", "otherwise"],
            );
            let mut unit_bytes = generator.subschema_for::<Size<1, { 1 << 30 }>>();
            unit_bytes.insert(
                "description".into(),
                "A unit for each such number of bytes of Content-Length, or part of it; at least one unit.".into(),
            );
            json_schema!({
                "description": "The units that a request uses.",
                "default": 1,
                "anyOf": [
                    generator.subschema_for::<Int<1, MAX_UNITS>>(),
                    {
                        "description": "Units by the length of the body.",
                        "type": "object",
                        "properties": {
                            "content_length": unit_bytes,
                            "otherwise": units("The cost of a request with a body and without a Content-Length."),
                        },
                        "required": ["content_length", "otherwise"],
                        "additionalProperties": false,
                    },
                    number,
                ],
            })
        }
    }
}
