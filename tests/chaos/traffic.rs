//! The requests of the clients: every kind has one body, and the one right result.

use std::io::Write;

use anyhow::{Context, Result};
use bytes::Bytes;
use cellgate_tests::client::Request;
use cellgate_tests::sha256;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Envoy's buffer limit, and so the largest body that the filter holds. Istio's gateways have it.
pub(crate) const BUFFER_LIMIT: u32 = 32 * 1024;

/// The size of the bodies that the service decides.
const LARGE: usize = 100_000;

/// The paths of requests under a limit that is counted by each replica alone while the store is gone.
const LIMITED: &str = "/limited/";

/// The paths of requests under a limit that refuses while the store is gone.
const STRICT: &str = "/strict/";

/// The part of Cellgate that decides a kind of request. Faults are judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The filter alone.
    Filter,
    /// The filter defers it, and the service decides it.
    Service,
    /// The filter decides the cell, and the service counts a limit with `when_store_fails: local`.
    Limited,
    /// The same with `when_store_fails: deny`.
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// The right result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This cell gets the request.
    Cell(&'static str),
    /// No cell gets a whole request. The status and the code of the refusal.
    Refusal(u16, &'static str),
}

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Sized,
    /// Without a length.
    Pieces,
}

/// One kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// It is in the path, so a cell's record of a request tells its kind.
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) protocol: Protocol,
    pub(crate) expected: Expected,
    pub(crate) body: Bytes,
    /// The body's SHA-256.
    pub(crate) sum: String,
    framing: Framing,
    headers: Vec<(&'static str, &'static str)>,
}

/// A tenant, and its cell in the configuration.
type Tenant = (&'static str, &'static str);

const ACME: Tenant = ("acme", "cell-b");
const GLOBEX: Tenant = ("globex", "cell-c");
const INITECH: Tenant = ("initech", "cell-a");

const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// Headers by which a hostile client would choose its cell, or pass for the filter. Only tenants of `cell-b` send them, which
/// they do not name.
const FORGED: [(&str, &str); 5] = [
    ("x-cell", "cell-a"),
    ("X-Cell", "cell-c"),
    ("x-cellgate-defer", "buffer;body_encoded"),
    ("x-cellgate-key", "globex"),
    ("x-cellgate-decided", "cell-c"),
];

/// All kinds.
///
/// # Errors
/// Never in practice: when a body cannot be compressed.
pub(crate) fn kinds() -> Result<Vec<Kind>> {
    use Framing::{Pieces, Sized};
    use Group::{Filter, Limited, Service, Strict};
    use Protocol::Http2;
    let refused = Expected::Refusal(400, "key_duplicated");
    Ok(vec![
        Kind::new("json", Filter, ACME).body(Sized, small(ACME)).with(JSON),
        Kind::new("json-h2", Filter, GLOBEX).over(Http2).body(Pieces, small(GLOBEX)).with(JSON),
        Kind::new("no-body", Filter, INITECH).with(("x-tenant-id", INITECH.0)),
        Kind::new("multipart", Filter, INITECH)
            .body(Sized, multipart(INITECH))
            .with(("content-type", "multipart/form-data; boundary=chaos")),
        Kind::new("gzip-small", Filter, GLOBEX).body(Sized, gzip(&small(GLOBEX))?).with(JSON).with(GZIP),
        Kind::new("grpc", Filter, ACME)
            .over(Http2)
            .body(Pieces, grpc_message(b"an order"))
            .with(("content-type", "application/grpc"))
            .with(("te", "trailers"))
            .with(("x-tenant-id", ACME.0)),
        Kind::new("forged", Filter, ACME).body(Sized, small(ACME)).with(JSON).forged(),
        Kind::new("two-keys", Filter, ACME).body(Sized, both_keys(0)).with(JSON).forged().expects(refused),
        Kind::new("large", Service, ACME).body(Sized, key_last(ACME, LARGE)).with(JSON),
        Kind::new("large-h2", Service, GLOBEX).over(Http2).body(Pieces, key_last(GLOBEX, LARGE)).with(JSON),
        Kind::new("gzip", Service, INITECH).body(Sized, gzip(&noise(INITECH, LARGE))?).with(JSON).with(GZIP),
        Kind::new("forged-large", Service, ACME).body(Pieces, key_last(ACME, LARGE)).with(JSON).forged(),
        Kind::new("two-keys-large", Service, ACME).body(Sized, both_keys(LARGE)).with(JSON).forged().expects(refused),
        Kind::new("limited", Limited, ACME).body(Sized, small(ACME)).with(JSON),
        Kind::new("strict", Strict, GLOBEX).over(Http2).body(Sized, small(GLOBEX)).with(JSON),
    ])
}

/// The configuration of both tiers, with a version and a number of tenants that send nothing.
pub(crate) fn config(version: &str, others: usize) -> Value {
    let mut exact: serde_json::Map<String, Value> =
        (0..others).map(|number| (format!("other-{number}"), json!("cell-a"))).collect();
    exact.extend([ACME, GLOBEX, INITECH].map(|(tenant, cell)| (tenant.to_owned(), json!(cell))));
    let limit = |name: &str, path: &str, fails: &str| {
        json!({
            "name": name,
            "key": ["routing_key"],
            // No client reaches it: a 429 would be a fault.
            "limit": "100000/s",
            "applies_to": {"paths": [path]},
            "when_store_fails": fails,
        })
    };
    json!({
        "version": version,
        "routing_header": "x-cell",
        "cells": ["cell-a", "cell-b", "cell-c"],
        "key": [{"json": "/tenant/id"}, {"multipart": "tenant_id"}, {"header": "x-tenant-id"}],
        "placement": {"exact": exact},
        "limits": {"inspect_bytes": BUFFER_LIMIT, "stream_bytes": "256KiB"},
        "rate_limits": [limit("limited", LIMITED, "local"), limit("strict", STRICT, "deny")],
    })
}

impl Kind {
    fn new(name: &'static str, group: Group, (_, cell): Tenant) -> Self {
        Self {
            name,
            group,
            protocol: Protocol::Http1,
            expected: Expected::Cell(cell),
            body: Bytes::new(),
            sum: sha256(b""),
            framing: Framing::None,
            headers: Vec::new(),
        }
    }

    fn over(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    fn body(mut self, framing: Framing, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.sum = sha256(&self.body);
        self.framing = framing;
        self
    }

    fn with(mut self, header: (&'static str, &'static str)) -> Self {
        self.headers.push(header);
        self
    }

    fn forged(mut self) -> Self {
        self.headers.extend(FORGED);
        self
    }

    fn expects(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// The path of its request with a number.
    pub(crate) fn path(&self, number: u64) -> String {
        let prefix = match self.group {
            Group::Filter | Group::Service => "/",
            Group::Limited => LIMITED,
            Group::Strict => STRICT,
        };
        format!("{prefix}{}/{number}", self.name)
    }

    /// Its request with a number.
    pub(crate) fn request(&self, number: u64) -> Request {
        let method = if self.framing == Framing::None { "GET" } else { "POST" };
        let request = Request::new(method, &self.path(number));
        let request = self.headers.iter().fold(request, |request, (name, value)| {
            // HTTP/2 has names in lower case only.
            let name = if self.protocol == Protocol::Http2 { name.to_ascii_lowercase() } else { (*name).to_owned() };
            request.header(name, value)
        });
        match self.framing {
            Framing::None => request,
            Framing::Sized => request.body(self.body.clone()),
            Framing::Pieces => request.pieces(self.body.chunks(16 * 1024).map(Bytes::copy_from_slice)),
        }
    }

    /// Whether it is a gRPC call, whose cell sends the messages back.
    pub(crate) fn is_grpc(&self) -> bool {
        self.headers.contains(&("content-type", "application/grpc"))
    }
}

/// The kind of a request by its path.
pub(crate) fn of_path<'a>(kinds: &'a [Kind], path: &str) -> Option<&'a Kind> {
    let name = path.rsplit('/').nth(1)?;
    kinds.iter().find(|kind| kind.name == name)
}

fn small((tenant, _): Tenant) -> String {
    format!(r#"{{"tenant":{{"id":"{tenant}"}},"items":[1,2,3]}}"#)
}

/// JSON of `size` bytes with the key at its end.
pub(crate) fn key_last((tenant, _): (&str, &str), size: usize) -> String {
    let (start, end) = (r#"{"x":""#, format!(r#"","tenant":{{"id":"{tenant}"}}}}"#));
    format!("{start}{}{end}", "p".repeat(size.saturating_sub(start.len() + end.len())))
}

/// The same, of text that a compressor hardly makes smaller than three quarters.
fn noise((tenant, _): Tenant, size: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 1_u64;
    let text: String = (0..size)
        .map(|_| {
            // The constants are Knuth's (MMIX).
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(LETTERS[(state >> 58) as usize])
        })
        .collect();
    format!(r#"{{"x":"{text}","tenant":{{"id":"{tenant}"}}}}"#)
}

/// JSON with the keys of two tenants, behind `filling` bytes.
fn both_keys(filling: usize) -> String {
    let filling = "p".repeat(filling);
    format!(r#"{{"x":"{filling}","tenant":{{"id":"{}"}},"tenant":{{"id":"{}"}}}}"#, ACME.0, GLOBEX.0)
}

fn multipart((tenant, _): Tenant) -> String {
    let disposition = "Content-Disposition: form-data; name=";
    format!(
        "--chaos\r\n{disposition}\"tenant_id\"\r\n\r\n{tenant}\r\n\
         --chaos\r\n{disposition}\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n{}\r\n--chaos--\r\n",
        "a line\r\n".repeat(200)
    )
}

fn gzip(text: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).context("gzip")?;
    encoder.finish().context("gzip")
}

/// A message with its prefix: not compressed, and the length.
fn grpc_message(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or_default();
    [&[0][..], &length.to_be_bytes(), content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_kind() {
        let kinds = kinds().unwrap();
        for kind in &kinds {
            assert_eq!(of_path(&kinds, &kind.path(17)).unwrap().name, kind.name);
        }
        assert!(of_path(&kinds, "/other/1").is_none());
    }

    #[test]
    fn a_client_that_forges_asks_for_the_cells_of_others() {
        let kinds = kinds().unwrap();
        let forging: Vec<_> = kinds.iter().filter(|kind| kind.headers.contains(&FORGED[0])).collect();
        assert_eq!(forging.len(), 4);
        for kind in forging {
            let Expected::Cell(home) = kind.expected else { continue };
            assert!(FORGED.iter().all(|(_, value)| *value != home), "{}: {home}", kind.name);
        }
    }

    #[test]
    fn bodies_for_the_service_are_too_large_for_the_filter() {
        for kind in kinds().unwrap() {
            let is_large = kind.body.len() > 2 * BUFFER_LIMIT as usize;
            assert_eq!(is_large, kind.group == Group::Service, "{}: {} bytes", kind.name, kind.body.len());
        }
    }
}
