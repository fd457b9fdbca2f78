//! The exporter of spans, which counts what becomes of them and logs when the receiver fails, and when it answers again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use super::client::OtlpClient;
use super::connector::OtlpConnector;
use super::export_fields::ExportFields;
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

/// Sends spans to a receiver, from a thread of its own. The connections belong to the runtime.
#[derive(Debug)]
pub(super) struct OtlpExporter {
    client: OtlpClient,
    fields: ExportFields,
    resource: ResourceAttributesWithSchema,
    runtime: Handle,
    timeout: Duration,
    pending: Pending,
    status: ExportStatus,
}

impl OtlpExporter {
    /// The exporter of these settings, on the runtime at hand. A receiver that cannot be reached is logged at once, so that nobody
    /// waits for a first span.
    ///
    /// # Errors
    /// See [`TraceError`].
    pub(super) fn new(settings: &TraceSettings, pending: Pending) -> Result<Self, TraceError> {
        let fields = ExportFields::open(settings.headers.as_deref())?;
        let (endpoint, ca) = (settings.endpoint.clone(), settings.ca.clone());
        let protocol: &[u8] = match settings.protocol {
            OtlpProtocol::Grpc => b"h2",
            OtlpProtocol::Http => b"http/1.1",
        };
        let connector = OtlpConnector::new(endpoint.clone(), ca, protocol)?;
        let client = OtlpClient::new(settings.protocol, connector.clone(), &endpoint)?;
        let status = ExportStatus::new(endpoint.to_string());
        let first = status.clone();
        tokio::spawn(async move {
            if let Err(error) = connector.connect().await {
                first.failed(&error.to_string());
            }
        });
        let resource = ResourceAttributesWithSchema::default();
        let (runtime, timeout) = (Handle::current(), settings.timeout);
        Ok(Self { client, fields, resource, runtime, timeout, pending, status })
    }
}

impl SpanExporter for OtlpExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        // The thread of the batches may wait for a file.
        let fields = self.fields.current();
        let (client, timeout) = (self.client.clone(), self.timeout);
        let export = async move { client.export(ExportTraceServiceRequest { resource_spans }, &fields, timeout).await };
        let answer = self.runtime.spawn(export).await.unwrap_or_else(|error| Err(error.to_string()));
        match answer {
            Ok(response) => {
                let partial = response.partial_success.unwrap_or_default();
                let rejected = usize::try_from(partial.rejected_spans).unwrap_or_default().min(spans);
                self.pending.exported(spans - rejected, rejected);
                self.status.answered(rejected, &partial.error_message);
                Ok(())
            }
            Err(error) => {
                self.pending.exported(0, spans);
                self.status.failed(&error);
                Err(OTelSdkError::InternalFailure(error))
            }
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
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
                remedy = "check the collector and --otlp-endpoint; requests are not affected, and their spans are lost",
                "cannot export traces"
            );
        }
    }

    /// The receiver has rejected so many of the spans. As OTLP says, a text without rejected spans is a warning.
    fn answered(&self, rejected: usize, text: &str) {
        if rejected == 0 && text.is_empty() {
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
                error = beginning(text),
                remedy = "see the log and the limits of the collector; the spans that it rejects are lost",
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
