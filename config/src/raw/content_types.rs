//! The media types as written.

use super::{RawField, RawList};
use crate::tree::{FromNode, NodeReader};
use cellgate_routing::Format;

/// The media types of each body format.
#[derive(Debug, Default)]
pub(in super::super) struct RawContentTypes<'a> {
    /// By the order of [`Format::ALL`].
    lists: [RawField<RawList<'a>>; Format::ALL.len()],
}

impl<'a> RawContentTypes<'a> {
    const FIELDS: [&'static str; Format::ALL.len()] = [
        Format::Json.name(),
        Format::Ndjson.name(),
        Format::Form.name(),
        Format::Multipart.name(),
        Format::Protobuf.name(),
        Format::Xml.name(),
        Format::Msgpack.name(),
        Format::Cbor.name(),
    ];

    pub(in super::super) fn of(&self, format: Format) -> &RawField<RawList<'a>> {
        self.lists.get(format as usize).unwrap_or(&RawField::Absent)
    }
}

impl<'a> FromNode<'a> for RawContentTypes<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let mut types = Self::default();
        node.fields(&Self::FIELDS, "a map", &mut |index, value| {
            if let Some(list) = types.lists.get_mut(index) {
                *list = RawField::read(value);
            }
        })?;
        Some(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index of a field is that of its list.
    #[test]
    fn the_fields_have_the_order_of_the_formats() {
        assert_eq!(RawContentTypes::FIELDS, Format::ALL.map(Format::name));
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    use super::super::super::bounds::MAX_ITEMS;
    use super::RawContentTypes;

    /// The media types of each body format.
    #[derive(JsonSchema)]
    #[schemars(rename = "ContentTypes", deny_unknown_fields)]
    #[expect(dead_code, reason = "the fields are documentation")]
    struct ContentTypesSchema {
        /// Media types of JSON bodies. `application/json` and `application/*+json` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        json: Option<Vec<Box<str>>>,
        /// Media types of NDJSON bodies. `application/x-ndjson`, `application/ndjson`, `application/jsonl`,
        /// `application/x-jsonlines` and `application/stream+json` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        ndjson: Option<Vec<Box<str>>>,
        /// Media types of URL-encoded forms. `application/x-www-form-urlencoded` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        form: Option<Vec<Box<str>>>,
        /// Media types of multipart forms. `multipart/form-data` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        multipart: Option<Vec<Box<str>>>,
        /// Media types of single protobuf messages. `application/x-protobuf` and `application/protobuf` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        protobuf: Option<Vec<Box<str>>>,
        /// Media types of XML bodies. `application/xml`, `text/xml` and `application/*+xml` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        xml: Option<Vec<Box<str>>>,
        /// Media types of MessagePack bodies. `application/msgpack`, `application/x-msgpack` and `application/vnd.msgpack` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        msgpack: Option<Vec<Box<str>>>,
        /// Media types of CBOR bodies. `application/cbor` and `application/*+cbor` by default.
        #[schemars(length(min = 1, max = MAX_ITEMS))]
        cbor: Option<Vec<Box<str>>>,
    }

    impl JsonSchema for RawContentTypes<'_> {
        fn schema_name() -> Cow<'static, str> {
            ContentTypesSchema::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            ContentTypesSchema::json_schema(generator)
        }
    }
}
