//! Envoy's side of a stream, by hand.

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, HeaderMutation, HttpBody, HttpHeaders, HttpTrailers, ImmediateResponse, ProcessingRequest,
    ProcessingResponse, ProtocolConfiguration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::support::{PATIENCE, Service};

/// One request's stream.
pub(crate) struct Peer {
    requests: Option<mpsc::Sender<ProcessingRequest>>,
    responses: Streaming<ProcessingResponse>,
}

/// The sending half of a stream.
pub(crate) struct PeerSender(mpsc::Sender<ProcessingRequest>);

impl PeerSender {
    pub(crate) async fn body(&self, chunk: &[u8], end_of_stream: bool) {
        let body = HttpBody { body: chunk.to_vec(), end_of_stream, ..Default::default() };
        self.0.send(message(Request::RequestBody(body))).await.expect("the stream is closed");
    }
}

impl Peer {
    /// Opens a stream on a connection of its own.
    pub(crate) async fn open(service: &Service) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap();
        Self::over(endpoint.connect().await.unwrap()).await
    }

    /// Opens a stream on a connection.
    pub(crate) async fn over(channel: Channel) -> Self {
        Self::with_metadata(channel, &[]).await
    }

    /// Opens a stream with these fields of gRPC metadata.
    pub(crate) async fn with_metadata(channel: Channel, fields: &[(&'static str, &str)]) -> Self {
        let (requests, messages) = mpsc::channel(64);
        let mut client = ExternalProcessorClient::new(channel).max_encoding_message_size(256 << 20);
        let mut request = tonic::Request::new(ReceiverStream::new(messages));
        for (name, value) in fields {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let responses = client.process(request).await.unwrap().into_inner();
        Self { requests: Some(requests), responses }
    }

    /// Opens a stream and sends a JSON POST's head in this body mode.
    pub(crate) async fn post(service: &Service, mode: BodySendMode) -> Self {
        let peer = Self::open(service).await;
        peer.send(head(mode, &[("content-type", "application/json"), ("x-cell", "evil")], false)).await;
        peer
    }

    pub(crate) async fn send(&self, message: ProcessingRequest) {
        let requests = self.requests.as_ref().expect("closed before");
        requests.send(message).await.expect("the stream is closed");
    }

    /// Ends the requests; responses may follow.
    pub(crate) fn close(&mut self) {
        self.requests = None;
    }

    /// The sending half, to send while another task reads.
    pub(crate) fn sender(&self) -> PeerSender {
        PeerSender(self.requests.clone().expect("closed before"))
    }

    pub(crate) async fn body(&self, chunk: &[u8], end_of_stream: bool) {
        self.sender().body(chunk, end_of_stream).await;
    }

    pub(crate) async fn trailers(&self, fields: &[(&str, &str)]) {
        let trailers = HttpTrailers { trailers: Some(map(fields)) };
        self.send(message(Request::RequestTrailers(trailers))).await;
    }

    /// The next response, or how the stream ended: `Ok(None)` is gRPC's OK.
    pub(crate) async fn next(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.responses.message()).await.expect("no response")
    }

    pub(crate) async fn response(&mut self) -> Response {
        self.next().await.unwrap().expect("the stream is over").response.unwrap()
    }

    /// The status that ends the stream.
    pub(crate) async fn status(&mut self) -> Status {
        self.next().await.expect_err("an error status")
    }

    /// The next response, which changes the head.
    pub(crate) async fn change(&mut self) -> HeaderMutation {
        let common = match self.response().await {
            Response::RequestHeaders(headers) => headers.response.unwrap(),
            Response::RequestBody(body) => body.response.unwrap(),
            other => panic!("{other:?}"),
        };
        assert!(common.clear_route_cache);
        common.header_mutation.unwrap()
    }

    /// The next response, which answers the client.
    pub(crate) async fn immediate(&mut self) -> ImmediateResponse {
        match self.response().await {
            Response::ImmediateResponse(immediate) => immediate,
            other => panic!("{other:?}"),
        }
    }

    /// The next response, which is a piece of the body: bytes, and whether they are the last.
    pub(crate) async fn piece(&mut self) -> (Vec<u8>, bool) {
        let Response::RequestBody(body) = self.response().await else { panic!("no body") };
        Self::piece_of(body)
    }

    /// The piece in a response to the body.
    pub(crate) fn piece_of(body: BodyResponse) -> (Vec<u8>, bool) {
        match body.response.unwrap().body_mutation.unwrap().mutation.unwrap() {
            Mutation::StreamedResponse(piece) => (piece.body, piece.end_of_stream),
            other => panic!("{other:?}"),
        }
    }
}

/// A stream's first message. Its request ID is `test`, unless `extra` has one: the service reads only the first.
pub(crate) fn head(mode: BodySendMode, extra: &[(&str, &str)], end_of_stream: bool) -> ProcessingRequest {
    let mut fields = vec![(":method", "POST"), (":path", "/")];
    fields.extend_from_slice(extra);
    fields.push(("x-request-id", "test"));
    let headers = HttpHeaders { headers: Some(map(&fields)), end_of_stream, ..Default::default() };
    let protocol_config = ProtocolConfiguration { request_body_mode: mode as i32, ..Default::default() };
    ProcessingRequest { protocol_config: Some(protocol_config), ..message(Request::RequestHeaders(headers)) }
}

pub(crate) fn message(request: Request) -> ProcessingRequest {
    ProcessingRequest { request: Some(request), ..Default::default() }
}

/// The cell that a change names, after checking that it can only replace.
pub(crate) fn cell(change: &HeaderMutation) -> &str {
    use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
    let [option] = change.set_headers.as_slice() else { panic!("{change:?}") };
    assert_eq!(option.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32);
    let header = option.header.as_ref().unwrap();
    assert_eq!((header.key.as_str(), header.value.as_str()), ("x-cell", ""));
    std::str::from_utf8(&header.raw_value).unwrap()
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let header = |(key, value): &(&str, &str)| HeaderValue {
        key: (*key).to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..Default::default()
    };
    HeaderMap { headers: fields.iter().map(header).collect() }
}
