//! A part of a limit's key as written: a word, or a source.

use super::super::{RawField, RawList, RawSource};
use crate::tree::{FromNode, NodeReader};

/// A part of a limit's key.
#[derive(Debug)]
pub(crate) enum RawKeyPart<'a> {
    Word(RawKeyWord),
    /// The first template that the path matches.
    Paths {
        paths: RawField<RawList<'a>>,
        /// The value of requests that match none.
        otherwise: RawField<&'a str>,
        /// A source beside it, which is too much.
        source: RawSource<'a>,
    },
    Value {
        source: RawSource<'a>,
        /// The value of requests that have none.
        otherwise: RawField<&'a str>,
    },
}

/// A part of a limit's key that is no value of the request.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "KeyWord", rename_all = "snake_case"))]
pub(crate) enum RawKeyWord {
    /// The key that decided the cell.
    RoutingKey,
    /// The cell.
    Cell,
    /// The first URI of the client's certificate, such as its SPIFFE ID.
    Peer,
    /// The client's IP address, as Envoy knows it.
    ClientAddress,
    /// The method.
    Method,
}

impl<'a> FromNode<'a> for RawKeyPart<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let expected = "a part such as `routing_key` or `header: x-api-key`";
        if node.is_map() {
            let (mut otherwise, mut paths) = (RawField::Absent, RawField::Absent);
            let source =
                RawSource::read_with(node, expected, &["otherwise", "paths"], &mut |index, value| match index {
                    0 => otherwise = RawField::read(value),
                    _ => paths = RawField::read(value),
                })?;
            return Some(match paths {
                RawField::Absent => Self::Value { source, otherwise },
                paths => Self::Paths { paths, otherwise, source },
            });
        }
        let names = ["routing_key", "cell", "peer", "client_address", "method"];
        node.variant(&names, 0, expected, &mut |index, _| {
            use RawKeyWord::{Cell, ClientAddress, Method, Peer, RoutingKey};
            [RoutingKey, Cell, Peer, ClientAddress, Method].get(index).copied().map(Self::Word)
        })
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde_json::json;

    use super::{RawKeyPart, RawKeyWord};
    use crate::bounds::{MAX_ITEMS, MAX_SOURCE_NAME};
    use crate::raw::source::source_with;

    impl JsonSchema for RawKeyPart<'_> {
        fn schema_name() -> Cow<'static, str> {
            "KeyPart".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let otherwise = json!({
                "description": "The value of requests that have none. By default this limit does not count them.",
                "type": "string",
                "minLength": 1,
            });
            let template = json!({ "type": "string", "pattern": "^/[^{}?#]*$", "maxLength": MAX_SOURCE_NAME });
            let paths = json!({
                "description": "The first template that the path matches.",
                "type": "object",
                "properties": {
                    "paths": {
                        "description": "Path templates: `*` matches any one segment, other text itself, and the path may continue.",
                        "type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": template,
                    },
                    "otherwise": otherwise.clone(),
                },
                "required": ["paths"],
                "additionalProperties": false,
            });
            let value =
                source_with(generator, "A value of the request, and how it is read.", &[("otherwise", otherwise)], &[]);
            json_schema!({
                "description": "A part of a limit's key.",
                "anyOf": [generator.subschema_for::<RawKeyWord>(), paths, value],
            })
        }
    }
}
