//! The sources as written.

use serde::Deserialize;

#[cfg(feature = "schema")]
use super::super::bounds::{MAX_ELEMENT_PATH, MAX_SOURCE_NAME};
use super::RawField;
#[cfg(feature = "schema")]
use super::TOKEN;
#[cfg(feature = "schema")]
use crate::headers::MAX_NAME;
use crate::value::Case;

/// The decoded name of a field or parameter.
#[cfg(feature = "schema")]
const NAME: &str = r"^[^%\u0000-\u001f\u007f-\u009f]+$";

/// The name of a field of a multipart form.
#[cfg(feature = "schema")]
const PART_NAME: &str = r#"^[^%"\\\u0000-\u001f\u007f-\u009f]+$"#;

/// Field numbers and a type.
#[cfg(feature = "schema")]
const FIELD_PATH: &str =
    r"^[1-9][0-9]{0,8}\*?(\.[1-9][0-9]{0,8}\*?){0,15}(:(string|bytes|u?int(32|64)|sint(32|64)|s?fixed(32|64)))?$";

/// A host with `{key}` in one label.
#[cfg(feature = "schema")]
const HOST: &str =
    r"^(([*]|[A-Za-z0-9_-]{1,63})[.])*[A-Za-z0-9_-]*[{]key[}][A-Za-z0-9_-]*([.]([*]|[A-Za-z0-9_-]{1,63}))*$";

/// A text with one `{key}`, and with text between two of its wildcards.
#[cfg(feature = "schema")]
const PART: &str = "^([*]?[^{}*])*[{]key[}]([^{}*][*]?)*$";

/// A place in a request where the routing key may be, and how its value becomes the key.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Source", extend("oneOf" = super::super::schema::one_of(&RawSource::PLACES)))
)]
#[serde(deny_unknown_fields, default, expecting = "a source such as `json: /tenant/id`")]
pub(in super::super) struct RawSource {
    /// A value in a JSON body: an RFC 6901 pointer such as `/tenant/id`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) json: RawField<Box<str>>,
    /// A value in each record of an NDJSON body: a pointer within the record.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) ndjson: RawField<Box<str>>,
    /// A field of a URL-encoded form.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = NAME), length(min = 1, max = MAX_SOURCE_NAME)))]
    pub(in super::super) form: RawField<Box<str>>,
    /// A field of a multipart form.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = PART_NAME), length(min = 1, max = MAX_SOURCE_NAME)))]
    pub(in super::super) multipart: RawField<Box<str>>,
    /// A field of a protobuf or gRPC message: field numbers such as `1.3.2`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_SOURCE_NAME)))]
    pub(in super::super) protobuf: RawField<Box<str>>,
    /// An element or attribute of an XML body, such as `/order/tenant` or `/order/@tenant`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/"), length(max = MAX_ELEMENT_PATH)))]
    pub(in super::super) xml: RawField<Box<str>>,
    /// A value in a MessagePack body: a pointer as for JSON.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) msgpack: RawField<Box<str>>,
    /// A value in a CBOR body: a pointer as for JSON.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) cbor: RawField<Box<str>>,
    /// A request header.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = TOKEN), length(max = MAX_NAME)))]
    pub(in super::super) header: RawField<Box<str>>,
    /// A query parameter.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = NAME), length(min = 1, max = MAX_SOURCE_NAME)))]
    pub(in super::super) query: RawField<Box<str>>,
    /// A path segment: a template such as `/orgs/{key}` or `/*/tenants/{key}`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/(.*/)?[{]key[}](/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) path: RawField<Box<str>>,
    /// A cookie.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = TOKEN), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) cookie: RawField<Box<str>>,
    /// A label of the host: a template such as `{key}.example.com`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = HOST), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) host: RawField<Box<str>>,
    /// A claim of the JWT that Envoy has verified: a pointer such as `/org/id`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) claim: RawField<Box<str>>,
    /// The place in the document that the value holds, such as `json: /team/id` in a form field with JSON.
    pub(in super::super) then: RawField<RawNested>,
    /// The part of the value that is the key: a template such as `*@{key}`. The whole value by default.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = PART), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) value: RawField<Box<str>>,
    /// The case of the key: as in the request, or ASCII letters in lower case.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "exact")))]
    #[serde(default = "RawField::<Case>::default_value")]
    pub(in super::super) case: RawField<Case>,
}

/// The name of a place, and the place.
pub(in super::super) type NamedPlace<'a> = (&'static str, &'a RawField<Box<str>>);

/// A place in a document that a value holds.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Nested", extend("oneOf" = super::super::schema::one_of(&RawNested::PLACES)))
)]
#[serde(deny_unknown_fields, default, expecting = "a place such as `json: /team/id`")]
pub(in super::super) struct RawNested {
    /// A value in a JSON value: an RFC 6901 pointer such as `/tenant/id`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) json: RawField<Box<str>>,
    /// A value in each record of an NDJSON value: a pointer within the record.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) ndjson: RawField<Box<str>>,
    /// A field of a URL-encoded form.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = NAME), length(min = 1, max = MAX_SOURCE_NAME)))]
    pub(in super::super) form: RawField<Box<str>>,
    /// A field of a protobuf or gRPC message: field numbers such as `1.3.2`, or `1.2:int64` if it is no string.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = FIELD_PATH), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) protobuf: RawField<Box<str>>,
    /// An element or attribute of an XML value, such as `/order/tenant` or `/order/@tenant`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/"), length(max = MAX_ELEMENT_PATH)))]
    pub(in super::super) xml: RawField<Box<str>>,
    /// A value in a MessagePack value: a pointer as for JSON.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) msgpack: RawField<Box<str>>,
    /// A value in a CBOR value: a pointer as for JSON.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = MAX_SOURCE_NAME)))]
    pub(in super::super) cbor: RawField<Box<str>>,
}

impl RawSource {
    /// The names of the places, in the order of [`RawSource::places`].
    pub(in super::super) const PLACES: [&'static str; 14] = [
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
    ];

    /// The places that the source has, each with its name. A valid source has one.
    pub(in super::super) fn places(&self) -> Vec<NamedPlace<'_>> {
        let given = [
            &self.json,
            &self.ndjson,
            &self.form,
            &self.multipart,
            &self.protobuf,
            &self.xml,
            &self.msgpack,
            &self.cbor,
            &self.header,
            &self.query,
            &self.path,
            &self.cookie,
            &self.host,
            &self.claim,
        ];
        named(&Self::PLACES, &given)
    }
}

impl RawNested {
    /// The names of the places, in the order of [`RawNested::places`].
    pub(in super::super) const PLACES: [&'static str; 7] =
        ["json", "ndjson", "form", "protobuf", "xml", "msgpack", "cbor"];

    /// The places that it has, each with its name. A valid one has one.
    pub(in super::super) fn places(&self) -> Vec<NamedPlace<'_>> {
        let given = [&self.json, &self.ndjson, &self.form, &self.protobuf, &self.xml, &self.msgpack, &self.cbor];
        named(&Self::PLACES, &given)
    }
}

fn named<'a>(names: &[&'static str], places: &[&'a RawField<Box<str>>]) -> Vec<NamedPlace<'a>> {
    names.iter().copied().zip(places.iter().copied()).filter(|(_, place)| !place.is_absent()).collect()
}
