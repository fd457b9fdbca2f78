//! The report of the module `bench/filters/timed`: the filter with a timer.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cellgate_bench_micro::Histogram;
use cellgate_tests::artifacts;
use cellgate_tests::client::{Http1, Request};
use serde_json::Value;

/// The module, below `target/wasm32-unknown-unknown`. It is built with the profile and flags of Cellgate's own.
pub(crate) const MODULE: &str = "wasm/cellgate_bench_timed.wasm";

/// The path of a GET that the module answers with its report.
const PATH: &str = "/-/timed";

/// The module's report.
pub(crate) struct TimedReport {
    /// The decisions since the last report, in nanoseconds.
    pub(crate) decisions: Histogram,
    /// The cost of one clock reading, in nanoseconds. It is in the time of each callback once.
    pub(crate) clock: u64,
    /// The size of the VM's memory in bytes.
    pub(crate) memory: u64,
}

/// The file of the module.
pub(crate) fn module() -> PathBuf {
    artifacts::checkout().join("target/wasm32-unknown-unknown").join(MODULE)
}

impl TimedReport {
    /// Asks the Envoy at this address for the report of its worker. The next one begins anew.
    ///
    /// # Errors
    /// When Envoy does not run the module.
    pub(crate) async fn fetch(address: SocketAddr) -> Result<Self> {
        let response = Http1::connect(address).await?.send(&Request::get(PATH)).await?;
        ensure!(response.status.is_success(), "the module responded with {} to {PATH}", response.status);
        Self::parse(&response.json()).context("the module's report is malformed")
    }

    /// `None`: it is malformed.
    fn parse(answer: &Value) -> Option<Self> {
        let mut decisions = Histogram::default();
        for bucket in answer.get("decisions")?.as_array()? {
            decisions.add(bucket.get(0)?.as_u64()?, bucket.get(1)?.as_u64()?);
        }
        Some(Self { decisions, clock: answer.get("clock")?.as_u64()?, memory: answer.get("memory")?.as_u64()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_modules_report_is_parsed() {
        let report =
            TimedReport::parse(&json!({"decisions": [[15, 98], [31, 2]], "clock": 40, "memory": 65536})).unwrap();
        assert_eq!((report.clock, report.memory, report.decisions.count()), (40, 65536, 100));
        assert_eq!(report.decisions.quantile(0.5), Some(15));
        assert!(TimedReport::parse(&json!({"error": "no"})).is_none());
    }
}
