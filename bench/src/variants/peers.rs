//! Alternatives to Cellgate: other ways to route a request to its cell by its body.
//!
//! Each alternative is as fast and as correct as we could make it, and each file lists its remaining faults. The naive
//! filter and service are in `bench/filters/naive` and [`crate::naive_service`].

use std::path::PathBuf;

use cellgate_tests::options::{BodyMode, Chain, sample_config};

use crate::cases::{Case, NamedBy};
use crate::content::Content;
use crate::variant::{Proxy, Service, Variant, own_service, whole_body};

mod go_router;
mod grpc_field_extraction;
mod haproxy;
mod json_to_metadata;
mod lua;
mod transform;

/// The table.
pub(crate) const ALL: &[Variant] = &[
    Variant {
        name: "lua",
        title: "Envoy's Lua, one pattern",
        adjust: |bootstrap| lua::install(bootstrap, lua::Matching::Pattern),
        reads: |content| content.is_json() || content == Content::Ndjson,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "lua-search",
        title: "Envoy's Lua, plain search",
        adjust: |bootstrap| lua::install(bootstrap, lua::Matching::Search),
        reads: |content| content.is_json() || content == Content::Ndjson,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "lua-multipart",
        title: "Envoy's Lua, search for the field of a form",
        adjust: |bootstrap| lua::install(bootstrap, lua::Matching::Multipart),
        reads: |content| content == Content::Multipart,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "grpc-field-extraction",
        title: "Envoy's grpc_field_extraction, and Lua",
        adjust: grpc_field_extraction::install,
        reads: |content| content == Content::Grpc,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "json-to-metadata",
        title: "Envoy's json_to_metadata",
        adjust: json_to_metadata::install,
        proof: json_to_metadata::proof,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "transform",
        title: "Envoy's transform",
        adjust: transform::install,
        proof: transform::proof,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "haproxy",
        title: "HAProxy's json_query, no Envoy",
        proxy: Proxy::Other(|scene| Box::pin(haproxy::start(scene))),
        can: haproxy::can,
        ..PEER
    },
    Variant {
        name: "naive-filter",
        title: "naive wasm filter, serde_json",
        chain: Chain::Filter,
        module: Some("cellgate_bench_naive.wasm"),
        config: sample_config,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "naive-service",
        title: "naive ext_proc, serde_json, BUFFERED",
        service: Service::Other(|| own_service("naive-service")),
        ..SERVICE
    },
    Variant {
        name: "go-router",
        title: "Go ext_proc with encoding/json, BUFFERED",
        service: Service::Other(|| Ok(go_router::command())),
        ..SERVICE
    },
];

/// The installed programs of alternatives: name, path, and the option that prints the version.
pub(crate) fn programs() -> Vec<(&'static str, PathBuf, &'static str)> {
    let haproxy = haproxy::installed().map(|program| ("HAProxy", program, "-v"));
    let go = go_router::command().map(|_| ("Go", PathBuf::from("go"), "version"));
    haproxy.into_iter().chain(go).collect()
}

/// The common part of all alternatives: they decide by the body.
const PEER: Variant = Variant { named_by: NamedBy::Body, ..Variant::PLAIN };

/// The common part of all services.
const SERVICE: Variant =
    Variant { chain: Chain::Service(BodyMode::Buffered), proof: a_stream_each, can: whole_body, ..PEER };

fn a_stream_each(_: &Case, requests: u64) -> Option<(&'static str, u64)> {
    Some(("cluster.ext-proc.upstream_rq_total", requests))
}
