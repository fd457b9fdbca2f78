//! Envoy's spans, by the lines of `examples/envoy/tracing.yaml`.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::bootstrap::loopback;
use crate::artifacts;

const EXAMPLE: &str = include_str!("../../../examples/envoy/tracing.yaml");

/// The traces of a test's Envoy.
#[derive(Clone, Copy, Debug)]
pub struct Tracing {
    /// Where it sends its spans: OTLP over gRPC.
    pub collector: SocketAddr,
    /// Percent of the requests without a trace context that are traced.
    pub percent: u8,
    /// Whether this Envoy has tags with access-log commands, and so the filter's decision: since 1.37.
    pub has_filter_tag: bool,
}

impl Tracing {
    /// All requests.
    ///
    /// # Errors
    /// There is no Envoy, or it does not tell its version.
    pub fn to(collector: SocketAddr) -> Result<Self> {
        let output = Command::new(artifacts::envoy()?).arg("--version").output()?;
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        // `PROGRAM  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
        let version = line.split("version: ").nth(1).and_then(|version| version.split('/').nth(1));
        let minor = version.and_then(|version| version.strip_prefix("1.")?.split('.').next()?.parse().ok());
        let minor: u32 = minor.with_context(|| format!("not the version of an Envoy: {line}"))?;
        Ok(Self { collector, percent: 100, has_filter_tag: minor >= 37 })
    }

    /// The example's lines in a bootstrap of [`super::Envoy`]. Only the address, the percentage, and the time after which
    /// Envoy sends spans are the test's.
    ///
    /// # Panics
    /// When the example is not YAML.
    pub fn add_to(self, bootstrap: &mut Value) {
        let mut example: Value =
            serde_saphyr::from_str(EXAMPLE).unwrap_or_else(|error| panic!("examples/envoy/tracing.yaml: {error}"));
        let endpoint = json!({"endpoint": {"address": loopback(self.collector.port())}});
        example["cluster"]["load_assignment"]["endpoints"] = json!([{"lb_endpoints": [endpoint]}]);
        if !self.has_filter_tag
            && let Some(tags) = example["tracing"]["custom_tags"].as_array_mut()
        {
            tags.retain(|tag| tag.get("value").is_none());
        }
        example["tracing"]["random_sampling"]["value"] = json!(self.percent);
        let resources = &mut bootstrap["static_resources"];
        resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["tracing"] =
            example["tracing"].take();
        if let Some(clusters) = resources["clusters"].as_array_mut() {
            clusters.push(example["cluster"].take());
        }
        // Envoy's own values are 5 s and 5 spans.
        bootstrap["layered_runtime"] = json!({"layers": [{"name": "tests", "static_layer": {
            "tracing.opentelemetry.flush_interval_ms": 100,
            "tracing.opentelemetry.min_flush_spans": 1,
        }}]});
    }
}
