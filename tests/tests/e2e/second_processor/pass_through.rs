//! An ext-proc service for FULL_DUPLEX_STREAMED that sends every byte back at once, unchanged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_tests::ports;
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
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

/// A running service. Dropping it stops it.
pub(super) struct PassThrough {
    address: SocketAddr,
    streams: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl PassThrough {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(ports::ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::<AtomicU64>::default();
        let service = ExternalProcessorServer::new(Service(Arc::clone(&streams)));
        let serving = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            drop(server.serve_with_incoming(TcpListenerStream::new(listener)).await);
        });
        Self { address, streams, serving }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of requests that it has processed.
    pub(super) fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }
}

impl Drop for PassThrough {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Service(Arc<AtomicU64>);

type Replies = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = Replies;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let replies = request.into_inner().filter_map(|asked| match asked {
            Ok(asked) => asked.request.and_then(answer).map(Ok),
            // Envoy resets a stream that it no longer needs.
            Err(_) => None,
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

fn answer(asked: Asked) -> Option<ProcessingResponse> {
    let answer = match asked {
        Asked::RequestHeaders(_) => Answer::RequestHeaders(HeadersResponse::default()),
        Asked::RequestBody(body) => {
            let same =
                StreamedBodyResponse { body: body.body, end_of_stream: body.end_of_stream, ..Default::default() };
            let mutation = BodyMutation { mutation: Some(Mutation::StreamedResponse(same)) };
            let response = CommonResponse { body_mutation: Some(mutation), ..Default::default() };
            Answer::RequestBody(BodyResponse { response: Some(response) })
        }
        Asked::RequestTrailers(_) => Answer::RequestTrailers(TrailersResponse::default()),
        _ => return None,
    };
    Some(ProcessingResponse { response: Some(answer), ..Default::default() })
}
