//! The ext-proc filter, with or without a matcher on the deferral header.

use std::time::Duration;

use serde_json::{Value, json};

use super::bootstrap::{seconds, typed};
use crate::options::BodyMode;

/// The cluster of the ext-proc service.
pub(super) const CLUSTER: &str = "ext-proc";

const DEFER: &str = "x-cellgate-defer";

/// The parts of responses that the service may see.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseParts {
    /// The headers.
    pub(super) headers: bool,
    /// The trailers, or the end if there are none.
    pub(super) end: bool,
}

/// Opens a stream to the service for deferred requests only, in the body mode of the deferral.
pub(super) fn on_deferral(message_timeout: Duration, responses: ResponseParts) -> Value {
    let processor = |mode| processor(mode, message_timeout, responses);
    let buffer = on("buffer;", processor(processing_mode(BodyMode::Buffered, responses)));
    let stream = on("stream;", processor(processing_mode(BodyMode::Streamed, responses)));
    let headers = on("headers;", processor(headers_only()));
    json!({
        "name": "cellgate-ext-proc",
        "typed_config": typed("envoy.extensions.common.matching.v3.ExtensionWithMatcher", json!({
            "extension_config": {
                "name": "composite",
                "typed_config": typed("envoy.extensions.filters.http.composite.v3.Composite", json!({})),
            },
            "xds_matcher": {"matcher_list": {"matchers": [buffer, stream, headers]}},
        })),
    })
}

/// Opens a stream to the service for every request.
pub(super) fn always(mode: BodyMode, message_timeout: Duration, responses: ResponseParts) -> Value {
    let processor = processor(processing_mode(mode, responses), message_timeout, responses);
    json!({"name": "cellgate-ext-proc", "typed_config": processor})
}

fn on(mode: &str, processor: Value) -> Value {
    let input = typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", json!({"header_name": DEFER}));
    let action = typed(
        "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
        json!({
            "typed_config": {"name": "cellgate-ext-proc", "typed_config": processor},
        }),
    );
    json!({
        "predicate": {"single_predicate": {
            "input": {"name": "deferral", "typed_config": input},
            "value_match": {"prefix": mode},
        }},
        "on_match": {"action": {"name": "ask", "typed_config": action}},
    })
}

fn processor(processing_mode: Value, message_timeout: Duration, responses: ResponseParts) -> Value {
    typed(
        "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        json!({
            "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}},
            "message_timeout": seconds(message_timeout),
            "stat_prefix": "cellgate",
            "processing_mode": processing_mode,
            "allow_mode_override": responses.headers || responses.end,
            "status_on_error": {"code": "ServiceUnavailable"},
            // The filter's decision and the values of limits by `peer` and `client_address`. No client can write them.
            "request_attributes": [
                "filter_state['wasm.cellgate_handover']",
                "connection.uri_san_peer_certificate",
                "source.address",
            ],
            "metadata_options": {
                // Without it, Envoy drops the service's metadata for the access log.
                "receiving_namespaces": {"untyped": ["cellgate"]},
                // Without it, Envoy does not send verified claims.
                "forwarding_namespaces": {"untyped": ["envoy.filters.http.jwt_authn"]},
            },
        }),
    )
}

fn processing_mode(mode: BodyMode, responses: ResponseParts) -> Value {
    // Reserved trailers must be removed too, and Envoy rejects the streamed mode without trailers.
    match mode {
        BodyMode::Buffered => modes("BUFFERED", "SEND", ResponseParts { headers: false, end: false }),
        // Envoy ignores an override in this mode, so the setting is for every request.
        BodyMode::Streamed => modes("FULL_DUPLEX_STREAMED", "SEND", responses),
    }
}

fn headers_only() -> Value {
    modes("NONE", "SKIP", ResponseParts { headers: false, end: false })
}

fn modes(body: &str, trailers: &str, responses: ResponseParts) -> Value {
    let send = |is_sent| if is_sent { "SEND" } else { "SKIP" };
    json!({
        "request_header_mode": "SEND",
        "request_body_mode": body,
        "request_trailer_mode": trailers,
        "response_header_mode": send(responses.headers),
        "response_trailer_mode": send(responses.end),
    })
}
