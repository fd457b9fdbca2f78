//! The hot paths: the work of every request, and of every start or change of the configuration.

use std::hint::black_box;
use std::sync::Arc;

use cellgate_bench_documents::{KeyAt, Kind, document, formats};
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::form::{FieldQuery, FormScanner};
use cellgate_routing::json::JsonScanner;
use cellgate_routing::multipart::MultipartScanner;
use cellgate_routing::placement::{Placement, Rules};
use cellgate_routing::{CellId, Decider, Duplicates, HeadResult, Outcome, Tier};

/// The chunk size of bodies that do not arrive whole.
const CHUNK: usize = 1024;

/// A hot path.
pub(crate) struct Path {
    /// The name in `budget.json`.
    pub(crate) name: &'static str,
    /// Prepares the path and returns a function that runs it once. The function returns `false` if the result is wrong.
    pub(crate) prepare: fn() -> Box<dyn FnMut() -> bool>,
}

/// All hot paths.
pub(crate) fn all() -> Vec<Path> {
    let path = |name, prepare| Path { name, prepare };
    vec![
        path("scan objects 256 B", || json(Kind::Objects, 256, usize::MAX)),
        path("scan objects 64 KB", || json(Kind::Objects, 64 << 10, usize::MAX)),
        path("scan objects 64 KB in pieces of 1 KB", || json(Kind::Objects, 64 << 10, CHUNK)),
        path("scan text 64 KB", || json(Kind::Text, 64 << 10, usize::MAX)),
        path("scan escaped 64 KB", || json(Kind::Escaped, 64 << 10, usize::MAX)),
        path("scan form 4 KB", form),
        path("scan multipart 64 KB", || multipart(usize::MAX)),
        path("scan multipart 64 KB in pieces of 1 KB", || multipart(CHUNK)),
        path("decide from head and body 256 B", || decide(256)),
        path("decide from head and body 4 KB", || decide(4 << 10)),
        path("decide gRPC 4 KB", || {
            decide_format("protobuf", "1", "application/grpc", formats::grpc_of_fields(4 << 10, "acme"))
        }),
        path("decide NDJSON 64 KB", || {
            decide_format("ndjson", "/tenant/id", "application/x-ndjson", formats::ndjson(64 << 10, "acme"))
        }),
        path("decide XML 4 KB", || {
            let place = "/{*}Envelope/{*}Body/{*}Order/{*}tenant";
            decide_format("xml", place, "text/xml; charset=utf-8", formats::xml(4 << 10, "acme"))
        }),
        path("decide MessagePack 4 KB", || {
            decide_format("msgpack", "/tenant", "application/msgpack", formats::msgpack(4 << 10, "acme"))
        }),
        path("decide from the head alone", decide_from_head),
        path("look up 1 key of 100 000", look_up),
        path("build placement of 10 000 keys", build),
        path("read a configuration", configure),
    ]
}

fn json(kind: Kind, size: usize, chunk: usize) -> Box<dyn FnMut() -> bool> {
    let document = document(kind, size, KeyAt::Last, "acme");
    let pointer = "/tenant/id".parse().into_iter().collect();
    let query = Arc::new(DocumentQuery::new(pointer, Duplicates::Reject, 64, 256));
    Box::new(move || {
        let mut scanner = JsonScanner::new(Arc::clone(&query));
        let bytes = black_box(document.as_bytes());
        let scanned = bytes.chunks(chunk.min(bytes.len())).try_for_each(|chunk| scanner.push(chunk));
        scanned.is_ok() && scanner.finish().is_ok() && matches!(scanner.candidate(0), Candidate::Found("acme"))
    })
}

fn form() -> Box<dyn FnMut() -> bool> {
    let mut body = String::new();
    for number in 0..4096 / 26 {
        body += &format!("field-{number:03}=a%20value+{number:03}&");
    }
    body += "tenant_id=acme";
    let query = Arc::new(FieldQuery::new(vec!["tenant_id".into()], Duplicates::Reject, 256));
    Box::new(move || {
        let mut scanner = FormScanner::new(Arc::clone(&query));
        let scanned = scanner.push(black_box(body.as_bytes()));
        scanned.is_ok() && scanner.finish().is_ok() && matches!(scanner.candidate(0), Candidate::Found("acme"))
    })
}

/// Three fields, a file of text and the key.
fn multipart(chunk: usize) -> Box<dyn FnMut() -> bool> {
    const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
    let part = |parameters: &str, content: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{content}\r\n")
    };
    let file = document(Kind::Text, 64 << 10, KeyAt::Last, "acme");
    let fields = part("name=\"title\"", "A holiday").repeat(3);
    let file = part("name=\"file\"; filename=\"a.json\"", &file);
    let body = format!("{fields}{file}{}--{BOUNDARY}--\r\n", part("name=\"tenant_id\"", "acme"));
    let query = Arc::new(FieldQuery::new(vec!["tenant_id".into()], Duplicates::Reject, 256));
    Box::new(move || {
        let mut scanner = MultipartScanner::new(Arc::clone(&query), BOUNDARY.as_bytes());
        let bytes = black_box(body.as_bytes());
        let scanned = bytes.chunks(chunk.min(bytes.len())).try_for_each(|chunk| scanner.push(chunk));
        scanned.is_ok() && scanner.finish().is_ok() && matches!(scanner.candidate(0), Candidate::Found("acme"))
    })
}

/// A configuration of ordinary size.
const CONFIG: &str = r#"{
    "version": "7", "routing_header": "x-cell", "cells": ["cell-a", "cell-b", "cell-c"],
    "key": [{"json": "/tenant/id"}, {"form": "tenant_id"}, {"header": "x-tenant-id"}],
    "placement": {"exact": {"acme": "cell-b", "globex": "cell-c"}, "default": "cell-a"}
}"#;

/// A typical request head.
const HEAD: [(&str, &str); 9] = [
    (":authority", "api.example.com"),
    (":path", "/api/orders?expand=lines"),
    (":method", "POST"),
    (":scheme", "https"),
    ("user-agent", "a-client/1.0"),
    ("accept", "*/*"),
    ("content-type", "application/json"),
    ("x-request-id", "0d9a4a2e-7f0e-4a5c-8c1e-5a1c1a3f9b11"),
    ("x-forwarded-proto", "https"),
];

fn decider() -> Option<Decider> {
    Some(Decider::new(cellgate_config::from_json(CONFIG, "budget.json").ok()?, Tier::Filter))
}

fn decide(size: usize) -> Box<dyn FnMut() -> bool> {
    let Some(decider) = decider() else { return Box::new(|| false) };
    let body = document(Kind::Objects, size, KeyAt::Last, "acme");
    Box::new(move || {
        let HeadResult::NeedsBody(mut reading) = decider.open(black_box(HEAD.as_slice()), false) else { return false };
        reading.push(black_box(body.as_bytes())).is_ok() && reading.finish().outcome == Outcome::Cell(CellId(1))
    })
}

/// A body of a format of its own, whose key is behind everything else.
fn decide_format(source: &str, place: &str, media_type: &'static str, body: Vec<u8>) -> Box<dyn FnMut() -> bool> {
    let config = CONFIG.replace(r#""json": "/tenant/id""#, &format!(r#""{source}": "{place}""#));
    let Ok(config) = cellgate_config::from_json(&config, "budget.json") else { return Box::new(|| false) };
    let decider = Decider::new(config, Tier::Filter);
    let of_type = |(name, value)| (name, if name == "content-type" { media_type } else { value });
    let head = HEAD.map(of_type);
    Box::new(move || {
        let HeadResult::NeedsBody(mut reading) = decider.open(black_box(head.as_slice()), false) else { return false };
        reading.push(black_box(&body)).is_ok() && reading.finish().outcome == Outcome::Cell(CellId(1))
    })
}

fn decide_from_head() -> Box<dyn FnMut() -> bool> {
    let Some(decider) = decider() else { return Box::new(|| false) };
    let head: Vec<_> = HEAD.into_iter().chain([("x-tenant-id", "globex")]).collect();
    Box::new(move || {
        let opening = decider.open(black_box(head.as_slice()), true);
        matches!(opening, HeadResult::Decided(decision) if decision.outcome == Outcome::Cell(CellId(2)))
    })
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("tenant-{number:08}")).collect()
}

fn placement(keys: &[String]) -> Placement {
    let exact = keys.iter().map(|key| (key.as_str(), CellId(1))).collect();
    Placement::new(Rules { exact, ..Rules::default() })
}

fn look_up() -> Box<dyn FnMut() -> bool> {
    let placement = placement(&keys(100_000));
    Box::new(move || placement.place(black_box("tenant-00061803")).is_some())
}

fn build() -> Box<dyn FnMut() -> bool> {
    let keys = keys(10_000);
    Box::new(move || placement(black_box(&keys)).place("tenant-00009999").is_some())
}

fn configure() -> Box<dyn FnMut() -> bool> {
    Box::new(|| cellgate_config::from_json(black_box(CONFIG), "budget.json").is_ok())
}
