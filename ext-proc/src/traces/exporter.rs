//! The exporter of spans, which counts what becomes of them and logs when the receiver fails, and when it answers again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::{HeaderMap, Uri};
use opentelemetry_otlp::{Protocol, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;
use tonic::Request;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::connector::OtlpConnector;
use super::endpoint::OtlpEndpoint;
use super::export_fields::ExportFields;
use super::export_notes::{ExportNotes, PartialSuccess};
use super::headers;
use super::http_client::OtlpHttpClient;
use super::queue::Pending;
use super::{OtlpProtocol, TraceError, TraceSettings};

/// The most characters of a receiver's text in a line of the log.
const MAX_TEXT: usize = 256;

/// Whether the receiver takes all spans, said once each time that it changes. Clones share the state.
#[derive(Clone, Debug)]
pub(super) struct ExportStatus(Arc<StatusState>);

#[derive(Debug)]
struct StatusState {
    endpoint: String,
    last: Mutex<ExportResult>,
}

/// The end of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExportResult {
    /// The receiver has all spans.
    Complete,
    /// It answers, and rejects some of the spans or warns.
    Partial,
    /// It refuses the spans, or does not answer.
    Failed,
}

/// Sends spans by the exporter of OpenTelemetry, and counts what becomes of them. The connections belong to the runtime.
#[derive(Debug)]
pub(super) struct MeteredExporter {
    exporter: Arc<OtlpExporter>,
    fields: ExportFields,
    /// The fields as they are sent.
    sent: Arc<ArcSwap<HeaderMap>>,
    notes: ExportNotes,
    /// Writes the notes of what the exporter logs.
    subscriber: Dispatch,
    /// One export runs at a time, as the thread of the batches has it. So the notes are those of the export that has just ended.
    turn: tokio::sync::Mutex<()>,
    runtime: Handle,
    timeout: Duration,
    pending: Pending,
    status: ExportStatus,
}

impl MeteredExporter {
    /// The exporter of these settings, on the runtime at hand. A receiver that cannot be reached is logged at once, so that nobody
    /// waits for a first span.
    ///
    /// # Errors
    /// See [`TraceError`].
    pub(super) fn new(settings: &TraceSettings, pending: Pending) -> Result<Self, TraceError> {
        let fields = ExportFields::open(settings.headers.as_deref())?;
        let (endpoint, ca, timeout) = (&settings.endpoint, settings.ca.clone(), settings.timeout);
        let alpn: &[u8] = match settings.protocol {
            OtlpProtocol::Grpc => b"h2",
            OtlpProtocol::Http => b"http/1.1",
        };
        let connector = OtlpConnector::new(endpoint.clone(), ca, alpn)?;
        let (sent, notes) = (Arc::<ArcSwap<HeaderMap>>::default(), ExportNotes::default());
        let exporter = match settings.protocol {
            OtlpProtocol::Grpc => OtlpExporter::builder()
                .with_tonic()
                .with_channel(channel(connector.clone(), endpoint)?)
                .with_interceptor(with_fields(Arc::clone(&sent)))
                .with_timeout(timeout)
                .build(),
            OtlpProtocol::Http => OtlpExporter::builder()
                .with_http()
                .with_http_client(OtlpHttpClient::new(connector.clone(), Arc::clone(&sent), notes.clone()))
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(endpoint.traces_url())
                .with_timeout(timeout)
                .build(),
        };
        let exporter = Arc::new(exporter.map_err(|error| TraceError::Endpoint(error.to_string()))?);
        let status = ExportStatus::new(endpoint.to_string());
        let first = status.clone();
        tokio::spawn(async move {
            if let Err(error) = connector.connect().await {
                first.failed(&error.to_string());
            }
        });
        let subscriber = Dispatch::new(PartialSuccess(notes.clone()));
        let (turn, runtime) = (tokio::sync::Mutex::default(), Handle::current());
        Ok(Self { exporter, fields, sent, notes, subscriber, turn, runtime, timeout, pending, status })
    }

    /// The error is for the log.
    async fn try_export(&self, batch: Vec<SpanData>) -> Result<(), String> {
        let (exporter, timeout) = (Arc::clone(&self.exporter), self.timeout);
        // The exporter's own bound leaves an attempt that has begun.
        let export = async move { tokio::time::timeout(timeout, exporter.export(batch)).await };
        match self.runtime.spawn(export.with_subscriber(self.subscriber.clone())).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(OTelSdkError::InternalFailure(error)))) => Err(error),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(_)) => Err("the receiver did not answer in time".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Adds the fields to each call. The builder's own way reads them once, and `OTEL_EXPORTER_OTLP_HEADERS` wins over it.
fn with_fields(sent: Arc<ArcSwap<HeaderMap>>) -> impl Interceptor + Clone + Send + Sync + 'static {
    move |mut call: Request<()>| {
        let mut fields = std::mem::take(call.metadata_mut()).into_headers();
        headers::replace(&mut fields, &sent.load());
        *call.metadata_mut() = MetadataMap::from_headers(fields);
        Ok(call)
    }
}

/// A channel that connects when there is something to send. The connector speaks TLS, so tonic must not see `https`.
fn channel(connector: OtlpConnector, endpoint: &OtlpEndpoint) -> Result<Channel, TraceError> {
    let bad = |error: &dyn std::error::Error| TraceError::Endpoint(error.to_string());
    let origin = endpoint.origin().parse::<Uri>().map_err(|error| bad(&error))?;
    let endpoint = Endpoint::from_shared(format!("http://{}", endpoint.authority())).map_err(|error| bad(&error))?;
    Ok(endpoint.origin(origin).connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move { connector.connect().await }
    })))
}

impl SpanExporter for MeteredExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let _turn = self.turn.lock().await;
        let spans = batch.len();
        // Here, because the thread of the batches may wait for a file, and the runtime may not.
        self.sent.store(Arc::new(self.fields.current()));
        self.notes.take();
        let result = self.try_export(batch).await;
        let noted = self.notes.take();
        match result {
            Ok(()) => {
                let rejected = noted.rejected.min(spans);
                self.pending.exported(spans - rejected, rejected);
                self.status.answered(rejected, noted.has_text);
                Ok(())
            }
            Err(error) => {
                let error = noted.no_answer.unwrap_or(error);
                self.pending.exported(0, spans);
                self.status.failed(&error);
                Err(OTelSdkError::InternalFailure(error))
            }
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    /// It comes before the first export, which shares the exporter.
    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

impl ExportStatus {
    fn new(endpoint: String) -> Self {
        Self(Arc::new(StatusState { endpoint, last: Mutex::new(ExportResult::Complete) }))
    }

    fn failed(&self, error: &str) {
        if self.replace(ExportResult::Failed) != ExportResult::Failed {
            tracing::warn!(
                event = "traces_failing",
                endpoint = self.0.endpoint,
                error = beginning(error),
                remedy = "check the receiver of traces and --otlp-endpoint; requests are not affected, and their spans are lost",
                "cannot export traces"
            );
        }
    }

    /// The receiver has rejected so many of the spans. As OTLP says, a text without rejected spans is a warning.
    fn answered(&self, rejected: usize, has_text: bool) {
        if rejected == 0 && !has_text {
            if self.replace(ExportResult::Complete) != ExportResult::Complete {
                tracing::info!(
                    event = "traces_exported_again",
                    endpoint = self.0.endpoint,
                    "traces are exported again"
                );
            }
        } else if self.replace(ExportResult::Partial) != ExportResult::Partial {
            tracing::warn!(
                event = "traces_rejected",
                endpoint = self.0.endpoint,
                spans = rejected,
                remedy = "see the log and the limits of the receiver; the spans that it rejects are lost",
                "the receiver of traces does not take all spans"
            );
        }
    }

    fn replace(&self, result: ExportResult) -> ExportResult {
        std::mem::replace(&mut self.0.last.lock().unwrap_or_else(PoisonError::into_inner), result)
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
