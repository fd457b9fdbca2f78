//! The sources as written.

use super::{RawCase, RawEscapedSlashes, RawField};
use crate::tree::{FromNode, NodeReader};

/// The name of a place, and its value.
pub(in super::super) type NamedPlace<'a> = (&'static str, RawField<&'a str>);

/// A place in a request where the routing key may be, and how its value becomes the key.
#[derive(Debug, Default)]
pub(in super::super) struct RawSource<'a> {
    /// A valid source has one.
    pub(in super::super) places: Vec<NamedPlace<'a>>,
    pub(in super::super) then: RawField<RawNested<'a>>,
    pub(in super::super) value: RawField<&'a str>,
    pub(in super::super) case: RawField<RawCase>,
    pub(in super::super) escaped_slashes: RawField<RawEscapedSlashes>,
}

/// A place in a document that a value holds.
#[derive(Debug)]
pub(in super::super) struct RawNested<'a> {
    /// A valid one has one.
    pub(in super::super) places: Vec<NamedPlace<'a>>,
}

impl RawSource<'_> {
    /// The fields: the places, then those that say how the value becomes the key, then those of single places.
    const FIELDS: [&'static str; 18] = [
        "json",
        "ndjson",
        "form",
        "multipart",
        "protobuf",
        "xml",
        "msgpack",
        "cbor",
        "header",
        "query",
        "path",
        "cookie",
        "host",
        "claim",
        "then",
        "value",
        "case",
        "escaped_slashes",
    ];
    const THEN: usize = 14;
    const VALUE: usize = 15;
    const CASE: usize = 16;
    const ESCAPED_SLASHES: usize = 17;
}

impl RawNested<'_> {
    const FIELDS: [&'static str; 7] = ["json", "ndjson", "form", "protobuf", "xml", "msgpack", "cbor"];
}

impl<'a> RawSource<'a> {
    /// Reads a source whose map has more fields. `read_more` gets the index of each in `more`, and its value.
    pub(in super::super) fn read_with(
        node: NodeReader<'_, 'a>,
        expected: &str,
        more: &[&'static str],
        read_more: &mut dyn FnMut(usize, NodeReader<'_, 'a>),
    ) -> Option<Self> {
        let mut source = Self::default();
        let names = [&RawSource::FIELDS[..], more].concat();
        node.fields(&names, expected, &mut |index, value| match index {
            RawSource::THEN => source.then = RawField::read(value),
            RawSource::VALUE => source.value = RawField::read(value),
            RawSource::CASE => source.case = RawField::read(value),
            RawSource::ESCAPED_SLASHES => source.escaped_slashes = RawField::read(value),
            index => match index.checked_sub(RawSource::FIELDS.len()) {
                Some(index) => read_more(index, value),
                None => add_place(&mut source.places, &RawSource::FIELDS, index, value),
            },
        })?;
        Some(source)
    }

    /// The first field that says how a value is read, for a map that has no value.
    pub(in super::super) fn rule_field(&self) -> Option<&'static str> {
        let rules =
            [self.then.is_absent(), self.value.is_absent(), self.case.is_absent(), self.escaped_slashes.is_absent()];
        let names = RawSource::FIELDS.iter().skip(RawSource::THEN);
        names.zip(rules).find(|(_, is_absent)| !is_absent).map(|(name, _)| *name)
    }
}

impl<'a> FromNode<'a> for RawSource<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        Self::read_with(node, "a source such as `json: /tenant/id`", &[], &mut |_, _| {})
    }
}

impl<'a> FromNode<'a> for RawNested<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let mut places = Vec::new();
        node.fields(&RawNested::FIELDS, "a place such as `json: /team/id`", &mut |index, value| {
            add_place(&mut places, &RawNested::FIELDS, index, value);
        })?;
        Some(Self { places })
    }
}

fn add_place<'a>(places: &mut Vec<NamedPlace<'a>>, names: &[&'static str], index: usize, value: NodeReader<'_, 'a>) {
    if let Some(name) = names.get(index) {
        places.push((name, RawField::read(value)));
    }
}

#[cfg(feature = "schema")]
pub(super) use schema::{PART, source_with};

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};
    use serde_json::Value;

    use super::super::super::bounds::{MAX_ELEMENT_PATH, MAX_SOURCE_NAME};
    use super::super::super::schema::one_of;
    use super::super::TOKEN;
    use super::{RawCase, RawEscapedSlashes, RawNested, RawSource};
    use crate::header_name::MAX_NAME;

    /// The decoded name of a field or parameter.
    const NAME: &str = r"^[^%\u0000-\u001f\u007f-\u009f]+$";

    /// The name of a field of a multipart form.
    const PART_NAME: &str = r#"^[^%"\\\u0000-\u001f\u007f-\u009f]+$"#;

    /// Field numbers and a type.
    const FIELD_PATH: &str =
        r"^[1-9][0-9]{0,8}\*?(\.[1-9][0-9]{0,8}\*?){0,15}(:(string|bytes|u?int(32|64)|sint(32|64)|s?fixed(32|64)))?$";

    /// A host with `{key}` in one label.
    const HOST: &str =
        r"^(([*]|[A-Za-z0-9_-]{1,63})[.])*[A-Za-z0-9_-]*[{]key[}][A-Za-z0-9_-]*([.]([*]|[A-Za-z0-9_-]{1,63}))*$";

    /// A text with one `{key}`, and with text between two of its wildcards.
    pub(in super::super) const PART: &str = "^([*]?[^{}*])*[{]key[}]([^{}*][*]?)*$";

    /// A place in a request where the routing key may be, and how its value becomes the key.
    #[derive(JsonSchema)]
    #[schemars(rename = "Source", deny_unknown_fields, extend("oneOf" = one_of(&RawSource::FIELDS[..RawSource::THEN])))]
    #[schemars(extend("dependentRequired" = serde_json::json!({ "escaped_slashes": ["path"] })))]
    #[expect(dead_code, reason = "the fields are documentation")]
    struct SourceSchema {
        /// A value in a JSON body: an RFC 6901 pointer such as `/tenant/id`.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        json: Option<Box<str>>,
        /// A value in each record of an NDJSON body: a pointer within the record.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        ndjson: Option<Box<str>>,
        /// A field of a URL-encoded form.
        #[schemars(regex(pattern = NAME), length(min = 1, max = MAX_SOURCE_NAME))]
        form: Option<Box<str>>,
        /// A field of a multipart form.
        #[schemars(regex(pattern = PART_NAME), length(min = 1, max = MAX_SOURCE_NAME))]
        multipart: Option<Box<str>>,
        /// A field of a protobuf or gRPC message: field numbers such as `1.3.2`.
        #[schemars(length(min = 1, max = MAX_SOURCE_NAME))]
        protobuf: Option<Box<str>>,
        /// An element or attribute of an XML body, such as `/order/tenant` or `/order/@tenant`.
        #[schemars(regex(pattern = "^/"), length(max = MAX_ELEMENT_PATH))]
        xml: Option<Box<str>>,
        /// A value in a MessagePack body: a pointer as for JSON.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        msgpack: Option<Box<str>>,
        /// A value in a CBOR body: a pointer as for JSON.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        cbor: Option<Box<str>>,
        /// A request header.
        #[schemars(regex(pattern = TOKEN), length(max = MAX_NAME))]
        header: Option<Box<str>>,
        /// A query parameter.
        #[schemars(regex(pattern = NAME), length(min = 1, max = MAX_SOURCE_NAME))]
        query: Option<Box<str>>,
        /// A path segment: a template such as `/orgs/{key}` or `/*/tenants/{key}`.
        #[schemars(regex(pattern = "^/(.*/)?[{]key[}](/|$)"), length(max = MAX_SOURCE_NAME))]
        path: Option<Box<str>>,
        /// A cookie.
        #[schemars(regex(pattern = TOKEN), length(max = MAX_SOURCE_NAME))]
        cookie: Option<Box<str>>,
        /// A label of the host: a template such as `{key}.example.com`.
        #[schemars(regex(pattern = HOST), length(max = MAX_SOURCE_NAME))]
        host: Option<Box<str>>,
        /// A claim of the JWT that Envoy has verified: a pointer such as `/org/id`.
        #[schemars(regex(pattern = "^/"), length(max = MAX_SOURCE_NAME))]
        claim: Option<Box<str>>,
        /// The place in the document that the value holds, such as `json: /team/id` in a form field with JSON.
        then: Option<RawNested<'static>>,
        /// The part of the value that is the key: a template such as `*@{key}`. The whole value by default.
        #[schemars(regex(pattern = PART), length(max = MAX_SOURCE_NAME))]
        value: Option<Box<str>>,
        /// The case of the key: as in the request, or ASCII letters in lower case.
        #[schemars(extend("default" = "exact"))]
        case: Option<RawCase>,
        /// For `path` only: the meaning of an escaped slash or backslash (`%2F`, `%5C`).
        #[schemars(extend("default" = "reject"))]
        escaped_slashes: Option<RawEscapedSlashes>,
    }

    /// A place in a document that a value holds.
    #[derive(JsonSchema)]
    #[schemars(rename = "Nested", deny_unknown_fields, extend("oneOf" = one_of(&RawNested::FIELDS)))]
    #[expect(dead_code, reason = "the fields are documentation")]
    struct NestedSchema {
        /// A value in a JSON value: an RFC 6901 pointer such as `/tenant/id`.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        json: Option<Box<str>>,
        /// A value in each record of an NDJSON value: a pointer within the record.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        ndjson: Option<Box<str>>,
        /// A field of a URL-encoded form.
        #[schemars(regex(pattern = NAME), length(min = 1, max = MAX_SOURCE_NAME))]
        form: Option<Box<str>>,
        /// A field of a protobuf or gRPC message: field numbers such as `1.3.2`, or `1.2:int64` if it is no string.
        #[schemars(regex(pattern = FIELD_PATH), length(max = MAX_SOURCE_NAME))]
        protobuf: Option<Box<str>>,
        /// An element or attribute of an XML value, such as `/order/tenant` or `/order/@tenant`.
        #[schemars(regex(pattern = "^/"), length(max = MAX_ELEMENT_PATH))]
        xml: Option<Box<str>>,
        /// A value in a MessagePack value: a pointer as for JSON.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        msgpack: Option<Box<str>>,
        /// A value in a CBOR value: a pointer as for JSON.
        #[schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME))]
        cbor: Option<Box<str>>,
    }

    /// A source with more fields, some of them required.
    pub(in super::super) fn source_with(
        generator: &mut SchemaGenerator,
        description: &str,
        more: &[(&str, Value)],
        required: &[&str],
    ) -> Schema {
        let mut schema = SourceSchema::json_schema(generator);
        schema.insert("description".into(), description.into());
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.extend(more.iter().map(|(name, field)| ((*name).to_owned(), field.clone())));
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        schema
    }

    impl JsonSchema for RawSource<'_> {
        fn schema_name() -> Cow<'static, str> {
            SourceSchema::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            SourceSchema::json_schema(generator)
        }
    }

    impl JsonSchema for RawNested<'_> {
        fn schema_name() -> Cow<'static, str> {
            NestedSchema::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            NestedSchema::json_schema(generator)
        }
    }
}
