//! A collector of traces in the mesh: a Service in a namespace of its own, and as its only endpoint a receiver of OTLP in this
//! process.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::Mesh;
use super::kube::object;
use super::workload::{Port, Workload, WorkloadSpec};
use crate::jaeger::{Span, Trace};
use crate::{hex, wait};

/// The namespace of the Service.
pub const NAMESPACE: &str = "observability";
/// The host of the Service.
pub const HOST: &str = "otel-collector.observability.svc.cluster.local";
/// The port of the Service and of its endpoint.
pub const PORT: u16 = 4317;

const SERVICE: &str = "otel-collector";
/// By this name Istio knows that the port is gRPC.
pub(super) const PORT_NAME: &str = "grpc-otlp";

/// A running collector. Dropping it stops it.
#[derive(Debug)]
pub struct Collector {
    address: Ipv4Addr,
    labels: Value,
    spans: Arc<Mutex<Received>>,
    serving: JoinHandle<()>,
    _workload: Workload,
}

/// The spans by the ids of their traces.
type Received = BTreeMap<String, Vec<Span>>;

impl Collector {
    /// Starts it, and makes it the endpoint of its Service.
    ///
    /// # Errors
    /// When the API server refuses the objects.
    pub(super) async fn start(mesh: &Mesh) -> Result<Self> {
        let address = mesh.addresses().next();
        let listener = TcpListener::bind(SocketAddr::from((address, PORT))).await?;
        let spans = Arc::default();
        let service = TraceServiceServer::new(Receiver(Arc::clone(&spans)));
        let serving = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            // The server stops with this task.
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        mesh.create_namespace(NAMESPACE).await?;
        let mut service = object("v1", "Service", NAMESPACE, SERVICE);
        service["spec"] = json!({
            "selector": {"app": SERVICE},
            "ports": [{"name": PORT_NAME, "port": PORT, "targetPort": PORT_NAME}],
        });
        mesh.kube().apply(&service).await?;
        let labels = json!({"app": SERVICE});
        let plan = WorkloadSpec {
            name: SERVICE.to_owned(),
            namespace: NAMESPACE.to_owned(),
            service_account: "default".to_owned(),
            labels: labels.clone(),
            address,
            ports: vec![Port { name: PORT_NAME.to_owned(), number: PORT, protocol: "GRPC", program: None }],
        };
        // Without a sidecar it needs no directory.
        let workload = Workload::join(mesh, plan, None, std::path::Path::new("")).await?;
        Ok(Self { address, labels, spans, serving, _workload: workload })
    }

    /// The address of its pod.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The labels of its pod.
    pub(super) fn labels(&self) -> &Value {
        &self.labels
    }

    /// The trace with this id as it is now. It is empty while no span of it has arrived.
    #[must_use]
    pub fn trace(&self, id: &str) -> Trace {
        let mut spans = lock(&self.spans).get(id).cloned().unwrap_or_default();
        spans.sort_by_key(|span| span.start);
        Trace { id: id.to_owned(), spans }
    }

    /// The ids of the traces with a span that meets a condition.
    #[must_use]
    pub fn traces_with(&self, is_met: impl Fn(&Span) -> bool) -> Vec<String> {
        let spans = lock(&self.spans);
        spans.iter().filter(|(_, spans)| spans.iter().any(&is_met)).map(|(id, _)| id.clone()).collect()
    }

    /// Waits until the trace with this id meets a condition, because spans arrive one after the other.
    ///
    /// # Errors
    /// On a timeout. The message shows the trace as it is.
    pub async fn trace_that(&self, id: &str, what: &str, is_met: impl Fn(&Trace) -> bool) -> Result<Trace> {
        let what = format!("the trace {id} {what}");
        let found = wait::until(&what, || async { Ok(Some(self.trace(id)).filter(&is_met)) }).await;
        found.map_err(|error| error.context(self.trace(id).to_string()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Receiver(Arc<Mutex<Received>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = lock(&self.0);
        for group in request.into_inner().resource_spans {
            let resource = tags(group.resource.map(|resource| resource.attributes).unwrap_or_default());
            let service = resource.get("service.name").cloned().unwrap_or_default();
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                received.entry(hex(&span.trace_id)).or_default().push(read(span, &service));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(span: OtlpSpan, service: &str) -> Span {
    let mut tags = tags(span.attributes.clone());
    // As Jaeger names it.
    let kind = span.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_ascii_lowercase();
    tags.insert("span.kind".to_owned(), kind);
    Span {
        id: hex(&span.span_id),
        parent: Some(hex(&span.parent_span_id)).filter(|id| !id.is_empty()),
        name: span.name,
        service: service.to_owned(),
        start: Duration::from_nanos(span.start_time_unix_nano),
        duration: Duration::from_nanos(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano)),
        tags,
    }
}

fn tags(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| match attribute.value.and_then(|value| value.value) {
        Some(Attribute::StringValue(text)) => (attribute.key, text),
        Some(Attribute::IntValue(number)) => (attribute.key, number.to_string()),
        other => (attribute.key, format!("{other:?}")),
    };
    attributes.into_iter().map(text).collect()
}

fn lock(spans: &Mutex<Received>) -> MutexGuard<'_, Received> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}
