//! The ext-proc filter, with or without a matcher on the deferral header.

use std::time::Duration;

use serde_json::{Value, json};

use super::bootstrap::{seconds, typed};
use crate::options::BodyMode;

/// The cluster of the ext-proc service.
pub(super) const CLUSTER: &str = "ext-proc";

const DEFER: &str = "x-cellgate-defer";

/// Opens a stream to the service for deferred requests only, in the body mode of the deferral.
pub(super) fn on_deferral(message_timeout: Duration) -> Value {
    let buffer = on("buffer;", processor(processing_mode(BodyMode::Buffered), message_timeout));
    let stream = on("stream;", processor(processing_mode(BodyMode::Streamed), message_timeout));
    let headers = on("headers;", processor(headers_only(), message_timeout));
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
pub(super) fn always(mode: BodyMode, message_timeout: Duration) -> Value {
    json!({"name": "cellgate-ext-proc", "typed_config": processor(processing_mode(mode), message_timeout)})
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

fn processor(processing_mode: Value, message_timeout: Duration) -> Value {
    typed(
        "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        json!({
            "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}},
            "message_timeout": seconds(message_timeout),
            "processing_mode": processing_mode,
            "status_on_error": {"code": "ServiceUnavailable"},
            "metadata_options": {
                // Without it, Envoy drops the service's metadata for the access log.
                "receiving_namespaces": {"untyped": ["cellgate"]},
                // Without it, Envoy does not send verified claims.
                "forwarding_namespaces": {"untyped": ["envoy.filters.http.jwt_authn"]},
            },
        }),
    )
}

fn processing_mode(mode: BodyMode) -> Value {
    let body = match mode {
        BodyMode::Buffered => "BUFFERED",
        BodyMode::Streamed => "FULL_DUPLEX_STREAMED",
    };
    // Reserved trailers must be removed too, and Envoy rejects the streamed mode without trailers.
    request_side(body, "SEND")
}

fn headers_only() -> Value {
    request_side("NONE", "SKIP")
}

fn request_side(body: &str, trailers: &str) -> Value {
    json!({
        "request_header_mode": "SEND",
        "request_body_mode": body,
        "request_trailer_mode": trailers,
        "response_header_mode": "SKIP",
        "response_trailer_mode": "SKIP",
    })
}
