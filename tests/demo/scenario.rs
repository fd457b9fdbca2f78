//! The requests of the demonstration, each with the result that it must have.

use bytes::Bytes;
use cellgate_tests::client::Request;
use serde_json::{Value, json};

use super::limits::rate_limits;

/// The listener's buffer limit, and therefore the default of `limits.inspect_bytes`. Istio's gateways use this limit.
pub(crate) const BUFFER_LIMIT: u32 = 32 * 1024;

/// The origin whose pages the example's Envoy allows.
const ORIGIN: &str = "https://app.example.com";

/// A named request and its expected result.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) key_in: &'static str,
    /// Unique, because it identifies the request's line in the access log.
    pub(crate) path: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) expected: Expected,
    method: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Body,
}

#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// The result that a request must have.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    /// A cell, or the status of an answer that comes from no cell.
    pub(crate) outcome: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) reason: &'static str,
}

enum Body {
    None,
    Whole(Bytes),
    Chunked(Vec<Bytes>),
}

impl Scenario {
    /// `expected`: outcome, tier and reason, as in `"cell-b filter override"`.
    fn new(name: &'static str, key_in: &'static str, path: &'static str, expected: &'static str) -> Self {
        let mut fields = expected.split(' ');
        let mut field = || fields.next().unwrap_or_default();
        let expected = Expected { outcome: field(), tier: field(), reason: field() };
        let (protocol, method) = (Protocol::Http1, "GET");
        Self { name, key_in, path, protocol, expected, method, headers: Vec::new(), body: Body::None }
    }

    fn http2(mut self) -> Self {
        self.protocol = Protocol::Http2;
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A cross-origin request from the page that Envoy allows.
    fn with_allowed_origin(self) -> Self {
        self.header("origin", ORIGIN)
    }

    fn preflight(mut self) -> Self {
        self.method = "OPTIONS";
        self.with_allowed_origin().header("access-control-request-method", "POST")
    }

    /// The origin of the page that sends it. The response must allow this origin (`access-control-allow-origin`).
    pub(crate) fn origin(&self) -> Option<&'static str> {
        self.headers.iter().find(|(name, _)| *name == "origin").map(|(_, value)| *value)
    }

    fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self.header("content-type", "application/json")
    }

    fn chunked(mut self, chunks: &[&'static str]) -> Self {
        self.body = Body::Chunked(chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect());
        self.header("content-type", "application/json")
    }

    fn form(mut self, body: &'static str) -> Self {
        self.body = Body::Whole(Bytes::from_static(body.as_bytes()));
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// The request as the client sends it.
    pub(crate) fn request(&self) -> Request {
        let method = if matches!(self.body, Body::None) { self.method } else { "POST" };
        let request = Request::new(method, self.path);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        match &self.body {
            Body::None => request,
            Body::Whole(bytes) => request.body(bytes.clone()),
            Body::Chunked(chunks) => request.pieces(chunks.clone()),
        }
    }

    /// All bytes of the body.
    pub(crate) fn body_bytes(&self) -> Vec<u8> {
        match &self.body {
            Body::None => Vec::new(),
            Body::Whole(bytes) => bytes.to_vec(),
            Body::Chunked(chunks) => chunks.concat(),
        }
    }
}

/// The configuration that both tiers start with.
pub(crate) fn config() -> Value {
    json!({
        "version": "demo-1",
        "routing_header": "x-cell",
        "cells": ["cell-a", "cell-b", "cell-c"],
        "key": [{"json": "/tenant/id"}, {"form": "tenant_id"}, {"header": "x-tenant-id"}, {"path": "/orgs/{key}"}],
        "placement": {
            "overrides": {"acme": "cell-b"},
            "prefixes": {"eu-": "cell-c"},
            "slots": {"seed": 7, "weights": {"cell-a": 1, "cell-b": 1, "cell-c": 1}}
        },
        "rate_limits": rate_limits(),
    })
}

/// The same configuration with tenant `acme` moved to another cell.
pub(crate) fn edited_config() -> Value {
    let mut config = config();
    config["version"] = json!("demo-2");
    config["placement"]["overrides"]["acme"] = json!("cell-c");
    config
}

const ACME: &str = r#"{"tenant":{"id":"acme"},"items":[1,2,3]}"#;

/// [`ACME`], compressed.
const ACME_GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xabV*I\xcdK\xcc+Q\xb2\xaaV\xcaLQ\xb2RJL\xceMU\xaa\xd5Q\xca,I\xcd-V\xb2\x8a6\xd41\xd21\x8e\xad\x05\x00\x16Sfb(\x00\x00\x00";

/// `{"tenant":{"id":"acme"}}`, compressed.
const ACME_ZSTD: &[u8] = b"(\xb5/\xfd \x18\xc1\0\0{\"tenant\":{\"id\":\"acme\"}}";

pub(crate) fn before_the_edit() -> Vec<Scenario> {
    vec![
        Scenario::new("small JSON", "JSON /tenant/id", "/1", "cell-b filter override").json(ACME),
        Scenario::new("small JSON over HTTP/2", "JSON /tenant/id", "/2", "cell-b filter override").json(ACME).http2(),
        Scenario::new("chunked, key split in two", "JSON /tenant/id", "/3", "cell-c filter prefix").chunked(&[
            r#"{"tenant":{"id":"eu-77"},"#,
            r#""items":["#,
            "1,2,3]}",
        ]),
        Scenario::new("escaped key name and value", "JSON /tenant/id", "/4", "cell-b filter override")
            .json(r#"{"\u0074enant":{"id":"\u0061cme"}}"#),
        Scenario::new("key without an override", "JSON /tenant/id", "/5", "cell-c filter slot")
            .json(r#"{"tenant":{"id":"hooli"}}"#),
        Scenario::new("form", "form tenant_id", "/6", "cell-c filter prefix").form("a=1&tenant_id=eu-1&b=2"),
        Scenario::new("no body", "header x-tenant-id", "/7", "cell-b filter override").header("x-tenant-id", "acme"),
        Scenario::new("no body", "path /orgs/{key}", "/orgs/acme", "cell-b filter override"),
        Scenario::new("client forges x-cell", "JSON /tenant/id", "/9", "cell-b filter override")
            .header("x-cell", "cell-a")
            .header("x-cell", "cell-c")
            .json(ACME),
        Scenario::new("client forges x-cell, no key", "no key", "/10", "400 filter key_missing")
            .header("x-cell", "cell-a")
            .json("{}"),
        Scenario::new("key given twice", "JSON, twice", "/11", "400 filter key_duplicated")
            .json(r#"{"tenant":{"id":"acme"},"tenant":{"id":"hooli"}}"#),
        Scenario::new("malformed JSON", "no key", "/12", "400 filter body_malformed")
            .json(r#"{"tenant":{"id":"acme"},}"#),
        Scenario::new("100 KiB, key first", "JSON, first chunk", "/13", "cell-b filter override")
            .json(padded(100 * 1024, 0)),
        Scenario::new("100 KiB, key last", "JSON, last bytes", "/14", "cell-b service override")
            .json(padded(100 * 1024, 100 * 1024 - 100)),
        Scenario::new("5 MB, key at byte 4 900 000", "JSON, byte 4 900 000", "/15", "cell-b service override")
            .json(padded(5_000_000, 4_900_000)),
        Scenario::new("5 MB over HTTP/2", "JSON, byte 4 900 000", "/16", "cell-b service override")
            .json(padded(5_000_000, 4_900_000))
            .http2(),
        Scenario::new("gzip", "JSON /tenant/id", "/gzip", "cell-b filter override")
            .header("content-encoding", "gzip")
            .json(ACME_GZIP),
        Scenario::new("zstd", "JSON /tenant/id", "/zstd", "cell-b service override")
            .header("content-encoding", "zstd")
            .json(ACME_ZSTD),
        Scenario::new("an unknown encoding", "-", "/17", "415 service body_encoded")
            .header("content-encoding", "compress")
            .json(ACME),
        Scenario::new("browser preflight", "-", "/preflight", "200 filter preflight").preflight(),
        Scenario::new("browser, malformed JSON", "no key", "/page", "400 filter body_malformed")
            .with_allowed_origin()
            .json("{]"),
    ]
}

pub(crate) fn after_the_edit() -> Vec<Scenario> {
    vec![
        Scenario::new("small JSON, acme moved", "JSON /tenant/id", "/18", "cell-c filter override").json(ACME),
        Scenario::new("5 MB, acme moved", "JSON, byte 4 900 000", "/19", "cell-c service override")
            .json(padded(5_000_000, 4_900_000)),
    ]
}

/// A JSON document of `size` bytes with the key at byte `key_at`; with 0, as the first member.
fn padded(size: usize, key_at: usize) -> String {
    let key = r#""tenant":{"id":"acme"}"#;
    if key_at == 0 {
        let (start, end) = (format!(r#"{{{key},"x":""#), r#""}"#);
        return format!("{start}{}{end}", "p".repeat(size - start.len() - end.len()));
    }
    let before = "p".repeat(key_at - r#"{"x":"","#.len());
    let start = format!(r#"{{"x":"{before}",{key},"y":""#);
    let end = r#""}"#;
    format!("{start}{}{end}", "q".repeat(size - start.len() - end.len()))
}
