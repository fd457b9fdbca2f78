//! A client of the ext_proc protocol that sends the messages of a case, and describes what comes back.

use anyhow::{Context, Result};
use cellgate_tests::wait;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    CommonResponse, HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::scene::Scene;

/// The stream of one request.
pub(crate) struct Peer {
    requests: Option<mpsc::Sender<ProcessingRequest>>,
    responses: Streaming<ProcessingResponse>,
    /// The body that came back.
    body: Vec<u8>,
}

impl Peer {
    /// Opens a stream to the service of the scene.
    pub(crate) async fn open(scene: &Scene<'_>) -> Result<Self> {
        let address = scene.running.service().addresses().grpc;
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let (requests, messages) = mpsc::channel(64);
        let mut client = ExternalProcessorClient::new(channel);
        let responses = client.process(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Self { requests: Some(requests), responses, body: Vec::new() })
    }

    /// Sends a message.
    pub(crate) async fn send(&self, message: ProcessingRequest) -> Result<()> {
        let requests = self.requests.as_ref().context("the stream is closed")?;
        requests.send(message).await.context("the stream is closed")
    }

    /// Sends a part of the body.
    pub(crate) async fn body(&self, chunk: &[u8], end_of_stream: bool) -> Result<()> {
        self.send(body(chunk, end_of_stream)).await
    }

    /// Ends the requests, and describes all responses from now on, such as `headers: cell-b; body: whole; OK`.
    pub(crate) async fn described(&mut self, sent: &[u8]) -> Result<String> {
        self.requests = None;
        self.described_while_open(sent).await
    }

    /// Describes all responses from now on, while the requests do not end.
    pub(crate) async fn described_while_open(&mut self, sent: &[u8]) -> Result<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut body_came = false;
        let end = loop {
            match wait::within("a response", async { Ok(self.responses.message().await) }).await? {
                Ok(Some(message)) => match self.describe(message.response.context("an empty response")?) {
                    Some(part) => parts.push(part),
                    None => body_came = true,
                },
                Ok(None) => break "OK".to_owned(),
                Err(status) => break format!("{:?}", status.code()),
            }
        };
        if body_came {
            parts.push(if self.body == sent { "body whole".to_owned() } else { format!("{} bytes", self.body.len()) });
        }
        parts.push(end);
        Ok(parts.join("; "))
    }

    /// A response in words, or `None` for a part of the body, which it keeps.
    fn describe(&mut self, response: Response) -> Option<String> {
        Some(match response {
            Response::RequestHeaders(headers) => format!("headers {}", cell(headers.response.as_ref())),
            Response::RequestBody(body) => {
                let common = body.response.unwrap_or_default();
                match common.body_mutation.clone().and_then(|mutation| mutation.mutation) {
                    Some(Mutation::StreamedResponse(part)) => {
                        self.body.extend_from_slice(&part.body);
                        return None;
                    }
                    _ => format!("body {}", cell(Some(&common))),
                }
            }
            Response::RequestTrailers(_) => "trailers".to_owned(),
            Response::ResponseHeaders(_) => "response headers".to_owned(),
            Response::ResponseBody(_) => "response body".to_owned(),
            Response::ResponseTrailers(_) => "response trailers".to_owned(),
            Response::ImmediateResponse(immediate) => {
                let problem: Option<serde_json::Value> = serde_json::from_slice(&immediate.body).ok();
                let code = problem.as_ref().and_then(|problem| problem["code"].as_str()).unwrap_or_default();
                format!("{} {code}", immediate.status.map_or(0, |status| status.code))
            }
            _ => "another response".to_owned(),
        })
    }
}

/// The cell that a response sets, or what it does instead.
fn cell(common: Option<&CommonResponse>) -> String {
    let mutation = common.and_then(|common| common.header_mutation.as_ref());
    let set = mutation.and_then(|mutation| {
        mutation.set_headers.iter().filter_map(|option| option.header.as_ref()).find(|header| header.key == "x-cell")
    });
    set.map_or("stripped".to_owned(), |header| String::from_utf8_lossy(&header.raw_value).into_owned())
}

/// The first message of Envoy: the head of a JSON POST, with the client's own routing header.
pub(crate) fn head(mode: BodySendMode, end_of_stream: bool) -> ProcessingRequest {
    let fields = [
        (":method", "POST"),
        (":path", "/"),
        (":authority", "cellgate.test"),
        ("content-type", "application/json"),
        ("x-cell", "cell-c"),
    ];
    announced(mode, map(&fields.map(|(key, value)| raw(key, value))), end_of_stream)
}

/// A first message with these headers.
pub(crate) fn announced(mode: BodySendMode, headers: HeaderMap, end_of_stream: bool) -> ProcessingRequest {
    let headers = HttpHeaders { headers: Some(headers), end_of_stream, ..Default::default() };
    let protocol_config = ProtocolConfiguration { request_body_mode: mode as i32, ..Default::default() };
    ProcessingRequest { protocol_config: Some(protocol_config), ..message(Request::RequestHeaders(headers)) }
}

/// A part of the body.
pub(crate) fn body(chunk: &[u8], end_of_stream: bool) -> ProcessingRequest {
    message(Request::RequestBody(HttpBody { body: chunk.to_vec(), end_of_stream, ..Default::default() }))
}

/// Trailers.
pub(crate) fn trailers(fields: &[(&str, &str)]) -> ProcessingRequest {
    let fields: Vec<_> = fields.iter().map(|(key, value)| raw(key, value)).collect();
    message(Request::RequestTrailers(HttpTrailers { trailers: Some(map(&fields)) }))
}

/// The head of a response of Envoy.
pub(crate) fn response_headers() -> ProcessingRequest {
    let headers = HttpHeaders { headers: Some(map(&[raw(":status", "503")])), ..Default::default() };
    let protocol_config = ProtocolConfiguration::default();
    ProcessingRequest { protocol_config: Some(protocol_config), ..message(Request::ResponseHeaders(headers)) }
}

/// A message without the announcement of the modes.
pub(crate) fn message(request: Request) -> ProcessingRequest {
    ProcessingRequest { request: Some(request), ..Default::default() }
}

/// A header as Envoy sends it.
pub(crate) fn raw(key: &str, value: &str) -> HeaderValue {
    HeaderValue { key: key.to_owned(), raw_value: value.as_bytes().to_vec(), ..Default::default() }
}

pub(crate) fn map(fields: &[HeaderValue]) -> HeaderMap {
    HeaderMap { headers: fields.to_vec() }
}
