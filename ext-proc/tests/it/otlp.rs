//! A receiver of OTLP: the real service over gRPC, and the same messages over HTTP, in plain text or by TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cellgate_ext_proc::{OtlpProtocol, TraceSettings};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::{Code, Status};

use crate::pki::Identity;
use crate::support::until;

/// What the receiver does with spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behavior {
    Accept,
    /// It never answers.
    Hang,
    /// It answers with an error.
    Refuse,
    /// It is too busy for the next message, and accepts those behind it.
    BusyOnce,
    /// It answers that it rejects so many spans of each message. With 0, it only warns.
    Reject(i64),
    /// It accepts the spans of calls, and rejects those of the work below them.
    RejectWork,
}

/// A receiver in this process.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    state: Arc<ReceiverState>,
    serving: JoinHandle<()>,
}

struct ReceiverState {
    behavior: Mutex<Behavior>,
    spans: Mutex<Vec<Span>>,
    resources: Mutex<Vec<Resource>>,
    fields: Mutex<Vec<HeaderMap>>,
}

/// The service of the crates.
struct Traces(Arc<ReceiverState>);

impl Receiver {
    pub(crate) async fn start(identity: Option<&Identity>) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), identity)
    }

    /// Again where another one was.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        Self::start_on(TcpListener::bind(address).await.unwrap(), None)
    }

    fn start_on(listener: TcpListener, identity: Option<&Identity>) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(ReceiverState {
            behavior: Mutex::new(Behavior::Accept),
            spans: Mutex::default(),
            resources: Mutex::default(),
            fields: Mutex::default(),
        });
        let acceptor = identity.map(acceptor);
        let serving = tokio::spawn(serve(listener, acceptor, Arc::clone(&state)));
        Self { address, state, serving }
    }

    /// Closes the port and all connections.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.serving.abort();
        let _stopped = self.serving.await;
        self.address
    }

    pub(crate) fn behave(&self, behavior: Behavior) {
        *self.state.behavior.lock().unwrap() = behavior;
    }

    /// Settings for it, whose spans do not wait long.
    pub(crate) fn settings(&self, protocol: OtlpProtocol) -> TraceSettings {
        settings(&format!("http://{}", self.address), protocol)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.state.spans.lock().unwrap().clone()
    }

    pub(crate) fn resource(&self) -> Resource {
        self.state.resources.lock().unwrap()[0].clone()
    }

    /// How many messages came.
    pub(crate) fn messages(&self) -> usize {
        self.state.fields.lock().unwrap().len()
    }

    /// The header fields of the last message.
    pub(crate) fn fields(&self) -> HeaderMap {
        self.state.fields.lock().unwrap().last().unwrap().clone()
    }

    /// Waits for this many spans with a name that begins so.
    pub(crate) async fn wait_for(&self, name: &str, count: usize) -> Vec<Span> {
        let named = || self.spans().into_iter().filter(|span| span.name.starts_with(name)).collect::<Vec<_>>();
        until(name, || async { named().len() >= count }).await;
        assert_eq!(named().len(), count, "{:?}", named());
        named()
    }
}

pub(crate) fn settings(endpoint: &str, protocol: OtlpProtocol) -> TraceSettings {
    TraceSettings {
        protocol,
        interval: std::time::Duration::from_millis(20),
        timeout: std::time::Duration::from_secs(5),
        ..TraceSettings::new(endpoint.parse().unwrap())
    }
}

/// An attribute as text.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    value(&span.attributes, key)
}

pub(crate) fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let text = |value: &AnyValue| match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => format!("{:?}", list.values.iter().map(|item| &item.value).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    };
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| text(attribute.value.as_ref().unwrap()))
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, state: Arc<ReceiverState>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&state), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ended = match acceptor {
                None => builder.serve_connection(TokioIo::new(stream), answer).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => builder.serve_connection(TokioIo::new(stream), answer).await,
                    Err(_) => return,
                },
            };
        });
    }
}

async fn answer(state: Arc<ReceiverState>, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    state.fields.lock().unwrap().push(request.headers().clone());
    if request.uri().path() != "/v1/traces" {
        return Ok(TraceServiceServer::new(Traces(state)).call(request).await.unwrap());
    }
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.into_body().collect().await?.to_bytes();
    let (status, body) = match state.receive(ExportTraceServiceRequest::decode(body).unwrap()).await {
        Ok(answer) => (StatusCode::OK, answer.encode_to_vec()),
        Err(status) if status.code() == Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        Err(_) => (StatusCode::BAD_REQUEST, Vec::new()),
    };
    Ok(Response::builder().status(status).body(Body::new(Full::from(body))).unwrap())
}

impl ReceiverState {
    async fn receive(&self, request: ExportTraceServiceRequest) -> Result<ExportTraceServiceResponse, Status> {
        let behavior = {
            let mut behavior = self.behavior.lock().unwrap();
            let next = if *behavior == Behavior::BusyOnce { Behavior::Accept } else { *behavior };
            std::mem::replace(&mut *behavior, next)
        };
        match behavior {
            Behavior::Hang => std::future::pending().await,
            Behavior::BusyOnce => Err(Status::unavailable("busy")),
            Behavior::Refuse => Err(Status::invalid_argument("these spans are not welcome")),
            Behavior::Accept | Behavior::Reject(_) | Behavior::RejectWork => {
                let mut work = 0;
                for group in request.resource_spans {
                    self.resources.lock().unwrap().extend(group.resource);
                    let spans: Vec<_> = group.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
                    work += spans.iter().filter(|span| span.name.starts_with("cellgate.")).count();
                    self.spans.lock().unwrap().extend(spans);
                }
                let rejected_spans = match behavior {
                    Behavior::Reject(spans) => spans,
                    Behavior::RejectWork if work > 0 => i64::try_from(work).unwrap(),
                    _ => return Ok(ExportTraceServiceResponse::default()),
                };
                let error_message = "the quota is used up".to_owned();
                let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
                Ok(ExportTraceServiceResponse { partial_success })
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Traces {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.0.receive(request.into_inner()).await.map(tonic::Response::new)
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
