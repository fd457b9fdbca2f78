//! The requests of the privacy tests: every place of a key, every format, and every reason of a refusal that a request
//! alone can cause.

use bytes::Bytes;
use cellgate_tests::client::Request;
use cellgate_tests::secrets::MarkedSecrets;
use serde_json::{Value, json};

use crate::encoded::encoders::{brotli, gzip, noise_then_key, zlib, zstd};
use crate::jwt::Issuer;

/// Above the filter's limit, so the service decides if the key comes last.
const LARGE: usize = 100_000;

/// The largest body that the service reads: `limits.stream_bytes`.
const STREAM: usize = 2 << 20;

const BOUNDARY: &str = "boundary";

/// A request, and its answer.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) request: Request,
    pub(super) answer: Answer,
    /// Over HTTP/2.
    pub(super) is_h2: bool,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// From the cell of its key.
    Cell,
    /// From a tier, with this code.
    Refused(&'static str),
    /// Not for its code: Envoy answers it, or the body is larger than Envoy buffers.
    Any,
}

use Answer::{Any, Cell, Refused};

/// The places of secrets that each request has beside its key, by the first word of its name.
struct Dress<'a> {
    secrets: &'a MarkedSecrets,
    issuer: &'a Issuer,
}

/// All requests. The tokens are those of an issuer that the proxy knows.
pub(super) fn cases(secrets: &MarkedSecrets, issuer: &Issuer) -> Vec<Case> {
    let dress = Dress { secrets, issuer };
    [dress.decided(), dress.encoded(), dress.limited(), dress.refused_by_head(), dress.refused_by_body()]
        .into_iter()
        .flatten()
        .collect()
}

/// The configuration of these requests. No key has a default cell, and none is placed unless it is in the table.
pub(super) fn config(secrets: &MarkedSecrets) -> Value {
    let placed = PLACED.iter().map(|place| (key_of(secrets, place), json!("cell-b")));
    json!({
        "version": "privacy",
        "routing_header": "x-cell",
        "cells": ["cell-a", "cell-b", "cell-c"],
        "content_encodings": ["gzip", "deflate", "br", "zstd"],
        "applies_to": {
            "hosts": ["cellgate.test", "*.tenants.test"],
            "methods": ["GET", "POST"],
            "paths": ["/lenient/"],
            "except": {"paths": ["/lenient/healthz"]},
        },
        "key": [
            {"claim": "/org/id"}, {"json": "/tenant/id"}, {"ndjson": "/tenant/id"}, {"form": "tenant_id"},
            {"multipart": "tenant_id"}, {"protobuf": "1.1"}, {"xml": "/order/tenant"}, {"msgpack": "/tenant/id"},
            {"cbor": "/tenant/id"}, {"header": "x-tenant-id"}, {"query": "tenant"}, {"path": "/lenient/orgs/{key}"},
            {"cookie": "tenant"}, {"host": "{key}.tenants.test"},
        ],
        "placement": {"exact": placed.collect::<serde_json::Map<_, _>>()},
        "policy": {"body_lone_surrogate": {"reject": 400}},
        "limits": {"stream_bytes": STREAM, "decoded_bytes": "1MiB", "decode_ms": 60_000},
        "rate_limits": [
            limit("counted", json!([{"header": "x-api-key", "otherwise": "anonymous"}, {"cookie": "session"}]), "1000/s"),
            limit("limited", json!(["routing_key", {"header": "x-api-key"}]), "1/h"),
            {
                "name": "planned", "key": [{"header": "x-api-key"}], "limit": "1000/s",
                "plans": {"pro": "2000/s"}, "plan_of": {secrets.of("an API key with a plan"): "pro"},
                "overrides": {secrets.of("an API key with a limit of its own"): "3000/s"},
                "applies_to": {"paths": ["/lenient/planned"]},
            },
        ],
        "concurrency_limits": [
            {"name": "in-flight", "key": [{"header": "x-api-key"}], "at_most": 1000, "applies_to": {"paths": ["/lenient/counted"]}},
        ],
    })
}

fn limit(name: &str, key: Value, limit: &str) -> Value {
    json!({"name": name, "key": key, "limit": limit, "applies_to": {"paths": [format!("/lenient/{name}")]}})
}

/// The requests whose keys are in the table, by their names.
const PLACED: [&str; 27] = [
    "json",
    "ndjson",
    "form",
    "multipart",
    "protobuf",
    "grpc",
    "xml",
    "msgpack",
    "cbor",
    "header",
    "query",
    "path",
    "cookie",
    "host",
    "claim",
    "large",
    "chunked",
    "gzip",
    "zlib",
    "br",
    "zstd",
    "large br",
    "counted",
    "limited",
    "planned",
    "conflict",
    "trailer",
];

/// The key of a request. Hosts are in lower case.
pub(super) fn key_of(secrets: &MarkedSecrets, name: &str) -> String {
    let key = secrets.of(&format!("the key of {name}"));
    if name == "host" { key.to_lowercase() } else { key }
}

impl Dress<'_> {
    fn key(&self, name: &str) -> String {
        key_of(self.secrets, name)
    }

    /// A value beside the key.
    fn value(&self, name: &str) -> String {
        self.secrets.of(&format!("a value of {name}"))
    }

    /// `{"tenant":{"id":KEY},"x":VALUE}`.
    fn document(&self, name: &str) -> String {
        format!(r#"{{"tenant":{{"id":"{}"}},"x":"{}"}}"#, self.key(name), self.value(name))
    }

    /// The same, with the value and padding before the key.
    fn key_last(&self, name: &str, size: usize) -> String {
        let padding = "p".repeat(size);
        format!(r#"{{"x":"{}{padding}","tenant":{{"id":"{}"}}}}"#, self.value(name), self.key(name))
    }

    /// A request with secrets in every part of its head. The token has no tenant.
    fn head(&self, method: &str, path: &str) -> Request {
        let claims = json!({"sub": self.secrets.of("a claim"), "email": self.secrets.of("an address in a claim")});
        self.head_with(method, path, &claims, "")
    }

    fn head_with(&self, method: &str, path: &str, claims: &Value, cookie: &str) -> Request {
        let secret = |place: &str| self.secrets.of(place);
        let token = self.issuer.token(claims);
        let signature = token.rsplit('.').next().unwrap_or_default();
        self.secrets.add("the signature of a token", signature);
        let query = if path.contains('?') { '&' } else { '?' };
        Request::new(method, &format!("/lenient{path}{query}token={}", secret("a parameter of the query")))
            .header("authorization", format!("Bearer {token}"))
            .header("x-secret", secret("a header"))
            .header(format!("x-{}", secret("the name of a header")), "1")
            .header("cookie", format!("session={}{cookie}", secret("a cookie")))
            .header("x-api-key", secret("an API key"))
            .header("user-agent", secret("a user agent"))
            .header("referer", format!("https://{}.example/", secret("a referer")))
            .header("x-cell", secret("a routing header of the client"))
            .header("x-cellgate-defer", secret("an internal header of the client"))
    }

    fn post(&self, content_type: &str, body: impl Into<Bytes>) -> Request {
        self.head("POST", "/x").header("content-type", content_type).body(body)
    }

    fn json(&self, body: impl Into<Bytes>) -> Request {
        self.post("application/json", body)
    }

    /// One request for each place of a key.
    fn decided(&self) -> Vec<Case> {
        let (key, value) = (|name: &str| self.key(name), |name: &str| self.value(name));
        let record = self.document("ndjson");
        let form = format!("tenant_id={}&x={}", key("form"), value("form"));
        let part = |name: &str, text: &str| {
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let multipart =
            format!("{}{}--{BOUNDARY}--\r\n", part("tenant_id", &key("multipart")), part("x", &value("multipart")));
        let order = |name: &str| {
            let tenant = field(1, key(name).as_bytes());
            [field(1, &tenant), field(2, value(name).as_bytes())].concat()
        };
        let call = order("grpc");
        let call = [&[0], u32::try_from(call.len()).unwrap().to_be_bytes().as_slice(), &call].concat();
        let grpc = self.post("application/grpc", call).header("te", "trailers");
        let xml = format!("<order><x>{}</x><tenant>{}</tenant></order>", value("xml"), key("xml"));
        // Texts of 24 bytes: 0xb8 in MessagePack, 0x78 0x18 in CBOR.
        let msgpack =
            [b"\x82\xa1x\xb8", value("msgpack").as_bytes(), b"\xa6tenant\x81\xa2id\xb8", key("msgpack").as_bytes()]
                .concat();
        let cbor =
            [b"\xa2\x61x\x78\x18", value("cbor").as_bytes(), b"\x66tenant\xa1\x62id\x78\x18", key("cbor").as_bytes()]
                .concat();
        let pieces = |body: String| body.as_bytes().chunks(30_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let chunked = self.head("POST", "/x").header("content-type", "application/json");
        let conflict = format!("{}{}", self.key_last("conflict", 0).replace('}', ","), "p".repeat(LARGE));
        let claims = json!({"org": {"id": key("claim")}, "sub": self.secrets.of("a claim")});
        vec![
            case("json", self.json(self.document("json")), Cell),
            case("ndjson", self.post("application/x-ndjson", format!("{record}\n{record}\n")), Cell),
            case("form", self.post("application/x-www-form-urlencoded", form), Cell),
            case("multipart", self.post(&format!("multipart/form-data; boundary={BOUNDARY}"), multipart), Cell),
            case("protobuf", self.post("application/x-protobuf", order("protobuf")), Cell),
            case_h2("grpc", grpc, Cell),
            case("xml", self.post("application/xml", xml), Cell),
            case("msgpack", self.post("application/msgpack", msgpack), Cell),
            case("cbor", self.post("application/cbor", cbor), Cell),
            case("header", self.head("GET", "/x").header("x-tenant-id", key("header")), Cell),
            case("query", self.head("GET", &format!("/x?tenant={}", key("query"))), Cell),
            case("path", self.head("GET", &format!("/orgs/{}", key("path"))), Cell),
            case("cookie", self.head_with("GET", "/x", &json!({}), &format!("; tenant={}", key("cookie"))), Cell),
            case("host", self.head("GET", "/x").authority(&format!("{}.tenants.test", key("host"))), Cell),
            case("claim", self.head_with("GET", "/x", &claims, ""), Cell),
            case("large", self.json(self.key_last("large", LARGE)), Cell),
            case_h2("large", self.json(self.key_last("large", LARGE)), Cell),
            case("chunked", chunked.clone().pieces(pieces(self.key_last("chunked", LARGE))), Cell),
            case("trailer", self.with_trailer(chunked.clone().pieces(pieces(self.key_last("trailer", LARGE)))), Cell),
            case_h2("trailer", self.with_trailer(chunked.clone().pieces([self.document("trailer")])), Cell),
            // Refused behind the key, when a cell may have the beginning.
            case("conflict", chunked.pieces(pieces(conflict)), Any),
            case("an excepted path", self.head("GET", "/healthz"), Any),
            case("a preflight", preflight(self.head("OPTIONS", "/x")), Any),
        ]
    }

    fn with_trailer(&self, request: Request) -> Request {
        request.trailer("x-checksum", &self.secrets.of("a trailer"))
    }

    fn encoded(&self) -> Vec<Case> {
        let coded = |name: &str, coding: &str, encode: fn(String) -> Vec<u8>| {
            self.json(encode(self.document(name))).header("content-encoding", coding)
        };
        let large = brotli(noise_then_key(&self.key("large br"), LARGE));
        vec![
            case("gzip", coded("gzip", "gzip", gzip), Cell),
            case("zlib", coded("zlib", "deflate", zlib), Cell),
            case("br", coded("br", "br", brotli), Cell),
            case("zstd", coded("zstd", "zstd", zstd), Cell),
            case("large br", self.json(large).header("content-encoding", "br"), Cell),
        ]
    }

    /// Under a limit, over it, and with a plan.
    fn limited(&self) -> Vec<Case> {
        let post = |path: &str, name: &str| self.head("POST", path).json(self.document(name));
        let mut cases = vec![
            case("counted", post("/counted", "counted"), Cell),
            case("planned", post("/planned", "planned"), Cell),
            // The first one of all has used the only unit.
            case("limited", post("/limited", "limited"), Any),
            case("limited", post("/limited", "limited"), Refused("rate_limited")),
        ];
        let large = self.head("POST", "/limited").json(self.key_last("limited", LARGE));
        cases.push(case("limited", large, Refused("rate_limited")));
        cases
    }

    fn refused_by_head(&self) -> Vec<Case> {
        let (key, head) = (|name: &str| self.key(name), |path: &str| self.head("GET", path));
        let elsewhere = Request::get(&format!("/unverified/{}", self.secrets.of("a path outside")));
        let upgrade = head("/x").header("connection", "upgrade").header("upgrade", "websocket");
        let invalid = [key("invalid UTF-8").as_bytes(), b"\xff\xfe"].concat();
        vec![
            case(
                "host_excluded",
                self.json(self.document("host_excluded")).authority("other.test"),
                Refused("host_excluded"),
            ),
            case(
                "method_excluded",
                self.head("DELETE", "/x").header("x-tenant-id", key("method_excluded")),
                Refused("method_excluded"),
            ),
            case("path_excluded", elsewhere, Refused("path_excluded")),
            case("upgrade", upgrade, Refused("upgrade")),
            case("body_absent", self.head("POST", "/x"), Refused("body_absent")),
            case(
                "key_too_long",
                head("/x").header("x-tenant-id", key("key_too_long").repeat(20)),
                Refused("key_too_long"),
            ),
            case(
                "key_duplicated",
                head("/x").header("x-tenant-id", key("first")).header("x-tenant-id", key("second")),
                Refused("key_duplicated"),
            ),
            case("key_ambiguous", head(&format!("/x?Tenant={}", key("key_ambiguous"))), Refused("key_ambiguous")),
            case("key_invalid_utf8", head("/x").header("x-tenant-id", invalid), Refused("key_invalid_utf8")),
            case("key_malformed", head(&format!("/x?tenant={}%zz", key("key_malformed"))), Refused("key_malformed")),
            case("key_unplaced", head("/x").header("x-tenant-id", key("key_unplaced")), Refused("key_unplaced")),
        ]
    }

    fn refused_by_body(&self) -> Vec<Case> {
        let (key, value) = (|name: &str| self.key(name), |name: &str| self.value(name));
        let json = |name: &'static str, body: String| case(name, self.json(body), Refused(name));
        let id =
            |name: &'static str, id: String| json(name, format!(r#"{{"x":"{}","tenant":{{"id":{id}}}}}"#, value(name)));
        let text = |name: &'static str, media: &str| case(name, self.post(media, self.document(name)), Refused(name));
        let coded = |name: &'static str, coding: &str, body: Vec<u8>| {
            case(name, self.json(body).header("content-encoding", coding), Refused(name))
        };
        let records = format!("{}\n{}\n", self.document("first record"), self.document("second record"));
        let doctype = format!("<!DOCTYPE order [<!ENTITY a \"{}\">]><order/>", value("body_doctype"));
        let attributes: String =
            (0..300).map(|number| format!(" a{number}=\"{}\"", value("body_too_complex"))).collect();
        let xml = |name: &'static str, body: String| case(name, self.post("application/xml", body), Refused(name));
        let invalid = [self.document("body_invalid_utf8").trim_end_matches("\"}").as_bytes(), b"\xff\"}"].concat();
        let damaged = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], value("body_encoding_malformed").as_bytes()].concat();
        let members = [gzip(self.document("one member")), gzip(self.document("another member"))].concat();
        let bomb = gzip(format!("{}{}", " ".repeat(900_000), self.document("body_decoded_ratio")));
        vec![
            case(
                "content_type_missing",
                self.head("POST", "/x").body(self.document("no type")),
                Refused("content_type_missing"),
            ),
            text("content_type_unsupported", "text/plain"),
            text("charset_unsupported", "application/json; charset=utf-16"),
            coded("body_encoded", "compress", self.document("body_encoded").into_bytes()),
            coded("body_encoding_malformed", "gzip", damaged),
            coded("body_several_members", "gzip", members),
            coded("body_decoded_ratio", "gzip", bomb),
            coded("body_decoded_too_large", "gzip", gzip(noise_then_key(&key("body_decoded_too_large"), 900_000))),
            json("body_too_large", self.key_last("body_too_large", STREAM + 100_000)),
            json(
                "body_malformed",
                format!(r#"{{"tenant":{{"id":"{}"}},{}"#, key("body_malformed"), value("body_malformed")),
            ),
            json("body_truncated", self.document("body_truncated").trim_end_matches('}').to_owned()),
            case("body_invalid_utf8", self.json(invalid), Refused("body_invalid_utf8")),
            json("body_byte_order_mark", format!("\u{feff}{}", self.document("body_byte_order_mark"))),
            json(
                "body_lone_surrogate",
                format!(r#"{{"x":"{}\ud800","tenant":{{"id":"{}"}}}}"#, value("surrogate"), key("surrogate")),
            ),
            json("body_too_deep", format!("{}\"{}\"{}", "[".repeat(70), value("body_too_deep"), "]".repeat(70))),
            xml("body_too_complex", format!("<order{attributes}/>")),
            xml("body_doctype", doctype),
            json("key_missing", format!(r#"{{"x":"{}"}}"#, value("key_missing"))),
            json(
                "key_duplicated",
                format!(r#"{{"tenant":{{"id":"{}","id":"{}"}}}}"#, key("one id"), key("another id")),
            ),
            case("key_conflict", self.post("application/x-ndjson", records), Refused("key_conflict")),
            json("key_ambiguous", self.document("an ambiguous name").replace("tenant", "Tenant")),
            id("key_null", "null".to_owned()),
            id("key_boolean", "true".to_owned()),
            id("key_float", "1.5".to_owned()),
            id("key_object", format!(r#"{{"x":"{}"}}"#, key("key_object"))),
            id("key_array", format!(r#"["{}"]"#, key("key_array"))),
            id("key_empty", r#""""#.to_owned()),
            id("key_control_character", format!(r#""{}\u0001""#, key("key_control_character"))),
            id("key_too_long", format!(r#""{}""#, key("a long id").repeat(20))),
            id("key_unplaced", format!(r#""{}""#, key("an unplaced id"))),
        ]
    }
}

fn case(name: &'static str, request: Request, answer: Answer) -> Case {
    Case { name, request, answer, is_h2: false }
}

fn case_h2(name: &'static str, request: Request, answer: Answer) -> Case {
    Case { name, request, answer, is_h2: true }
}

fn preflight(request: Request) -> Request {
    request.header("origin", "https://app.example").header("access-control-request-method", "POST")
}

/// A field of a protobuf message, of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}
