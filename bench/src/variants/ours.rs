//! Envoy alone, the no-op variants, and Cellgate.

use cellgate_bench_documents::KeyAt;
use cellgate_tests::options::{BodyMode, Chain, sample_config};
use serde_json::{Value, json};

use crate::bootstrap::insert_filter;
use crate::cases::{BUFFER_LIMIT, Case, NamedBy};
use crate::content::Content;
use crate::exchange::Protocol;
use crate::variant::{Cannot, Service, Variant, own_service, whole_body};

/// Envoy's counter of streams to the ext-proc service.
pub(super) const STREAMS: &str = "cluster.ext-proc.upstream_rq_total";

/// `limits.inspect_bytes` for a filter that does not hold large bodies.
const PEEK: u32 = 16 * 1024;

/// `limits.inspect_bytes` for a filter that defers: the smallest value.
const DEFER: u32 = 1024;

/// The default of HTTP/2's SETTINGS_MAX_FRAME_SIZE.
const FRAME: usize = 16 * 1024;

/// The table. Envoy alone is first.
pub(crate) const ALL: &[Variant] = &[
    Variant { reads: |_| true, ..Variant::PLAIN },
    Variant {
        name: "wasm-noop",
        title: "no-op wasm filter",
        chain: Chain::Filter,
        module: Some("cellgate_bench_noop.wasm"),
        reads: |_| true,
        ..Variant::PLAIN
    },
    Variant {
        name: "wasm-copy",
        title: "wasm filter that holds and copies the body",
        chain: Chain::Filter,
        module: Some("cellgate_bench_copy.wasm"),
        proof: copied,
        can: whole_body,
        ..Variant::PLAIN
    },
    Variant {
        name: "wasm-copy-stream",
        title: "wasm filter that copies the body as it passes",
        chain: Chain::Filter,
        module: Some("cellgate_bench_copy.wasm"),
        config: || json!({"mode": "stream"}),
        proof: copied,
        ..Variant::PLAIN
    },
    Variant { name: "filter", title: "Cellgate's filter", chain: Chain::Filter, can: filter_alone, ..CELLGATE },
    Variant {
        name: "filter-formats",
        title: "Cellgate's filter, with sources of other formats",
        chain: Chain::Filter,
        config: sources_of_other_formats,
        reads: Content::is_of_another_format,
        ..CELLGATE
    },
    Variant {
        name: "filter-peek",
        title: "Cellgate's filter, releasing at the key",
        chain: Chain::Filter,
        config: || inspecting(PEEK),
        can: released_early,
        ..CELLGATE
    },
    Variant {
        name: "two-tier",
        title: "Cellgate's filter, with the service behind it",
        chain: Chain::TwoTier,
        service: Service::Cellgate,
        proof: |case, requests| Some((STREAMS, if is_deferred(case) { requests } else { 0 })),
        ..CELLGATE
    },
    Variant {
        name: "defer-buffer",
        title: "Cellgate's filter deferring to the service, BUFFERED",
        chain: Chain::TwoTier,
        config: || inspecting(DEFER),
        adjust: defer_into_a_buffer,
        service: Service::Cellgate,
        proof: a_stream_each,
        can: |case| deferred(case).and_then(|()| whole_body(case)),
        ..CELLGATE
    },
    Variant {
        name: "defer-stream",
        title: "Cellgate's filter deferring to the service, FULL_DUPLEX_STREAMED",
        chain: Chain::TwoTier,
        config: || inspecting(DEFER),
        service: Service::Cellgate,
        proof: a_stream_each,
        can: deferred,
        ..CELLGATE
    },
    Variant {
        name: "ext-proc-noop-buffered",
        title: "no-op ext_proc, BUFFERED",
        chain: Chain::Service(BodyMode::Buffered),
        reads: |_| true,
        can: whole_body,
        ..NOOP_SERVICE
    },
    Variant {
        name: "service-buffered",
        title: "Cellgate's service, BUFFERED",
        chain: Chain::Service(BodyMode::Buffered),
        service: Service::Cellgate,
        proof: a_stream_each,
        can: whole_body,
        ..CELLGATE
    },
    Variant {
        name: "service-formats",
        title: "Cellgate's service, with sources of other formats, BUFFERED",
        chain: Chain::Service(BodyMode::Buffered),
        config: sources_of_other_formats,
        service: Service::Cellgate,
        proof: a_stream_each,
        reads: Content::is_of_another_format,
        ..CELLGATE
    },
    Variant {
        name: "ext-proc-noop-streamed",
        title: "no-op ext_proc, FULL_DUPLEX_STREAMED",
        chain: Chain::Service(BodyMode::Streamed),
        ..NOOP_SERVICE
    },
    Variant {
        name: "service-streamed",
        title: "Cellgate's service, FULL_DUPLEX_STREAMED",
        chain: Chain::Service(BodyMode::Streamed),
        service: Service::Cellgate,
        proof: a_stream_each,
        ..CELLGATE
    },
    Variant {
        name: "service-traced",
        title: "Cellgate's service, FULL_DUPLEX_STREAMED, with traces of 1 % of the requests",
        chain: Chain::Service(BodyMode::Streamed),
        service: Service::TracedCellgate,
        proof: a_stream_each,
        ..CELLGATE
    },
    Variant {
        name: "ext-proc-noop-headers",
        title: "no-op ext_proc, headers only",
        adjust: headers_only,
        ..NOOP_SERVICE
    },
    Variant {
        name: "service-headers",
        title: "Cellgate's service, headers only",
        config: key_in_a_header,
        adjust: headers_only,
        service: Service::Cellgate,
        named_by: NamedBy::Header,
        proof: a_stream_each,
        ..CELLGATE
    },
];

/// The common part of all variants with Cellgate.
pub(super) const CELLGATE: Variant =
    Variant { ours: true, config: || inspecting(BUFFER_LIMIT), named_by: NamedBy::Body, ..Variant::PLAIN };

/// The common part of all variants with the no-op service.
const NOOP_SERVICE: Variant =
    Variant { service: Service::Other(|| own_service("noop-service")), proof: a_stream_each, ..Variant::PLAIN };

/// Cellgate's configuration with an `inspect_bytes`.
pub(crate) fn inspecting(bytes: u32) -> Value {
    let mut config = sample_config();
    if let Some(fields) = config.as_object_mut() {
        fields.insert("limits".to_owned(), json!({"inspect_bytes": bytes}));
    }
    config
}

/// Not for JSON: a build that is compared may be older than these sources.
fn sources_of_other_formats() -> Value {
    let mut config = inspecting(BUFFER_LIMIT);
    if let Some(fields) = config.as_object_mut() {
        let sources = json!([{"ndjson": "/tenant/id"}, {"multipart": "tenant"}, {"protobuf": "1"}]);
        fields.insert("key".to_owned(), sources);
    }
    config
}

fn key_in_a_header() -> Value {
    let mut config = inspecting(BUFFER_LIMIT);
    if let Some(fields) = config.as_object_mut() {
        fields.insert("key".to_owned(), json!([{"header": crate::cases::TENANT_HEADER}, {"json": "/tenant/id"}]));
    }
    config
}

fn copied(case: &Case, requests: u64) -> Option<(&'static str, u64)> {
    Some(("wasmcustom.bench.copied_bytes", requests * case.bytes() as u64))
}

fn a_stream_each(_: &Case, requests: u64) -> Option<(&'static str, u64)> {
    Some((STREAMS, requests))
}

/// Whether the filter defers even if it may hold as much as Envoy can buffer.
fn is_deferred(case: &Case) -> bool {
    case.key == KeyAt::Last && case.bytes() > BUFFER_LIMIT as usize
}

/// A deferred request has no service, and Envoy answers a request without a cell with a 421.
fn filter_alone(case: &Case) -> Result<(), Cannot> {
    if is_deferred(case) { Err(Cannot::Status(421)) } else { Ok(()) }
}

fn released_early(case: &Case) -> Result<(), Cannot> {
    match case.key {
        _ if case.bytes() <= PEEK as usize => Err(Cannot::Pointless("the body is held")),
        KeyAt::First => Ok(()),
        KeyAt::Last if is_deferred(case) => Err(Cannot::Status(421)),
        KeyAt::Last => Err(Cannot::Pointless("the key may or may not be in the first read")),
    }
}

/// The cases that the filter always defers. Over HTTP/1.1 the first chunk may have as many bytes as Envoy can buffer,
/// and the filter can decide a body that is complete. Over HTTP/2 the first chunk is one or two frames.
fn deferred(case: &Case) -> Result<(), Cannot> {
    let seen_at_first = match case.protocol {
        Protocol::Http1 => BUFFER_LIMIT as usize,
        Protocol::Http2 => 2 * FRAME,
    };
    let deferred = case.key == KeyAt::Last && case.bytes() > seen_at_first;
    if deferred { Ok(()) } else { Err(Cannot::Pointless("the filter may decide it")) }
}

/// Configures the ext_proc filter to send headers only.
fn headers_only(bootstrap: &mut Value) {
    let filter = json!({
        "name": "ext-proc",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": "ext-proc"}},
            "message_timeout": "10s",
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": "NONE",
                "request_trailer_mode": "SKIP",
                "response_header_mode": "SKIP",
                "response_trailer_mode": "SKIP",
            },
        },
    });
    insert_filter(bootstrap, filter);
}

/// Changes ext_proc's body mode to `BUFFERED`. The bodies here fit into Envoy's buffer, so one message is possible.
fn defer_into_a_buffer(bootstrap: &mut Value) {
    match bootstrap {
        Value::Object(fields) => {
            if let Some(mode) = fields.get_mut("request_body_mode").filter(|mode| **mode == "FULL_DUPLEX_STREAMED") {
                *mode = json!("BUFFERED");
            }
            fields.values_mut().for_each(defer_into_a_buffer);
        }
        Value::Array(items) => items.iter_mut().for_each(defer_into_a_buffer),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streamed_processor_becomes_a_buffered_one() {
        let mode = |mode: &str| json!({"filters": [{"processing_mode": {"request_body_mode": mode}}]});
        let mut bootstrap = mode("FULL_DUPLEX_STREAMED");
        defer_into_a_buffer(&mut bootstrap);
        assert_eq!(bootstrap, mode("BUFFERED"));
        let mut headers = mode("NONE");
        defer_into_a_buffer(&mut headers);
        assert_eq!(headers, mode("NONE"));
    }

    #[test]
    fn the_filter_alone_supports_the_cases_that_it_does_not_defer() {
        for case in Case::all() {
            let service = ALL.iter().find(|variant| variant.name == "two-tier").unwrap();
            let asked = (service.proof)(&case, 7) == Some((STREAMS, 7));
            assert_eq!(filter_alone(&case).is_err(), asked, "{}", case.name());
        }
    }
}
