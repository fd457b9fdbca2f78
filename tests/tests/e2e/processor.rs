//! Envoy's side of an ext_proc stream, by hand.

use std::net::SocketAddr;

use cellgate_tests::wait;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, ProcessingRequest, ProtocolConfiguration};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Envoy sends at most this many bytes in a chunk.
const CHUNK: usize = 64 * 1024;

/// A connection to the service.
pub(crate) async fn connect(address: SocketAddr) -> ExternalProcessorClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    ExternalProcessorClient::new(endpoint.connect().await.unwrap()).max_encoding_message_size(256 << 20)
}

/// The messages of a POST in this mode: its head, and its body, which is one message or comes in chunks.
pub(crate) fn messages(mode: BodySendMode, fields: &[(&str, &str)], body: &[u8]) -> Vec<ProcessingRequest> {
    let size = if mode == BodySendMode::Buffered { body.len().max(1) } else { CHUNK };
    let count = body.len().div_ceil(size);
    let chunks = body.chunks(size).enumerate().map(|(number, chunk)| {
        let body = HttpBody { body: chunk.to_vec(), end_of_stream: number + 1 == count, ..Default::default() };
        ProcessingRequest { request: Some(Request::RequestBody(body)), ..Default::default() }
    });
    [head(mode, fields)].into_iter().chain(chunks).collect()
}

/// The first message of a POST's stream.
pub(crate) fn head(mode: BodySendMode, fields: &[(&str, &str)]) -> ProcessingRequest {
    let all = [(":method", "POST"), (":path", "/")].iter().chain(fields);
    let headers = all
        .map(|(key, value)| HeaderValue {
            key: (*key).to_owned(),
            raw_value: value.as_bytes().to_vec(),
            ..Default::default()
        })
        .collect();
    let headers = HttpHeaders { headers: Some(HeaderMap { headers }), ..Default::default() };
    let protocol_config = ProtocolConfiguration { request_body_mode: mode as i32, ..Default::default() };
    ProcessingRequest {
        request: Some(Request::RequestHeaders(headers)),
        protocol_config: Some(protocol_config),
        ..Default::default()
    }
}

/// Sends the messages and reads all replies, to the end of the stream.
pub(crate) async fn process(
    client: &ExternalProcessorClient<Channel>,
    messages: Vec<ProcessingRequest>,
) -> Result<Vec<Response>, Status> {
    let exchange = async {
        let mut replies = Vec::new();
        let mut stream = match client.clone().process(tokio_stream::iter(messages)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        loop {
            match stream.message().await {
                Ok(Some(reply)) => replies.extend(reply.response),
                Ok(None) => return Ok(Ok(replies)),
                Err(status) => return Ok(Err(status)),
            }
        }
    };
    match wait::within("the replies", exchange).await {
        Ok(replies) => replies,
        Err(error) => Err(Status::new(Code::DeadlineExceeded, error.to_string())),
    }
}

/// The decision that replies carry: `cell-b`, or a status and the reason, `400 body_malformed`.
pub(crate) fn decision(replies: &[Response]) -> String {
    let refusal = replies.iter().find_map(|reply| match reply {
        Response::ImmediateResponse(immediate) => {
            let status = immediate.status.as_ref().map_or(0, |status| status.code);
            Some(format!("{status} {}", immediate.details.trim_start_matches("cellgate_")))
        }
        _ => None,
    });
    let cell = || {
        let mutations = replies.iter().filter_map(|reply| match reply {
            Response::RequestHeaders(headers) => headers.response.as_ref()?.header_mutation.as_ref(),
            Response::RequestBody(body) => body.response.as_ref()?.header_mutation.as_ref(),
            _ => None,
        });
        let mut set = mutations.flat_map(|mutation| &mutation.set_headers).filter_map(|option| option.header.as_ref());
        set.find(|header| header.key == "x-cell").map(|header| String::from_utf8_lossy(&header.raw_value).into_owned())
    };
    refusal.or_else(cell).unwrap_or_else(|| "nothing".to_owned())
}
