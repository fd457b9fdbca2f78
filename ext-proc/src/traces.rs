//! OpenTelemetry traces of the calls that the service answers.
//!
//! [`context`] reads the context of a call, `call_trace` is its span, and `phase` measures the work below it. `queue` and
//! `exporter` bring spans to an OTLP receiver by the exporter of OpenTelemetry: over gRPC, or over HTTP by `http_client`, both
//! on the connections of `connector`. `export_notes` counts what the receiver rejects, and `resource` says whose spans they are.
//!
//! A call is sampled if its caller samples it, and without a caller's decision, at random. That is decided before anything is
//! made, so an unsampled call only has its context read. `tracing` and its layer for OpenTelemetry are not used for spans: the
//! layer belongs to one global subscriber, and cannot record work that was measured in pieces.

pub(crate) mod call_trace;
mod connector;
pub(crate) mod context;
mod endpoint;
mod export_fields;
mod export_notes;
mod exporter;
mod headers;
mod http_client;
pub(crate) mod phase;
mod queue;
mod resource;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cellgate_limiting::KeyHasher;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider,
};

use crate::build;
use crate::metrics::TraceMetrics;
use crate::tls::files::TlsError;
use exporter::MeteredExporter;
use queue::{BoundedProcessor, MAX_QUEUED, Pending};

pub use endpoint::{BadOtlpEndpoint, OtlpEndpoint};
pub use headers::BadOtlpHeaders;

/// The most spans in one message to the receiver.
const MAX_BATCH: usize = 512;

/// The conventions that the attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.40.0";

/// The receiver of traces, and which ones it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The receiver.
    pub endpoint: OtlpEndpoint,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// A PEM file with the authorities of its certificate. `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// A file with header fields for it, one `name: value` on a line. It is read again for each export.
    pub headers: Option<PathBuf>,
    /// The part of the calls without a caller's decision that are sampled, from 0 to 100.
    pub sample_percent: f64,
    /// How long the receiver may take to answer, with retries.
    pub timeout: Duration,
    /// How long a finished span waits for others at most.
    pub interval: Duration,
}

/// A protocol of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf messages over HTTP/1.1.
    Http,
}

/// Traces cannot be sent with these settings.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file with authorities cannot be used.
    #[error(transparent)]
    Ca(#[from] TlsError),
    /// The file or the variable with header fields cannot be used.
    #[error(transparent)]
    Headers(#[from] BadOtlpHeaders),
    /// The exporter refuses the endpoint.
    #[error("the endpoint of traces cannot be used: {0}; check --otlp-endpoint (or OTEL_EXPORTER_OTLP_ENDPOINT)")]
    Endpoint(String),
}

/// A method of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TracedMethod {
    /// A request, over ext_proc.
    Process,
    /// A call of Envoy's rate limit filter.
    ShouldRateLimit,
    /// A report of leases.
    Sync,
}

/// Makes and exports spans. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Tracing(Arc<TracingState>);

#[derive(Debug)]
struct TracingState {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    pending: Pending,
    hasher: KeyHasher,
    /// A call without a caller's decision is sampled if 32 random bits are below this.
    threshold: u64,
}

impl TraceSettings {
    /// The settings for a receiver: gRPC, and no call is sampled unless its caller samples it.
    #[must_use]
    pub fn new(endpoint: OtlpEndpoint) -> Self {
        Self {
            endpoint,
            protocol: OtlpProtocol::Grpc,
            ca: None,
            headers: None,
            sample_percent: 0.0,
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(1),
        }
    }
}

impl Tracing {
    /// Starts to export. The connections belong to the runtime at hand. `hasher` makes the digests of keys.
    ///
    /// # Errors
    /// A file cannot be used. A receiver that does not answer is no error: it is logged, and spans are dropped.
    pub(crate) fn start(
        settings: &TraceSettings,
        hasher: &KeyHasher,
        metrics: TraceMetrics,
    ) -> Result<Self, TraceError> {
        let pending = Pending::new(metrics);
        let exporter = MeteredExporter::new(settings, pending.clone())?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED)
            .with_max_export_batch_size(MAX_BATCH)
            .with_scheduled_delay(settings.interval)
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BoundedProcessor::new(batches, pending.clone()))
            // Only sampled calls make spans.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource::resource())
            .build();
        let scope = InstrumentationScope::builder("cellgate").with_version(build::VERSION).with_schema_url(SCHEMA);
        let tracer = provider.tracer_with_scope(scope.build());
        let threshold = threshold(settings.sample_percent);
        let hasher = hasher.derive("trace");
        Ok(Self(Arc::new(TracingState { tracer, provider, pending, hasher, threshold })))
    }

    /// Exports what is left, for at most this long. Later spans are dropped.
    pub(crate) async fn flush(&self, within: Duration) {
        let provider = self.0.provider.clone();
        // It blocks, and the connections need this thread.
        let flushing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within));
        let _flushed = tokio::time::timeout(within, flushing).await;
        let lost = self.0.pending.abandon();
        if lost > 0 {
            tracing::warn!(event = "traces_lost", spans = lost, "spans were not exported before the service ended");
        }
    }

    /// Whether a call without a caller's decision is sampled.
    fn samples_root(&self) -> bool {
        let random = || RandomIdGenerator::default().new_span_id().to_bytes();
        self.0.threshold > 0 && {
            let [a, b, c, d, ..] = random();
            u64::from(u32::from_be_bytes([a, b, c, d])) < self.0.threshold
        }
    }

    fn tracer(&self) -> &SdkTracer {
        &self.0.tracer
    }

    fn hasher(&self) -> KeyHasher {
        self.0.hasher
    }
}

impl TracedMethod {
    /// The name by OpenTelemetry's conventions: service and method.
    const fn full_name(self) -> &'static str {
        match self {
            Self::Process => "envoy.service.ext_proc.v3.ExternalProcessor/Process",
            Self::ShouldRateLimit => "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
            Self::Sync => "cellgate.sync.v1.SyncService/Sync",
        }
    }
}

/// The part of 2^32, from 0 to all of it, which a u64 has exactly. It is 0 only for 0: the smallest part samples something.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is clamped")]
fn threshold(percent: f64) -> u64 {
    (percent.clamp(0.0, 100.0) / 100.0 * 4_294_967_296.0).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_no_percent_samples_nothing() {
        let of = [0.0, 1e-12, 0.01, 1.0, 50.0, 100.0, 200.0].map(threshold);
        assert_eq!(of, [0, 1, 429_497, 42_949_673, 1 << 31, 1 << 32, 1 << 32]);
    }
}
