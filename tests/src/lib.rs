//! The end-to-end test harness: real Envoy, the real filter and service, and cells that report the requests they
//! receive.
//!
//! Each module of `tests/tests/e2e/` tests one behaviour and is declared in its `main.rs`:
//!
//! ```no_run
//! use cellgate_tests::client::Request;
//! use cellgate_tests::options::Options;
//! use cellgate_tests::stack::Stack;
//!
//! # async fn test() {
//! // Three cells, the ext-proc service, and Envoy with the filter, on free ports. The configuration is
//! // `options::sample_config()` unless `.config(json!({...}))` gives another.
//! let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
//!
//! let answer = stack.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
//! assert_eq!(answer.cell(), "cell-b");
//! assert_eq!(answer.received("x-cell"), ["cell-b"]);
//! assert_eq!(stack.ext_proc_streams().await, 0);
//!
//! // Any request, over both protocols; header names and values may be any bytes.
//! let request = Request::post("/upload?n=1").header("x-cell", "cell-c").pieces(["{\"tenant\":", "{}}"]);
//! let answer = stack.send_h2(&request).await;
//! assert_eq!(answer.status, 400);
//!
//! // Envoy's access log line of the request.
//! assert_eq!(stack.envoy().access_line("/upload?n=1").await.code(), 400);
//! # }
//! ```
//!
//! - [`stack`]: all parts together; [`options`]: the settings of a test.
//! - [`client`]: requests written byte by byte or frame by frame ([`client::Http1`], [`client::Http2`]).
//! - [`cell`]: received requests, complete or not; failing, slow and silent cells; tunnels and gRPC.
//! - [`envoy`]: statistics, access log, configuration changes of the running filter.
//! - [`ext_proc`]: kill, freeze, drain, restart, metrics.
//! - `measure` (feature `measure`): CPU time and memory of processes, for the soak test and the benchmark.
//! - `mesh` (feature `mesh`): Istio's control plane and a release of the chart.
//! - [`valkey`]: a Valkey server, alone or a cluster; [`tcp_proxy`]: a slow, cut or changed connection to a server.
//! - [`jaeger`], [`prometheus`]: the real programs, and questions to them; [`otlp`]: the bytes of exported spans.
//! - [`secrets`]: marked secrets, and the search for them in logs, metrics and spans.
//! - [`wait`]: conditions with a timeout. No test sleeps.
//!
//! Every test has its own stack, so tests run in parallel. Logs are shown only if a test fails. A trap in the filter or
//! a panic in the service always fails the test that caused it.

pub mod artifacts;
pub mod cell;
pub mod client;
pub mod corpus;
pub mod envoy;
pub mod ext_proc;
pub mod jaeger;
#[cfg(feature = "measure")]
pub mod measure;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod options;
pub mod otlp;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod secrets;
pub mod stack;
pub mod tcp_proxy;
pub mod valkey;
pub mod wait;

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal, as the cells report it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
