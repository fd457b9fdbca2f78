//! The call of filters to the service, as written.

use super::RawField;
#[cfg(feature = "schema")]
use crate::bounds::MAX_CLUSTER;

/// The call by which filters lease units of rate limits from the service: once in each interval, and never for a request.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Sync", deny_unknown_fields))]
pub(in super::super) struct RawSync<'a> {
    /// The name of Envoy's cluster that leads to the service, as in the `grpc_service` of its ext_proc filter.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_CLUSTER)))]
    pub(in super::super) cluster: RawField<&'a str>,
}

read_fields!(RawSync<'a> { "cluster" => cluster });
