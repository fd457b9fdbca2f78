//! The exporter of spans, which counts them and logs when the receiver fails, and when it answers again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::{HeaderMap, Uri};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tonic::Request;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};

use super::connector::OtlpConnector;
use super::headers;
use super::http_client::OtlpHttpClient;
use super::queue::Pending;
use super::{OtlpProtocol, TraceError, TraceSettings};

/// Whether the receiver answers, said once each time that it changes. Clones share the state.
#[derive(Clone, Debug)]
pub(super) struct ExportStatus(Arc<StatusState>);

#[derive(Debug)]
struct StatusState {
    endpoint: String,
    is_failing: AtomicBool,
}

/// Counts what becomes of the spans of an exporter.
#[derive(Debug)]
pub(super) struct MeteredExporter {
    exporter: OtlpExporter,
    pending: Pending,
    status: ExportStatus,
}

/// The exporter of these settings. A receiver that cannot be reached is logged at once, so that nobody waits for a first span.
///
/// # Errors
/// See [`TraceError`].
pub(super) fn build(settings: &TraceSettings, status: &ExportStatus) -> Result<OtlpExporter, TraceError> {
    let fields = settings.headers.as_deref().map(headers::read).transpose()?.unwrap_or_default();
    let (endpoint, timeout) = (&settings.endpoint, settings.timeout);
    let protocol: &[u8] = match settings.protocol {
        OtlpProtocol::Grpc => b"h2",
        OtlpProtocol::Http => b"http/1.1",
    };
    let connector = OtlpConnector::new(endpoint.clone(), settings.ca.clone(), protocol)?;
    let exporter = match settings.protocol {
        OtlpProtocol::Grpc => OtlpExporter::builder()
            .with_tonic()
            .with_channel(channel(connector.clone(), &endpoint.authority(), &endpoint.origin(), timeout)?)
            .with_interceptor(with_fields(fields))
            .with_timeout(timeout)
            .build(),
        OtlpProtocol::Http => OtlpExporter::builder()
            .with_http()
            .with_http_client(OtlpHttpClient::new(connector.clone(), fields, timeout))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.traces_url())
            .with_timeout(timeout)
            .build(),
    };
    let status = status.clone();
    tokio::spawn(async move {
        if let Err(error) = connector.connect().await {
            status.failed(&error.to_string());
        }
    });
    exporter.map_err(|error: ExporterBuildError| TraceError::Exporter(error.to_string()))
}

/// Adds the fields to each call. The builder's own way to do so lets `OTEL_EXPORTER_OTLP_HEADERS` win over the file.
fn with_fields(fields: HeaderMap) -> impl Interceptor + Clone + Send + Sync + 'static {
    let fields = Arc::new(fields);
    move |mut call: Request<()>| {
        let mut headers = std::mem::take(call.metadata_mut()).into_headers();
        headers::replace(&mut headers, &fields);
        *call.metadata_mut() = MetadataMap::from_headers(headers);
        Ok(call)
    }
}

/// A channel that connects when there is something to send. The connector speaks TLS, so tonic must not see `https`.
fn channel(connector: OtlpConnector, authority: &str, origin: &str, timeout: Duration) -> Result<Channel, TraceError> {
    let bad = |error: &dyn std::error::Error| TraceError::Exporter(error.to_string());
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|error| bad(&error))?;
    let endpoint = endpoint.origin(origin.parse::<Uri>().map_err(|error| bad(&error))?).timeout(timeout);
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move { connector.connect().await }
    })))
}

impl ExportStatus {
    pub(super) fn new(endpoint: String) -> Self {
        Self(Arc::new(StatusState { endpoint, is_failing: AtomicBool::new(false) }))
    }

    fn failed(&self, error: &str) {
        if !self.0.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "traces_failing",
                endpoint = self.0.endpoint,
                error,
                remedy = "check the collector and --otlp-endpoint; requests are not affected, and their spans are lost",
                "cannot export traces"
            );
        }
    }

    fn worked(&self) {
        if self.0.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!(event = "traces_exported_again", endpoint = self.0.endpoint, "traces are exported again");
        }
    }
}

impl MeteredExporter {
    pub(super) fn new(exporter: OtlpExporter, pending: Pending, status: ExportStatus) -> Self {
        Self { exporter, pending, status }
    }
}

impl SpanExporter for MeteredExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.pending.exported(spans, result.is_ok());
        match &result {
            Ok(()) => self.status.worked(),
            Err(error) => self.status.failed(&error.to_string()),
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
