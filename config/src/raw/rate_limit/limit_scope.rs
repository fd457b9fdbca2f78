//! The requests that a limit counts, as written.

use super::super::{RawField, RawList, RawScope};
use crate::tree::{FromNode, NodeReader};

/// The requests that a limit counts.
#[derive(Debug, Default)]
pub(crate) struct RawLimitScope<'a> {
    pub(crate) scope: RawScope<'a>,
    pub(crate) cells: RawField<RawList<'a>>,
}

impl<'a> FromNode<'a> for RawLimitScope<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let mut limit = Self::default();
        let names = ["hosts", "methods", "paths", "except", "cells"];
        node.fields(&names, "a map", &mut |index, value| match index {
            0 => limit.scope.hosts = RawField::read(value),
            1 => limit.scope.methods = RawField::read(value),
            2 => limit.scope.paths = RawField::read(value),
            3 => limit.scope.except = RawField::read(value),
            _ => limit.cells = RawField::read(value),
        })?;
        Some(limit)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};
    use serde_json::json;

    use super::{RawLimitScope, RawScope};
    use cellgate_routing::placement::MAX_CELLS;

    impl JsonSchema for RawLimitScope<'_> {
        fn schema_name() -> Cow<'static, str> {
            "LimitAppliesTo".into()
        }

        /// The fields of the scope, and `cells`.
        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let mut schema = RawScope::json_schema(generator);
            schema.insert("description".into(), "The requests that a limit counts.".into());
            if let Some(properties) = schema.get_mut("properties").and_then(|fields| fields.as_object_mut()) {
                let cells = json!({
                    "description": "Cells: requests for any other cell, or for none, are not counted. All requests by default.",
                    "type": "array",
                    "items": { "type": "string" },
                    "minItems": 1,
                    "maxItems": MAX_CELLS,
                    "uniqueItems": true,
                });
                properties.insert("cells".into(), cells);
            }
            schema
        }
    }
}
