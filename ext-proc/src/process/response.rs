//! Converts [`Reply`]s to Envoy's messages.

use std::borrow::Cow;

use cellgate_limiting::XRateLimit;
use cellgate_routing::{CellId, Config, PROBLEM_CONTENT_TYPE, Reason, grpc_message, problem, quota_problem};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::{BodySendMode, HeaderSendMode};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, GrpcStatus, HeaderMutation, HeadersResponse, ImmediateResponse, ProcessingResponse,
    TrailersResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use tonic::Code;

use crate::process::codec::OutgoingMessage;
use crate::process::event::{BodyMode, HeadMutation, LimitFields, Reply, ResponseDemand};

/// The namespace of the dynamic metadata: `%DYNAMIC_METADATA(cellgate:reason)%` in an access log.
const METADATA: &str = "cellgate";

/// The message of a reply. `config` must be the one that decided the request.
pub(super) fn response(reply: Reply, config: &Config) -> OutgoingMessage {
    let mut mode_override = None;
    let (response, dynamic_metadata) = match reply {
        Reply::Headers(change) => {
            mode_override = change.response.and_then(override_for);
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
        Reply::Immediate { status, reason, grpc, refused_type, limits } => {
            let body = match &limits {
                _ if grpc => grpc_message(reason),
                Some(limits) => quota_problem(status, reason, &limits.violated),
                None => problem(status, reason, refused_type.as_deref()),
            };
            let metadata = metadata(reason, None, limits.as_deref(), config);
            (Response::ImmediateResponse(immediate(status, reason, grpc, body, limits.as_deref())), Some(metadata))
        }
    };
    OutgoingMessage::Response(Box::new(ProcessingResponse {
        response: Some(response),
        dynamic_metadata,
        mode_override,
        ..Default::default()
    }))
}

/// The processing mode by which Envoy sends parts of the response. If it may have to send trailers, it keeps the stream open until
/// the response has ended. It has no effect without `allow_mode_override`. In FULL_DUPLEX_STREAMED mode Envoy ignores it, and
/// has the settings itself.
fn override_for(demand: ResponseDemand) -> Option<ProcessingMode> {
    let send = |is_needed| if is_needed { HeaderSendMode::Send } else { HeaderSendMode::Skip };
    let (body, trailers) = match demand.mode {
        BodyMode::HeadersOnly => (BodySendMode::None, HeaderSendMode::Skip),
        BodyMode::Buffered => (BodySendMode::Buffered, HeaderSendMode::Send),
        BodyMode::Duplex => return None,
    };
    Some(ProcessingMode {
        request_header_mode: HeaderSendMode::Send.into(),
        request_body_mode: body.into(),
        request_trailer_mode: trailers.into(),
        response_header_mode: send(demand.needs.headers).into(),
        response_body_mode: BodySendMode::None.into(),
        response_trailer_mode: send(demand.needs.end).into(),
    })
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

fn immediate(status: u16, reason: Reason, grpc: bool, body: String, limits: Option<&LimitFields>) -> ImmediateResponse {
    let mut set_headers = Vec::new();
    if !grpc {
        set_headers.push(set("content-type", PROBLEM_CONTENT_TYPE));
    }
    if reason == Reason::Overloaded {
        set_headers.push(set("retry-after", "1"));
    }
    let retry_after = limits.and_then(|limits| limits.retry_after);
    set_headers.extend(retry_after.map(|seconds| set("retry-after", &seconds.to_string())));
    set_headers.extend(limits.into_iter().flat_map(limit_fields).map(|(name, _, value)| set(name, &value)));
    // Envoy makes UNAVAILABLE of 429, which clients retry at once.
    let is_limited = grpc && matches!(reason, Reason::RateLimited | Reason::ConcurrencyLimited);
    let grpc_status = is_limited.then_some(GrpcStatus { status: Code::ResourceExhausted as u32 });
    ImmediateResponse {
        status: Some(HttpStatus { code: status.into() }),
        headers: Some(HeaderMutation { set_headers, ..Default::default() }),
        body: body.into_bytes(),
        grpc_status,
        details: format!("cellgate_{}", reason.label()),
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
    change.decision.map(|decision| metadata(decision.reason, change.cell(), change.limits.as_deref(), config))
}

/// The fields of rate limits: the response header, the name in dynamic metadata, and the value.
fn limit_fields(limits: &LimitFields) -> impl Iterator<Item = (&'static str, &'static str, Cow<'_, str>)> {
    let rate_limit = limits.rate_limit.as_deref().map(|value| ("ratelimit", "rate_limit", value.into()));
    let policy = limits.policy.as_deref().map(|value| ("ratelimit-policy", "rate_limit_policy", value.into()));
    let without_standard = limits.x_rate_limit.map(|XRateLimit { limit, remaining, reset }| {
        [
            ("x-ratelimit-limit", "x_rate_limit_limit", limit.to_string().into()),
            ("x-ratelimit-remaining", "x_rate_limit_remaining", remaining.to_string().into()),
            ("x-ratelimit-reset", "x_rate_limit_reset", reset.to_string().into()),
        ]
    });
    rate_limit.into_iter().chain(policy).chain(without_standard.into_iter().flatten())
}

/// `dynamic_metadata`: `{"cellgate": {"reason": ..., "cell": ...}}`, and the fields of rate limits.
fn metadata(reason: Reason, cell: Option<CellId>, limits: Option<&LimitFields>, config: &Config) -> Struct {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let reason = ("reason".to_owned(), text(reason.label()));
    let cell = cell.map(|cell| ("cell".to_owned(), text(config.cell_name(cell))));
    let limits = limits.into_iter().flat_map(limit_fields).map(|(_, key, value)| (key.to_owned(), text(&value)));
    let namespace = Struct { fields: std::iter::once(reason).chain(cell).chain(limits).collect() };
    let namespace = Value { kind: Some(Kind::StructValue(namespace)) };
    Struct { fields: [(METADATA.to_owned(), namespace)].into() }
}

#[cfg(test)]
mod tests;
