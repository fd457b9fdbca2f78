//! A checked configuration: plain data. The crate `cellgate-config` reads and checks one.

use std::time::Duration;

use cellgate_limiting::LimitId;

use crate::action::CellId;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::decided_by::DecidedBy;
use crate::descriptor_limit::DescriptorLimit;
use crate::encoding::ContentCodings;
use crate::format::Format;
use crate::key::Duplicates;
use crate::media::{ContentTypes, MediaType};
use crate::placement::Placement;
use crate::policy::Policy;
use crate::rate_limit::RateLimit;
use crate::scope::Scope;
use crate::source::Source;

/// A valid configuration. Whoever builds one keeps the rules between its parts: each cell is in `cells`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's label for logs and reports, or empty.
    pub version: Box<str>,
    /// The header that carries the cell, in lower case.
    pub routing_header: Box<str>,
    /// The cells, by [`crate::CellId`].
    pub cells: Vec<Box<str>>,
    /// The requests that are decided.
    pub scope: Scope,
    /// The media types of each body format.
    pub content_types: ContentTypes,
    /// The content codings that are decoded.
    pub content_encodings: ContentCodings,
    /// The sources of the key. The first one that yields a value wins.
    pub sources: Vec<Source>,
    /// The place of verified claims.
    pub claims: ClaimsPlace,
    /// The rule for a source with more than one value.
    pub duplicates: Duplicates,
    /// The cell of each key.
    pub placement: Placement,
    /// The action for each reason.
    pub policy: Policy,
    /// The peers whose decisions are accepted, if any.
    pub decided_by: Option<DecidedBy>,
    /// The rate limits of requests, by [`LimitId`].
    pub rate_limits: Vec<RateLimit>,
    /// The same for all tiers whose `rate_limits` say the same, and with near certainty for no others.
    pub rate_limits_fingerprint: u64,
    /// The concurrency limits of requests.
    pub concurrency_limits: Vec<ConcurrencyLimit>,
    /// The rate limits of descriptors. No two have the same domain and key.
    pub descriptor_limits: Vec<DescriptorLimit>,
    /// The call by which filters lease units of rate limits. `None`: they lease nothing.
    pub sync: Option<SyncSettings>,
    /// Whether decisions are only counted and logged.
    pub shadow: bool,
    /// The limits.
    pub limits: Limits,
}

/// The place of verified claims in the dynamic metadata of Envoy's jwt_authn filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsPlace {
    /// The `payload_in_metadata` of jwt_authn's providers.
    pub metadata_key: Box<str>,
}

/// The call of filters to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// Envoy's cluster of the service.
    pub cluster: Box<str>,
}

/// Limits on bodies and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body that the filter holds, in bytes. At most Envoy's buffer limit, which the filter cannot read.
    pub inspect_bytes: u64,
    /// The most body bytes of one request that the service buffers to find the key.
    pub stream_bytes: u64,
    /// The longest key, in bytes.
    pub key_bytes: usize,
    /// The deepest nesting of a body.
    pub depth: usize,
    /// The most bytes that an encoded body decodes to.
    pub decoded_bytes: u64,
    /// The most bytes that an encoded body decodes to, for each of its bytes.
    pub decoded_ratio: u64,
    /// The longest time that one body is decoded and scanned.
    pub decode_time: Duration,
}

impl Config {
    /// A cell's name.
    #[must_use]
    pub fn cell_name(&self, cell: CellId) -> &str {
        self.cells.get(usize::from(cell.0)).map_or("", |name| name)
    }

    /// The name of a rate limit, of requests or of descriptors.
    #[must_use]
    pub fn limit_name(&self, id: LimitId) -> &str {
        let of_request = || self.rate_limits.get(usize::from(id.0)).map(|limit| &limit.name);
        let name = self.descriptor_limit(id).map(|limit| &limit.name).or_else(of_request);
        name.map_or("", |name| name)
    }

    /// The limit of descriptors with this identity.
    #[must_use]
    pub fn descriptor_limit(&self, id: LimitId) -> Option<&DescriptorLimit> {
        self.descriptor_limits.get(DescriptorLimit::index(id)?)
    }

    /// The media types that a source reads, in the order of the formats.
    pub fn readable_types(&self) -> impl Iterator<Item = &str> {
        let is_read = |format: &Format| self.sources.iter().any(|source| source.format() == Some(*format));
        let types = Format::ALL.into_iter().filter(is_read).flat_map(|format| self.content_types.of(format));
        types.filter_map(MediaType::name)
    }

    /// The cell with a name, such as the value of a routing header.
    #[must_use]
    pub fn cell_named(&self, name: &[u8]) -> Option<CellId> {
        let index = self.cells.iter().position(|cell| cell.as_bytes() == name)?;
        u16::try_from(index).ok().map(CellId)
    }
}
