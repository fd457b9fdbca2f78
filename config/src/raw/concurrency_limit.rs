//! The concurrency limits as written.

use cellgate_routing::MAX_IN_FLIGHT;
#[cfg(feature = "schema")]
use cellgate_routing::MAX_KEY_PARTS;

use super::RawField;
use super::rate_limit::{RawKeyPart, RawLimitScope};
use crate::number::Int;

/// A limit on how many requests with the same key are in flight at a time: from their admission to the end of their response.
/// Each replica of the service counts its own.
#[derive(Debug, Default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "ConcurrencyLimit", deny_unknown_fields)
)]
pub(in super::super) struct RawConcurrencyLimit<'a> {
    /// A unique name, for metrics, response fields and logs.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9_-]{1,64}$")))]
    pub(in super::super) name: RawField<&'a str>,
    /// The parts of the key. Requests with the same values count together; without parts, all requests do.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_KEY_PARTS)))]
    pub(in super::super) key: RawField<Vec<RawField<RawKeyPart<'a>>>>,
    /// The most requests of a key that are in flight through one replica of the service.
    pub(in super::super) at_most: RawField<Int<1, MAX_IN_FLIGHT>>,
    /// The requests that this limit counts, of those that Cellgate decides. All by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) applies_to: RawField<RawLimitScope<'a>>,
    /// Measure, and never refuse.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<bool>::default_value"))]
    pub(in super::super) shadow: RawField<bool>,
}

read_fields!(RawConcurrencyLimit<'a> { "name" => name, "key" => key, "at_most" => at_most, "applies_to" => applies_to, "shadow" => shadow });
