//! Bodies with a Content-Encoding: Cellgate decodes them itself, or Envoy does before the filter.

use cellgate_tests::options::{BodyMode, Chain};
use serde_json::{Value, json};

use super::ours::{CELLGATE, STREAMS, inspecting};
use crate::bootstrap::insert_filter;
use crate::cases::{BUFFER_LIMIT, Case};
use crate::content::{Coding, Content};
use crate::variant::{Service, Variant, whole_body};

/// The table.
pub(crate) const ALL: &[Variant] = &[
    Variant {
        name: "filter-encoded",
        title: "Cellgate's filter, decoding",
        chain: Chain::Filter,
        reads: |content| content == Content::Encoded(Coding::Gzip),
        ..DECODING
    },
    Variant {
        name: "two-tier-encoded",
        title: "Cellgate's filter, decoding, with the service behind it",
        chain: Chain::TwoTier,
        service: Service::Cellgate,
        proof: |case, requests| {
            let is_for_the_filter = case.content == Content::Encoded(Coding::Gzip);
            Some((STREAMS, if is_for_the_filter { 0 } else { requests }))
        },
        ..DECODING
    },
    Variant {
        name: "service-encoded-buffered",
        title: "Cellgate's service, decoding, BUFFERED",
        chain: Chain::Service(BodyMode::Buffered),
        service: Service::Cellgate,
        proof: |_, requests| Some((STREAMS, requests)),
        can: whole_body,
        ..DECODING
    },
    Variant {
        name: "service-encoded-streamed",
        title: "Cellgate's service, decoding, FULL_DUPLEX_STREAMED",
        chain: Chain::Service(BodyMode::Streamed),
        service: Service::Cellgate,
        proof: |_, requests| Some((STREAMS, requests)),
        ..DECODING
    },
    Variant {
        name: "decompressor",
        title: "Envoy's decompressor, Cellgate's filter behind it",
        chain: Chain::Filter,
        config: || inspecting(BUFFER_LIMIT),
        adjust: decompress_first,
        proof: |case, requests| decompressions(case).map(|counter| (counter, requests)),
        decodes: true,
        ..DECODING
    },
];

/// The common part.
const DECODING: Variant =
    Variant { config: decoding, reads: |content| matches!(content, Content::Encoded(_)), ..CELLGATE };

fn decoding() -> Value {
    let mut config = inspecting(BUFFER_LIMIT);
    if let Some(fields) = config.as_object_mut() {
        fields.insert("content_encodings".to_owned(), json!(["gzip", "zstd"]));
    }
    config
}

fn decompress_first(bootstrap: &mut Value) {
    for (library, message) in [("gzip", "Gzip"), ("zstd", "Zstd")] {
        let library = json!({
            "name": library,
            "typed_config": {
                "@type": format!("type.googleapis.com/envoy.extensions.compression.{library}.decompressor.v3.{message}"),
            },
        });
        let filter = json!({
            "name": "envoy.filters.http.decompressor",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor",
                "decompressor_library": library,
            },
        });
        insert_filter(bootstrap, filter);
    }
}

/// Envoy's counter of decompressed requests.
fn decompressions(case: &Case) -> Option<&'static str> {
    match case.content {
        Content::Encoded(Coding::Gzip) => Some("http.in.decompressor.gzip.gzip.request.decompressed"),
        Content::Encoded(Coding::Zstd) => Some("http.in.decompressor.zstd.zstd.request.decompressed"),
        _ => None,
    }
}
