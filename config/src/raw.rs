//! The configuration as written. The doc comments and limits are those of the JSON Schema.

mod content_types;
#[macro_use]
mod fields;
mod concurrency_limit;
mod descriptor_limit;
mod field;
mod keyword;
mod rate_limit;
mod source;
mod sync;
mod table;

use super::number::{Int, MAX_SAFE, Size};
use super::tree::{FromNode, NodeReader};
pub(super) use concurrency_limit::RawConcurrencyLimit;
pub(super) use content_types::RawContentTypes;
pub(super) use descriptor_limit::{RawAlways, RawDescriptorLimit, RawDescriptorPart};
pub(super) use field::RawField;
pub(super) use keyword::{RawCase, RawDuplicates, RawEscapedSlashes};
pub(super) use rate_limit::{
    RawCarriedLimit, RawCost, RawKeyPart, RawKeyWord, RawLimitScope, RawOnFailure, RawRateLimit, RawSettle,
    RawWhenStoreFails,
};
pub(super) use source::{NamedPlace, RawSource};
pub(super) use sync::RawSync;
pub(super) use table::RawTable;

#[cfg(feature = "schema")]
use super::bounds::{MAX_ITEMS, MAX_SOURCE_NAME, MAX_SOURCES, MAX_SPIFFE_ID, MAX_VERSION};
#[cfg(feature = "schema")]
use crate::header_name::MAX_NAME;
#[cfg(feature = "schema")]
use cellgate_routing::{MAX_CONCURRENCY_LIMITS, MAX_DESCRIPTOR_LIMITS, MAX_HOST, MAX_RATE_LIMITS};

/// RFC 9110, 5.6.2.
#[cfg(feature = "schema")]
const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// A DNS name without a trailing dot, or `*.` and such a name.
#[cfg(feature = "schema")]
const HOST: &str = r"^([*][.])?[A-Za-z0-9_-]{1,63}([.][A-Za-z0-9_-]{1,63})*$";

/// SPIFFE-ID, 2, with a path.
#[cfg(feature = "schema")]
const SPIFFE_ID: &str =
    r"^spiffe://[a-z0-9._-]{1,255}(/([A-Za-z0-9_-]|[.][A-Za-z0-9_-]|[.]{2}[A-Za-z0-9._-])[A-Za-z0-9._-]*)+$";

/// A list of texts.
pub(super) type RawList<'a> = Vec<RawField<&'a str>>;

/// Cellgate's configuration. The filter reads it as JSON, the service as YAML or JSON.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Cellgate", deny_unknown_fields))]
pub(super) struct RawConfig<'a> {
    /// The address of this schema, for editors. Cellgate ignores it.
    #[cfg_attr(feature = "schema", schemars(default, rename = "$schema"))]
    pub(super) _schema: RawField<&'a str>,
    /// A label of your choice, such as a Git revision. Both tiers log and report it.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<&str>::default_value"))]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_VERSION)))]
    pub(super) version: RawField<&'a str>,
    /// The header that carries the cell and that the routes match. Cellgate removes it from client requests.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = TOKEN), length(max = MAX_NAME)))]
    pub(super) routing_header: RawField<&'a str>,
    /// The cells: the values of the routing header.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::cells"))]
    pub(super) cells: RawField<RawList<'a>>,
    /// The requests that Cellgate decides. All requests by default.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<RawScope>::default_value"))]
    pub(super) applies_to: RawField<RawScope<'a>>,
    /// The media types of each body format.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<RawContentTypes>::default_value"))]
    pub(super) content_types: RawField<RawContentTypes<'a>>,
    /// The content codings that Cellgate decodes in bodies of every format; all upstreams must decode them too. By default
    /// `gzip` and `zstd`, in JSON and XML only.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "super::schema::content_encodings"))]
    pub(super) content_encodings: RawField<RawList<'a>>,
    /// The sources of the routing key, in order of precedence. The first source that yields a value wins.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_SOURCES)))]
    pub(super) key: RawField<Vec<RawField<RawSource<'a>>>>,
    /// The place of verified claims in Envoy's metadata.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<RawClaims>::default_value"))]
    pub(super) claims: RawField<RawClaims<'a>>,
    /// The rule for a source that holds more than one value.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<RawDuplicates>::default_value"))]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "reject")))]
    pub(super) duplicates: RawField<RawDuplicates>,
    /// The cell of each key.
    pub(super) placement: RawField<RawPlacement<'a>>,
    /// The action for each reason why a request has no key or no cell. Every reason has a secure default.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<RawPolicy>::default_value"))]
    pub(super) policy: RawField<RawPolicy<'a>>,
    /// The peers whose decisions are accepted, and the cell of this proxy. None by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) decided_by: RawField<RawDecidedBy<'a>>,
    /// Limits on how many requests are admitted in a time. None by default. A request counts under each limit that it falls
    /// under; if one of them refuses it, none counts it.
    #[cfg_attr(feature = "schema", schemars(default, length(max = MAX_RATE_LIMITS)))]
    pub(super) rate_limits: RawField<Vec<RawField<RawRateLimit<'a>>>>,
    /// Limits on how many requests are in flight at a time. None by default. A request counts under each limit that it falls
    /// under; if one of them or a rate limit refuses it, none counts it.
    #[cfg_attr(feature = "schema", schemars(default, length(max = MAX_CONCURRENCY_LIMITS)))]
    pub(super) concurrency_limits: RawField<Vec<RawField<RawConcurrencyLimit<'a>>>>,
    /// Limits for calls of Envoy's `RateLimitService`, by the descriptors of a call. None by default. At most one of them
    /// applies to a descriptor.
    #[cfg_attr(feature = "schema", schemars(default, length(max = MAX_DESCRIPTOR_LIMITS)))]
    pub(super) descriptor_limits: RawField<Vec<RawField<RawDescriptorLimit<'a>>>>,
    /// The call by which filters lease units of rate limits from the service. None by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) sync: RawField<RawSync<'a>>,
    /// Decide, count and log, but do not change any request.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<bool>::default_value"))]
    pub(super) shadow: RawField<bool>,
    /// Limits on bodies and keys.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<RawLimits>::default_value"))]
    pub(super) limits: RawField<RawLimits>,
}

/// The requests that Cellgate decides.
#[derive(Debug, Default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "AppliesTo", deny_unknown_fields, default)
)]
pub(super) struct RawScope<'a> {
    /// Host names without ports, in any case. `*.` and a domain stand for all names below the domain. All hosts by default.
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = MAX_ITEMS), inner(regex(pattern = HOST), length(max = MAX_HOST)))
    )]
    pub(super) hosts: RawField<RawList<'a>>,
    /// Methods, compared exactly: `POST`, not `post`. All methods by default.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub(super) methods: RawField<RawList<'a>>,
    /// Path prefixes. All paths by default.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS), inner(regex(pattern = "^/[^?#]*$"))))]
    pub(super) paths: RawField<RawList<'a>>,
    /// Exceptions, such as certificate challenges, health checks and static files. None by default.
    pub(super) except: RawField<RawExcept<'a>>,
}

/// Requests that Cellgate does not decide.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Except", deny_unknown_fields, default))]
pub(super) struct RawExcept<'a> {
    /// Methods, compared exactly.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub(super) methods: RawField<RawList<'a>>,
    /// Paths. A path that ends in `/` stands for all paths below it.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_ITEMS), inner(regex(pattern = "^/[^?#]+$"))))]
    pub(super) paths: RawField<RawList<'a>>,
}

/// The place of verified claims in Envoy's metadata.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Claims", deny_unknown_fields, default))]
pub(super) struct RawClaims<'a> {
    /// The `payload_in_metadata` of the providers in Envoy's jwt_authn filter. Istio sets `payload`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_SOURCE_NAME)))]
    pub(super) metadata_key: RawField<&'a str>,
}

impl Default for RawClaims<'_> {
    fn default() -> Self {
        Self { metadata_key: RawField::Given(cellgate_routing::claims::DEFAULT_METADATA_KEY) }
    }
}

/// The cell of each key. Overrides come first, then exact keys, the longest prefix, slots and the default.
#[derive(Debug, Default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Placement", deny_unknown_fields, default)
)]
pub(super) struct RawPlacement<'a> {
    /// Keys moved by an operator: pins and quarantines.
    pub(super) overrides: RawField<RawTable<'a, &'a str>>,
    /// Keys with an assigned cell.
    pub(super) exact: RawField<RawTable<'a, &'a str>>,
    /// Prefixes of keys. The longest matching prefix wins.
    pub(super) prefixes: RawField<RawTable<'a, &'a str>>,
    /// Slots, which place all other keys by their hash.
    pub(super) slots: RawField<RawSlots<'a>>,
    /// The cell of keys that no other rule matches.
    pub(super) default: RawField<&'a str>,
}

/// A fixed number of slots, distributed over the cells by weight.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Slots", deny_unknown_fields, default))]
pub(super) struct RawSlots<'a> {
    /// The number of slots. A change moves almost every key.
    pub(super) count: RawField<Int<1, 65_536>>,
    /// The seed of the hash. A change moves almost every key.
    pub(super) seed: RawField<Int<0, MAX_SAFE>>,
    /// The weight of each cell; 0 drains the cell. Equal weights by default. Name every cell or leave this out.
    pub(super) weights: RawField<RawTable<'a, Int<0, 1_000_000>>>,
}

/// The action for each reason why a request has no key or no cell.
#[derive(Debug, Default)]
pub(super) struct RawPolicy<'a>(pub(super) RawTable<'a, RawAction<'a>>);

/// The action for a reason.
#[derive(Debug)]
pub(super) enum RawAction<'a> {
    /// Refuse the request with this status.
    Reject(Int<400, 599>),
    /// Send the request to this cell.
    Use(&'a str),
    /// Let the ext-proc service decide.
    Defer,
    /// Try the next source.
    Next,
    /// Send the request to the cell of the key's slot.
    Hash,
    /// Forward the request without a cell.
    Pass,
    /// Read the body as if it did not have this fault.
    Accept,
}

/// The peers whose decisions are accepted, and the cell of this proxy.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DecidedBy", deny_unknown_fields))]
pub(super) struct RawDecidedBy<'a> {
    /// SPIFFE IDs, such as those of the gateways. A peer whose certificate has one of them may set the routing header.
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(min = 1, max = MAX_ITEMS),
            inner(regex(pattern = SPIFFE_ID), length(max = MAX_SPIFFE_ID)),
            extend("uniqueItems" = true)
        )
    )]
    pub(super) peers: RawField<RawList<'a>>,
    /// The cell of this proxy, which refuses requests for other cells. By default it forwards requests for any cell.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) cell: RawField<&'a str>,
}

/// Limits on bodies and keys.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Limits", deny_unknown_fields, default))]
pub(super) struct RawLimits {
    /// The largest body that the filter holds. At most Envoy's buffer limit: Envoy answers 413 to larger bodies.
    pub(super) inspect_bytes: RawField<Size<1024, { 16 << 20 }>>,
    /// The most body bytes of one request that the service buffers to find the key. At least `inspect_bytes`.
    pub(super) stream_bytes: RawField<Size<1024, { 1 << 30 }>>,
    /// The longest key, in bytes.
    pub(super) key_bytes: RawField<Int<1, 4096>>,
    /// The deepest nesting of a body.
    pub(super) depth: RawField<Int<1, 1024>>,
    /// The most bytes that a body with a Content-Encoding decodes to.
    pub(super) decoded_bytes: RawField<Size<1024, { 1 << 30 }>>,
    /// The most bytes that a body with a Content-Encoding decodes to, for each of its bytes. Counted in blocks of 4 KiB.
    pub(super) decoded_ratio: RawField<Int<1, 100_000>>,
    /// The longest time that one body is decoded and scanned, in milliseconds of CPU time. Only the service measures it.
    pub(super) decode_ms: RawField<Int<1, 60_000>>,
}

impl<'a> FromNode<'a> for RawPolicy<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        RawTable::from_node(node).map(Self)
    }
}

impl<'a> FromNode<'a> for RawAction<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        const NAMES: [&str; 7] = ["reject", "use", "defer", "next", "hash", "pass", "accept"];
        let expected = "an answer such as `defer`, `reject: 400` or `use: default`";
        node.variant(&NAMES, 2, expected, &mut |index, value| match (index, value) {
            (0, Some(value)) => Int::from_node(value).map(Self::Reject),
            (1, Some(value)) => value.text().map(Self::Use),
            (2, _) => Some(Self::Defer),
            (3, _) => Some(Self::Next),
            (4, _) => Some(Self::Hash),
            (5, _) => Some(Self::Pass),
            _ => Some(Self::Accept),
        })
    }
}

impl Default for RawConfig<'_> {
    fn default() -> Self {
        Self {
            _schema: RawField::Absent,
            version: RawField::default_value(),
            routing_header: RawField::Absent,
            cells: RawField::Absent,
            applies_to: RawField::default_value(),
            content_types: RawField::default_value(),
            content_encodings: RawField::Absent,
            key: RawField::Absent,
            duplicates: RawField::default_value(),
            placement: RawField::Absent,
            policy: RawField::default_value(),
            decided_by: RawField::Absent,
            rate_limits: RawField::Absent,
            concurrency_limits: RawField::Absent,
            descriptor_limits: RawField::Absent,
            sync: RawField::Absent,
            claims: RawField::default_value(),
            shadow: RawField::default_value(),
            limits: RawField::default_value(),
        }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            inspect_bytes: RawField::Given(Size(32 << 10)),
            stream_bytes: RawField::Given(Size(16 << 20)),
            key_bytes: RawField::Given(Int(256)),
            depth: RawField::Given(Int(64)),
            decoded_bytes: RawField::Given(Size(64 << 20)),
            decoded_ratio: RawField::Given(Int(100)),
            decode_ms: RawField::Given(Int(1000)),
        }
    }
}

impl Default for RawSlots<'_> {
    fn default() -> Self {
        Self {
            count: RawField::Given(Int(u64::from(cellgate_routing::placement::DEFAULT_SLOTS))),
            seed: RawField::Given(Int(0)),
            weights: RawField::Absent,
        }
    }
}

read_fields!(RawConfig<'a> { "$schema" => _schema, "version" => version, "routing_header" => routing_header, "cells" => cells, "applies_to" => applies_to, "content_types" => content_types, "content_encodings" => content_encodings, "key" => key, "claims" => claims, "duplicates" => duplicates, "placement" => placement, "policy" => policy, "decided_by" => decided_by, "rate_limits" => rate_limits, "concurrency_limits" => concurrency_limits, "descriptor_limits" => descriptor_limits, "sync" => sync, "shadow" => shadow, "limits" => limits });

read_fields!(RawScope<'a> { "hosts" => hosts, "methods" => methods, "paths" => paths, "except" => except });

read_fields!(RawExcept<'a> { "methods" => methods, "paths" => paths });

read_fields!(RawClaims<'a> { "metadata_key" => metadata_key });

read_fields!(RawPlacement<'a> { "overrides" => overrides, "exact" => exact, "prefixes" => prefixes, "slots" => slots, "default" => default });

read_fields!(RawSlots<'a> { "count" => count, "seed" => seed, "weights" => weights });

read_fields!(RawDecidedBy<'a> { "peers" => peers, "cell" => cell });

read_fields!(RawLimits { "inspect_bytes" => inspect_bytes, "stream_bytes" => stream_bytes, "key_bytes" => key_bytes, "depth" => depth, "decoded_bytes" => decoded_bytes, "decoded_ratio" => decoded_ratio, "decode_ms" => decode_ms });
