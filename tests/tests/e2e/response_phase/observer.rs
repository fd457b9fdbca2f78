//! An ext-proc service that changes nothing and records each stream: its messages, and whether Envoy has ended it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use cellgate_tests::{ports, wait};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Asked;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Answer;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeadersResponse, ProcessingRequest, ProcessingResponse,
    StreamedBodyResponse, TrailersResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

/// A running service. Dropping it stops it.
pub(crate) struct Observer {
    address: SocketAddr,
    streams: Streams,
    /// The status with which all streams end.
    status: watch::Sender<Option<Status>>,
    /// Its own, so that its end closes all connections.
    runtime: Option<Runtime>,
}

/// The record of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The kinds of its messages, in order.
    pub(crate) messages: Vec<&'static str>,
    pub(crate) has_ended: bool,
}

type Streams = Arc<Mutex<Vec<Record>>>;

impl Observer {
    /// Starts a service that answers the request's headers with this `mode_override`. `duplex`: the body goes back
    /// as FULL_DUPLEX_STREAMED wants it.
    pub(crate) async fn start(mode_override: Option<ProcessingMode>, duplex: bool) -> Self {
        let listener = TcpListener::bind(ports::ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Streams::default();
        let (status, ending) = watch::channel(None);
        let service = Service { streams: Arc::clone(&streams), mode_override, duplex, ending };
        let service = ExternalProcessorServer::new(service);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = listener.into_std().unwrap();
        runtime.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            let listener = TcpListener::from_std(listener).unwrap();
            drop(server.serve_with_incoming(TcpListenerStream::new(listener)).await);
        });
        Self { address, streams, status, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The records of all streams, in the order of their beginnings.
    pub(crate) fn streams(&self) -> Vec<Record> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a stream has ended.
    pub(crate) async fn ended(&self, index: usize) {
        let ended = || async { Ok(self.streams().get(index).is_some_and(|stream| stream.has_ended).then_some(())) };
        wait::until("Envoy to end the stream", ended)
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.streams()));
    }
}

impl Observer {
    /// Ends all open streams with this status.
    pub(crate) fn end_streams(&self, status: Status) {
        self.status.send_replace(Some(status));
    }

    /// Closes all connections, as if the process was killed.
    pub(crate) fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service {
    streams: Streams,
    mode_override: Option<ProcessingMode>,
    duplex: bool,
    ending: watch::Receiver<Option<Status>>,
}

/// One open stream. Dropping it records its end.
struct Open {
    streams: Streams,
    index: usize,
    mode_override: Option<ProcessingMode>,
    duplex: bool,
}

impl Open {
    fn record(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.streams.lock().unwrap_or_else(PoisonError::into_inner)[self.index]);
    }

    fn answer(&self, asked: Asked) -> ProcessingResponse {
        let (kind, answer) = answer(asked, self.duplex);
        self.record(|stream| stream.messages.push(kind));
        let mode_override = self.mode_override.filter(|_| kind == "request headers");
        ProcessingResponse { response: Some(answer), mode_override, ..Default::default() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.record(|stream| stream.has_ended = true);
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = std::pin::Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let index = {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(Record::default());
            streams.len() - 1
        };
        let open =
            Open { streams: Arc::clone(&self.streams), index, mode_override: self.mode_override, duplex: self.duplex };
        let mut messages = request.into_inner();
        let (send, replies) = tokio::sync::mpsc::channel(1);
        let mut ending = self.ending.clone();
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    // An error is a reset: Envoy resets a stream that it no longer needs.
                    message = messages.message() => message,
                    Some(status) = ended(&mut ending) => {
                        if status.code() != tonic::Code::Ok {
                            drop(send.send(Err(status)).await);
                        }
                        break;
                    }
                };
                let Ok(Some(message)) = message else { break };
                let Some(asked) = message.request else { continue };
                if send.send(Ok(open.answer(asked))).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(replies))))
    }
}

/// The status with which streams end, once there is one.
async fn ended(ending: &mut watch::Receiver<Option<Status>>) -> Option<Status> {
    ending.wait_for(Option::is_some).await.ok()?.clone()
}

fn answer(asked: Asked, duplex: bool) -> (&'static str, Answer) {
    match asked {
        Asked::RequestHeaders(_) => ("request headers", Answer::RequestHeaders(HeadersResponse::default())),
        Asked::RequestBody(body) => {
            let same =
                StreamedBodyResponse { body: body.body, end_of_stream: body.end_of_stream, ..Default::default() };
            let body_mutation = duplex.then_some(BodyMutation { mutation: Some(Mutation::StreamedResponse(same)) });
            let response = CommonResponse { body_mutation, ..Default::default() };
            ("request body", Answer::RequestBody(BodyResponse { response: Some(response) }))
        }
        Asked::RequestTrailers(_) => ("request trailers", Answer::RequestTrailers(TrailersResponse::default())),
        Asked::ResponseHeaders(_) => ("response headers", Answer::ResponseHeaders(HeadersResponse::default())),
        Asked::ResponseBody(_) => ("response body", Answer::ResponseBody(BodyResponse::default())),
        Asked::ResponseTrailers(_) => ("response trailers", Answer::ResponseTrailers(TrailersResponse::default())),
    }
}
