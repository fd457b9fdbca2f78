//! Envoy's messages: [`Event`]s out of requests, responses out of [`Reply`]s.

use cellgate_routing::{Config, Decision, PROBLEM_CONTENT_TYPE, Reason, problem};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, ImmediateResponse, ProcessingRequest,
    ProcessingResponse, ProtocolConfiguration, StreamedBodyResponse, TrailersResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};

use crate::fields;
use crate::process::message::{Change, Event, Mode, Reply};

/// The namespace of the dynamic metadata: `%DYNAMIC_METADATA(cellgate:reason)%` in an access log.
const METADATA: &str = "cellgate";

/// The filter is configured in a way that cannot route, or a message is none that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// The header reply of STREAMED comes too late or not at all; BUFFERED_PARTIAL loses it at random.
    #[error("request_body_mode {0} cannot route: use BUFFERED, FULL_DUPLEX_STREAMED or NONE")]
    BodyMode(&'static str),
    /// We have no business with responses.
    #[error("response bodies are not processed: set response_body_mode: NONE")]
    ResponseBody,
    /// Whatever we say is ignored.
    #[error("observability_mode cannot route: set it to false")]
    Observability,
    /// Which body mode, we would have to guess.
    #[error("the first message has no protocol_config: Envoy 1.36 and later send one")]
    NoProtocolConfig,
    /// A message without content.
    #[error("a message that is neither headers, body nor trailers")]
    Empty,
}

/// The body mode that the first message of a stream announces.
pub(super) fn mode(first: &ProcessingRequest) -> Result<Mode, Unusable> {
    if first.observability_mode {
        return Err(Unusable::Observability);
    }
    let Some(ProtocolConfiguration { request_body_mode, response_body_mode, .. }) = first.protocol_config else {
        return Err(Unusable::NoProtocolConfig);
    };
    if response_body_mode != BodySendMode::None as i32 {
        return Err(Unusable::ResponseBody);
    }
    match BodySendMode::try_from(request_body_mode) {
        Ok(BodySendMode::None) => Ok(Mode::HeadersOnly),
        Ok(BodySendMode::Buffered) => Ok(Mode::Buffered),
        Ok(BodySendMode::FullDuplexStreamed) => Ok(Mode::Duplex),
        Ok(other) => Err(Unusable::BodyMode(other.as_str_name())),
        Err(_) => Err(Unusable::BodyMode("(unknown)")),
    }
}

/// What a message says.
pub(super) fn event(message: ProcessingRequest) -> Result<Event, Unusable> {
    Ok(match message.request.ok_or(Unusable::Empty)? {
        Request::RequestHeaders(head) => {
            Event::RequestHeaders { fields: fields::from_envoy(head.headers), end_of_stream: head.end_of_stream }
        }
        Request::RequestBody(body) => Event::RequestBody { chunk: body.body.into(), end_of_stream: body.end_of_stream },
        Request::RequestTrailers(trailers) => Event::RequestTrailers(fields::from_envoy(trailers.trailers)),
        Request::ResponseHeaders(_) => Event::ResponseHeaders,
        Request::ResponseTrailers(_) => Event::ResponseTrailers,
        Request::ResponseBody(_) => return Err(Unusable::ResponseBody),
    })
}

/// The message for a reply. `config` is the one the request was decided with.
pub(super) fn response(reply: Reply, config: &Config) -> ProcessingResponse {
    let (response, metadata) = match reply {
        Reply::Headers(change) => {
            let metadata = change.decision.map(|decision| metadata(decision.reason, Some(decision), config));
            (Response::RequestHeaders(HeadersResponse { response: Some(common(change, config)) }), metadata)
        }
        Reply::Body(change) => {
            let metadata = change.decision.map(|decision| metadata(decision.reason, Some(decision), config));
            (Response::RequestBody(BodyResponse { response: Some(common(change, config)) }), metadata)
        }
        Reply::Piece { bytes, end_of_stream } => {
            let piece = StreamedBodyResponse { body: bytes.into(), end_of_stream, ..Default::default() };
            let body_mutation = Some(BodyMutation { mutation: Some(Mutation::StreamedResponse(piece)) });
            let common = CommonResponse { body_mutation, ..Default::default() };
            (Response::RequestBody(BodyResponse { response: Some(common) }), None)
        }
        Reply::Trailers { remove } => {
            let header_mutation = Some(HeaderMutation { remove_headers: remove, ..Default::default() });
            (Response::RequestTrailers(TrailersResponse { header_mutation }), None)
        }
        Reply::ResponseHeaders => (Response::ResponseHeaders(HeadersResponse::default()), None),
        Reply::ResponseTrailers => (Response::ResponseTrailers(TrailersResponse::default()), None),
        Reply::Immediate { status, reason, grpc } => {
            (Response::ImmediateResponse(immediate(status, reason, grpc)), Some(metadata(reason, None, config)))
        }
    };
    ProcessingResponse { response: Some(response), dynamic_metadata: metadata, ..Default::default() }
}

fn common(change: Change, config: &Config) -> CommonResponse {
    let cell = change.cell();
    let mut mutation = HeaderMutation { remove_headers: change.remove, ..Default::default() };
    if let Some(cell) = cell {
        // Overwriting removes every value by itself, in whatever order Envoy takes the two lists.
        mutation.remove_headers.retain(|name| **name != *config.routing_header);
        mutation.set_headers.push(set(&config.routing_header, config.cell_name(cell)));
    }
    // Also without a cell: the stripped headers may have picked the route.
    CommonResponse { header_mutation: Some(mutation), clear_route_cache: true, ..Default::default() }
}

fn immediate(status: u16, reason: Reason, grpc: bool) -> ImmediateResponse {
    let mut headers = HeaderMutation::default();
    if !grpc {
        headers.set_headers.push(set("content-type", PROBLEM_CONTENT_TYPE));
    }
    if reason == Reason::Overloaded {
        headers.set_headers.push(set("retry-after", "1"));
    }
    ImmediateResponse {
        status: Some(HttpStatus { code: i32::from(status) }),
        headers: Some(headers),
        body: if grpc { reason.text().into() } else { problem(status, reason).into() },
        details: format!("cellgate_{}", reason.label()),
        ..Default::default()
    }
}

/// One value in place of all there are. The default action would append a second one.
fn set(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.into(), raw_value: value.into(), ..Default::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        ..Default::default()
    }
}

fn metadata(reason: Reason, decision: Option<Decision>, config: &Config) -> Struct {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
    let mut fields = vec![("reason".to_owned(), text(reason.label()))];
    let change = Change { decision, ..Default::default() };
    if let Some(cell) = change.cell() {
        fields.push(("cell".to_owned(), text(config.cell_name(cell))));
    }
    let inner = Value { kind: Some(Kind::StructValue(Struct { fields: fields.into_iter().collect() })) };
    Struct { fields: std::iter::once((METADATA.to_owned(), inner)).collect() }
}
