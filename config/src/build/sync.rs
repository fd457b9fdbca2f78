//! The call of filters to the service.

use super::super::bounds::MAX_CLUSTER;
use super::super::path::Step;
use super::super::raw::{RawField, RawRateLimit, RawSync};
use super::super::report::Report;
use super::super::text::quote;
use cellgate_routing::SyncSettings;

const SECTION: Step<'static> = Step::Field("sync");

pub(super) fn sync(raw: &RawSync<'_>, report: &mut Report<'_>) -> SyncSettings {
    let path = [SECTION, Step::Field("cluster")];
    let cluster = report.required(&raw.cluster, &path).map_or("", |cluster| cluster);
    let is_refused = cluster.is_empty() && raw.cluster.given().is_none();
    if !is_refused && (!(1..=MAX_CLUSTER).contains(&cluster.len()) || cluster.chars().any(char::is_control)) {
        report.problem(&path, &|| {
            format!(
                "expected the name of Envoy's cluster, 1 to {MAX_CLUSTER} bytes without control characters, found {}",
                quote(cluster)
            )
        });
    }
    SyncSettings { cluster: cluster.into() }
}

/// Refuses leases without the call that brings them.
pub(super) fn require_for_leases(limits: &[RawField<RawRateLimit<'_>>], report: &mut Report<'_>) {
    for (index, limit) in limits.iter().enumerate() {
        if limit.given().is_some_and(|limit| limit.lease.given() == Some(&true)) {
            report.problem(&[Step::Field("rate_limits"), Step::Item(index), Step::Field("lease")], &|| {
                "leases come from the service: add `sync` with its Envoy cluster, such as `sync: {cluster: cellgate-ext-proc}`"
                    .into()
            });
        }
    }
}
