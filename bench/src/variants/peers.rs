//! What a user would pick instead of Cellgate: other ways to bring a request to its cell by what its body says.
//!
//! Each is as good as we could make it, and each file says what it gets wrong all the same. The filter and the service
//! that everybody writes first are in `bench/filters/naive` and [`crate::naive_service`].

use std::path::PathBuf;

use cellgate_tests::options::{BodyMode, Chain, sample_config};

use crate::cases::{Case, NamedBy};
use crate::variant::{Proxy, Service, Variant, own_service, whole_body};

mod go_router;
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
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "lua-search",
        title: "Envoy's Lua, plain search",
        adjust: |bootstrap| lua::install(bootstrap, lua::Matching::Search),
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
        title: "the wasm filter that everybody writes first",
        chain: Chain::Filter,
        module: Some("cellgate_bench_naive.wasm"),
        config: sample_config,
        can: whole_body,
        ..PEER
    },
    Variant {
        name: "naive-service",
        title: "the ext_proc that everybody writes first, BUFFERED",
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

/// What of others is installed here: its name, the program, and the option that makes it tell its version.
pub(crate) fn programs() -> Vec<(&'static str, PathBuf, &'static str)> {
    let haproxy = haproxy::installed().map(|program| ("HAProxy", program, "-v"));
    let go = go_router::command().map(|_| ("Go", PathBuf::from("go"), "version"));
    haproxy.into_iter().chain(go).collect()
}

/// All peers decide by the body.
const PEER: Variant = Variant { named_by: NamedBy::Body, ..Variant::PLAIN };

/// What all services have in common.
const SERVICE: Variant =
    Variant { chain: Chain::Service(BodyMode::Buffered), proof: a_stream_each, can: whole_body, ..PEER };

fn a_stream_each(_: &Case, requests: u64) -> Option<(&'static str, u64)> {
    Some(("cluster.ext-proc.upstream_rq_total", requests))
}
