//! Converts [`Reply`]s to Envoy's messages.

use cellgate_routing::{CellId, Config, PROBLEM_CONTENT_TYPE, Reason, grpc_message, problem};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, ImmediateResponse, ProcessingResponse,
    TrailersResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use crate::process::codec::OutgoingMessage;
use crate::process::event::{HeadMutation, Reply};

/// The namespace of the dynamic metadata: `%DYNAMIC_METADATA(cellgate:reason)%` in an access log.
const METADATA: &str = "cellgate";

/// The message of a reply. `config` must be the one that decided the request.
pub(super) fn response(reply: Reply, config: &Config) -> OutgoingMessage {
    let (response, dynamic_metadata) = match reply {
        Reply::Headers(change) => {
            let metadata = decision_metadata(&change, config);
            (Response::RequestHeaders(HeadersResponse { response: Some(common(change, config)) }), metadata)
        }
        Reply::Body(change) => {
            let metadata = decision_metadata(&change, config);
            (Response::RequestBody(BodyResponse { response: Some(common(change, config)) }), metadata)
        }
        Reply::BodyChunk { bytes, end_of_stream } => return OutgoingMessage::BodyChunk { bytes, end_of_stream },
        Reply::Trailers { remove } => {
            let mutation = HeaderMutation { remove_headers: remove, ..Default::default() };
            (Response::RequestTrailers(TrailersResponse { header_mutation: Some(mutation) }), None)
        }
        Reply::ResponseHeaders => (Response::ResponseHeaders(HeadersResponse::default()), None),
        Reply::ResponseTrailers => (Response::ResponseTrailers(TrailersResponse::default()), None),
        Reply::Immediate { status, reason, grpc, refused_type } => {
            let body = if grpc { grpc_message(reason) } else { problem(status, reason, refused_type.as_deref()) };
            (Response::ImmediateResponse(immediate(status, reason, grpc, body)), Some(metadata(reason, None, config)))
        }
    };
    OutgoingMessage::Response(Box::new(ProcessingResponse {
        response: Some(response),
        dynamic_metadata,
        ..Default::default()
    }))
}

fn common(change: HeadMutation, config: &Config) -> CommonResponse {
    let (cell, mut remove_headers) = (change.cell(), change.remove);
    let set_headers = cell.map(|cell| {
        // Overwriting replaces all values. Removing the header too would depend on the order of Envoy's mutations.
        remove_headers.retain(|name| **name != *config.routing_header);
        set(&config.routing_header, config.cell_name(cell))
    });
    let mutation = HeaderMutation { set_headers: Vec::from_iter(set_headers), remove_headers };
    // Even without a cell: the route may have matched a header that is now removed.
    CommonResponse { header_mutation: Some(mutation), clear_route_cache: true, ..Default::default() }
}

fn immediate(status: u16, reason: Reason, grpc: bool, body: String) -> ImmediateResponse {
    let mut set_headers = Vec::new();
    if !grpc {
        set_headers.push(set("content-type", PROBLEM_CONTENT_TYPE));
    }
    if reason == Reason::Overloaded {
        set_headers.push(set("retry-after", "1"));
    }
    ImmediateResponse {
        status: Some(HttpStatus { code: status.into() }),
        headers: Some(HeaderMutation { set_headers, ..Default::default() }),
        body: body.into_bytes(),
        details: format!("cellgate_{}", reason.label()),
        ..Default::default()
    }
}

/// Replaces all values of a header. Envoy's default action would append one.
fn set(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), raw_value: value.as_bytes().to_vec(), ..Default::default() };
    HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        ..Default::default()
    }
}

/// The metadata of a mutation that carries a decision.
fn decision_metadata(change: &HeadMutation, config: &Config) -> Option<Struct> {
    change.decision.map(|decision| metadata(decision.reason, change.cell(), config))
}

/// `dynamic_metadata`: `{"cellgate": {"reason": ..., "cell": ...}}`.
fn metadata(reason: Reason, cell: Option<CellId>, config: &Config) -> Struct {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let reason = ("reason".to_owned(), text(reason.label()));
    let cell = cell.map(|cell| ("cell".to_owned(), text(config.cell_name(cell))));
    let namespace = Struct { fields: std::iter::once(reason).chain(cell).collect() };
    let namespace = Value { kind: Some(Kind::StructValue(namespace)) };
    Struct { fields: [(METADATA.to_owned(), namespace)].into() }
}

#[cfg(test)]
mod tests;
