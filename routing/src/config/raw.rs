//! The configuration as written. Doc comments and bounds here are the JSON Schema's.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::number::{Int, MAX_SAFE, Size};
use crate::key::Duplicates;

#[cfg(feature = "schema")]
use super::build::{MAX_ITEMS, MAX_SPIFFE_ID};
#[cfg(feature = "schema")]
use crate::host::MAX_HOST;

/// RFC 9110, 5.6.2.
#[cfg(feature = "schema")]
const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// A DNS name without a dot at its end, or all below one.
#[cfg(feature = "schema")]
const HOST: &str = r"^([*][.])?[A-Za-z0-9_-]{1,63}([.][A-Za-z0-9_-]{1,63})*$";

/// SPIFFE-ID, 2, with a path.
#[cfg(feature = "schema")]
const SPIFFE_ID: &str =
    r"^spiffe://[a-z0-9._-]{1,255}(/([A-Za-z0-9_-]|[.][A-Za-z0-9_-]|[.]{2}[A-Za-z0-9._-])[A-Za-z0-9._-]*)+$";

/// A field's or parameter's name, decoded.
#[cfg(feature = "schema")]
const NAME: &str = r"^[^%\u0000-\u001f\u007f-\u009f]+$";

/// Cellgate's configuration, read by the filter (JSON) and by the service (YAML or JSON).
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Cellgate"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// This schema's address, for editors. Not used.
    #[serde(default, rename = "$schema")]
    pub(super) _schema: Option<Box<str>>,
    /// A label of your own, such as a Git revision: logged, and reported by both tiers.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = 128)))]
    pub(super) version: Box<str>,
    /// The header that the decision sets and the routes match on. Clients' own are removed.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = TOKEN), length(max = 256)))]
    pub(super) routing_header: Box<str>,
    /// The cells: the values of the routing header.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::cells"))]
    pub(super) cells: Vec<Box<str>>,
    /// Which requests are decided. The default is every request.
    #[serde(default)]
    pub(super) applies_to: RawScope,
    /// Which media types are read as which format.
    #[serde(default)]
    pub(super) content_types: RawContentTypes,
    /// Where the routing key may be. The first source that yields a value wins.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 32)))]
    pub(super) key: Vec<RawSource>,
    /// What it means when the key is there more than once.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "reject")))]
    pub(super) duplicates: Duplicates,
    /// Which key belongs to which cell.
    pub(super) placement: RawPlacement,
    /// What to do where there is no key or no cell, by reason. Each reason has a safe default.
    #[serde(default)]
    pub(super) policy: RawPolicy,
    /// Peers whose decision is taken over, and the cell that this proxy belongs to. The default is none.
    pub(super) decided_by: Option<RawDecidedBy>,
    /// Decide, count and log, and change nothing.
    #[serde(default)]
    pub(super) shadow: bool,
    /// Bounds on what is read and held.
    #[serde(default)]
    pub(super) limits: RawLimits,
}

/// Which requests are decided.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "AppliesTo"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawScope {
    /// Hosts: names, or `*.` and a domain for all names below it, in any case and without ports. The default is all.
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = MAX_ITEMS), inner(regex(pattern = HOST), length(max = MAX_HOST)))
    )]
    pub(super) hosts: Option<Vec<Box<str>>>,
    /// Methods, in capitals as HTTP compares them. The default is all.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub(super) methods: Option<Vec<Box<str>>>,
    /// Prefixes of the path. The default is all.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS), inner(regex(pattern = "^/[^?#]*$"))))]
    pub(super) paths: Option<Vec<Box<str>>>,
    /// What is not decided all the same: certificate challenges, health checks, static files. The default is nothing.
    pub(super) except: Option<RawExcept>,
}

/// Requests that are not decided.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Except"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawExcept {
    /// Methods, in capitals as HTTP compares them.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub(super) methods: Option<Vec<Box<str>>>,
    /// Paths, or their beginnings with a `/` at the end.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS), inner(regex(pattern = "^/[^?#]+$"))))]
    pub(super) paths: Option<Vec<Box<str>>>,
}

/// Which media types are read as which format.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ContentTypes"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawContentTypes {
    /// Read as JSON. The default is `application/json` and `application/*+json`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub(super) json: Option<Vec<Box<str>>>,
    /// Read as a URL-encoded form. The default is `application/x-www-form-urlencoded`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub(super) form: Option<Vec<Box<str>>>,
}

/// One place where a key may be.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Source"))]
#[serde(rename_all = "snake_case", expecting = "a source such as `json: /tenant/id`")]
pub(super) enum RawSource {
    /// A value in a JSON body: an RFC 6901 pointer such as `/tenant/id`.
    Json(#[cfg_attr(feature = "schema", schemars(regex(pattern = "^(/|$)"), length(max = 256)))] Box<str>),
    /// A field of a URL-encoded form.
    Form(#[cfg_attr(feature = "schema", schemars(regex(pattern = NAME), length(min = 1, max = 256)))] Box<str>),
    /// A request header.
    Header(#[cfg_attr(feature = "schema", schemars(regex(pattern = TOKEN), length(max = 256)))] Box<str>),
    /// A query parameter.
    Query(#[cfg_attr(feature = "schema", schemars(regex(pattern = NAME), length(min = 1, max = 256)))] Box<str>),
    /// A path segment: a template such as `/orgs/{key}` or `/*/tenants/{key}`.
    Path(
        #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/(.*/)?[{]key[}](/|$)"), length(max = 256)))]
        Box<str>,
    ),
    /// A cookie.
    Cookie(#[cfg_attr(feature = "schema", schemars(regex(pattern = TOKEN), length(max = 256)))] Box<str>),
}

/// Which key belongs to which cell. Overrides come first, then exact keys, the longest prefix, slots, the default.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Placement"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlacement {
    /// Keys moved by hand: pins and quarantines.
    #[serde(default)]
    pub(super) overrides: Table<Box<str>>,
    /// Keys with a cell of their own.
    #[serde(default)]
    pub(super) exact: Table<Box<str>>,
    /// Beginnings of keys. The longest one that matches counts.
    #[serde(default)]
    pub(super) prefixes: Table<Box<str>>,
    /// Every other key, by its hash.
    pub(super) slots: Option<RawSlots>,
    /// The cell of the keys that no rule names.
    pub(super) default: Option<Box<str>>,
}

/// A fixed number of slots, shared out to the cells by weight.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Slots"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSlots {
    /// How many slots. Changing it moves nearly every key.
    #[serde(default = "default_count")]
    pub(super) count: Int<1, 65_536>,
    /// The hash's seed. Changing it moves nearly every key.
    #[serde(default = "default_seed")]
    pub(super) seed: Int<0, MAX_SAFE>,
    /// Each cell's share; 0 drains it. The default is equal shares. All cells must be named, or none.
    pub(super) weights: Option<Table<Int<0, 1_000_000>>>,
}

/// What to do where there is no key or no cell, by reason.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawPolicy(pub(super) Table<RawAnswer>);

/// The answer to a reason.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "an answer such as `defer`, `reject: 400` or `use: default`")]
pub(super) enum RawAnswer {
    /// Answer the client with this status.
    Reject(Int<400, 599>),
    /// Send the request to this cell.
    Use(Box<str>),
    /// Hand the request to the ext-proc service.
    Defer,
    /// Try the next source.
    Next,
    /// Take the key's slot.
    Hash,
    /// Let the request go on without a cell.
    Pass,
}

/// Peers whose decision is taken over, and the cell that this proxy belongs to.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DecidedBy"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDecidedBy {
    /// SPIFFE IDs, such as those of the gateways. A peer with one of them in its certificate sets the routing header.
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(min = 1, max = MAX_ITEMS),
            inner(regex(pattern = SPIFFE_ID), length(max = MAX_SPIFFE_ID)),
            extend("uniqueItems" = true)
        )
    )]
    pub(super) peers: Vec<Box<str>>,
    /// The cell of this proxy: a request for another one is refused. The default is to let requests for any cell pass.
    pub(super) cell: Option<Box<str>>,
}

/// Bounds on what is read and held.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Limits"))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    /// The largest body the filter holds. At most Envoy's own buffer limit: Envoy answers 413 by itself beyond it.
    pub(super) inspect_bytes: Size<1024, { 16 << 20 }>,
    /// The most body bytes the service holds of one request while it looks for the key. At least `inspect_bytes`.
    pub(super) stream_bytes: Size<1024, { 1 << 30 }>,
    /// The longest key, in bytes.
    pub(super) key_bytes: Int<1, 4096>,
    /// The deepest nesting of a body.
    pub(super) depth: Int<1, 1024>,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { inspect_bytes: Size(32 << 10), stream_bytes: Size(16 << 20), key_bytes: Int(256), depth: Int(64) }
    }
}

fn default_count() -> Int<1, 65_536> {
    Int(u64::from(crate::placement::DEFAULT_SLOTS))
}

fn default_seed() -> Int<0, MAX_SAFE> {
    Int(0)
}

/// A map in the order written. The tree has refused duplicates.
#[derive(Debug)]
pub(super) struct Table<T>(pub(super) Vec<(Box<str>, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or_default());
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Table(entries))
    }
}
