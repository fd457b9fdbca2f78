//! Leases of rate limits: the cluster from which the filter leases, and its calls.

use cellgate_routing::Config;

use super::dump::Dump;
use super::finding::{Notes, enumerate};
use super::rate_limits;
use super::updates::Stats;

/// The answers that took leased units back.
const WITHDRAWN: &str = "wasmcustom.cellgate.syncs_withdrawn";

/// The cluster from which the filter leases, if one of the limits is leased.
pub(super) fn cluster(config: &Config) -> Option<&str> {
    let is_leased = rate_limits::are_counted(config) && config.rate_limits.iter().any(|limit| limit.is_leased);
    config.sync.as_ref().filter(|_| is_leased).map(|sync| &*sync.cluster)
}

/// Examines the cluster from which the filter leases. `services` are the clusters of the service's filter.
pub(super) fn examine(dump: &Dump, config: &Config, services: &[&str], notes: &mut Notes) {
    let Some(cluster) = cluster(config) else { return };
    if dump.clusters.contains_key(cluster) {
        notes.ok(format!("the filter leases units of rate limits from cluster {cluster}"));
        return;
    }
    let fix = match services {
        [] => "name a cluster of the service in `sync.cluster`".to_owned(),
        services => format!("name the cluster of the service's filter in `sync.cluster`: {}", enumerate(services)),
    };
    notes.warning(
        format!(
            "`sync.cluster` is {cluster}, which does not exist: the filter leases nothing, and the service judges every request \
             under a leased limit"
        ),
        fix,
    );
}

/// Reports calls that failed, or whose answers took units back.
pub(super) fn failures(stats: &Stats, notes: &mut Notes) {
    let failures = stats.sum("wasmcustom.cellgate.sync_failures");
    if failures > 0 {
        notes.warning(
            format!("{failures} calls for leases of rate limits have failed since Envoy started"),
            "if it rises, look for `Sync failed` in Envoy's log: until a call succeeds, the service judges every request under \
             a leased limit",
        );
    }
    let withdrawn = stats.sum(WITHDRAWN);
    // The sum is by prefix, so it has the answers that withdrew leases too.
    let calls = stats.sum("wasmcustom.cellgate.syncs").saturating_sub(withdrawn);
    // Each change of the limits withdraws some leases, until both tiers have it.
    if withdrawn > calls / 2 {
        notes.warning(
            format!(
                "{withdrawn} answers to {calls} calls for leases took the units back: the service has other rate limits than \
                 the filter"
            ),
            "if it still rises minutes after a change, give both the same `rate_limits`: `cellgate inspect` has those of the \
             service. Until then the service judges every request under a leased limit",
        );
    }
}

/// Reports requests under leased limits.
pub(super) fn traffic(stats: &Stats, notes: &mut Notes) {
    let [spent, missed] = ["spent", "missed"].map(|what| stats.sum(&format!("wasmcustom.cellgate.leases.{what}")));
    if spent + missed > 0 {
        notes.ok(format!(
            "the filter has admitted {spent} requests with leased units; {missed} went to the service, because units were lacking"
        ));
    }
}
