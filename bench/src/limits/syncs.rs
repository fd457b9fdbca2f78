//! The calls of `Sync` that a filter makes, counted by Envoy and by the service. Envoy has one worker here, and so one virtual
//! machine that has requests.

use std::time::Instant;

use anyhow::{Result, ensure};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

/// Envoy's cluster of the service for calls of `Sync`: one of its own, so that its statistics count nothing else.
pub(super) const CLUSTER: &str = "sync";

/// Envoy's counter of the calls.
const CALLS: &str = "cluster.sync.upstream_rq_total";

/// The service's counter of the calls.
const SERVED: &str = "cellgate_syncs_total";

/// A count that has begun.
pub(super) struct SyncCount {
    calls: u64,
    served: f64,
    begin: Instant,
}

/// The calls of a period.
pub(super) struct SyncRate {
    pub(super) calls: u64,
    /// Seconds.
    pub(super) seconds: f64,
}

impl SyncCount {
    /// Begins to count.
    ///
    /// # Errors
    /// When Envoy or the service does not respond.
    pub(super) async fn begin(stack: &Stack) -> Result<Self> {
        let (served, calls) = (served(stack).await?, stack.admin().stat(CALLS).await?);
        Ok(Self { calls, served, begin: Instant::now() })
    }

    /// Ends the count.
    ///
    /// # Errors
    /// When Envoy or the service does not respond, or the two have not counted the same.
    pub(super) async fn end(self, stack: &Stack) -> Result<SyncRate> {
        let seconds = self.begin.elapsed().as_secs_f64();
        let calls = stack.admin().stat(CALLS).await?.saturating_sub(self.calls);
        let served = served(stack).await? - self.served;
        ensure!(calls > 0, "the filter made no call of Sync in {seconds:.1} s");
        // A call can be on its way at the beginning and at the end.
        let apart = (served - calls as f64).abs();
        ensure!(apart <= 2.0, "Envoy counted {calls} calls of Sync, and the service {served}");
        Ok(SyncRate { calls, seconds })
    }
}

impl SyncRate {
    /// Calls in a second. The first one only begins the period: calls at 0, 1 and 2 s are one a second.
    pub(super) fn per_second(&self) -> f64 {
        self.calls.saturating_sub(1) as f64 / self.seconds
    }
}

/// Adds the cluster: a copy of that for ext_proc.
pub(super) fn add_cluster(bootstrap: &mut Value) {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    let Some(clusters) = clusters else { return };
    let Some(mut cluster) = clusters.iter().find(|cluster| cluster.get("name") == Some(&json!("ext-proc"))).cloned()
    else {
        return;
    };
    for name in ["/name", "/load_assignment/cluster_name"] {
        if let Some(name) = cluster.pointer_mut(name) {
            *name = json!(CLUSTER);
        }
    }
    clusters.push(cluster);
}

async fn served(stack: &Stack) -> Result<f64> {
    let metrics = stack.ext_proc().get("/metrics").await?.text();
    Ok(sum(&metrics, SERVED))
}

/// The sum of all series of a metric.
fn sum(metrics: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let is_series = rest.starts_with('{') || rest.starts_with(' ');
        is_series.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    };
    metrics.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_only_begins_the_period() {
        let rate = |calls, seconds| SyncRate { calls, seconds }.per_second();
        assert!((rate(3, 2.0) - 1.0).abs() < 1e-9);
        assert!(rate(12, 10.0) > 1.05);
        assert!(rate(1, 10.0).abs() < 1e-9);
    }

    #[test]
    fn all_series_of_a_metric_are_added() {
        let metrics = "# TYPE cellgate_syncs_total counter\ncellgate_syncs_total{standing=\"open\"} 3\n\
                       cellgate_syncs_total{standing=\"unknown\"} 2\ncellgate_syncs_total_of_others 7\n";
        assert!((sum(metrics, SERVED) - 5.0).abs() < 1e-9);
        assert!((sum("cellgate_syncs_total 4\n", SERVED) - 4.0).abs() < 1e-9);
        assert!(sum("", SERVED).abs() < 1e-9);
    }

    #[test]
    fn the_cluster_of_sync_is_a_copy_with_a_name_of_its_own() {
        let cluster = |name: &str| json!({"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name}});
        let mut bootstrap = json!({"static_resources": {"clusters": [cluster("cell-a"), cluster("ext-proc")]}});
        add_cluster(&mut bootstrap);
        let clusters = json!([cluster("cell-a"), cluster("ext-proc"), cluster("sync")]);
        assert_eq!(bootstrap, json!({"static_resources": {"clusters": clusters}}));
    }
}
