//! Content types, charsets and encodings.

use super::Case;

const GOOD: &str = r#"{"tenant":{"id":"acme"}}"#;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = TYPES
        .iter()
        .map(|(content_type, expect)| {
            Case::new(format!("type: {content_type:?}"), expect).header("content-type", content_type).body(GOOD)
        })
        .collect();
    cases.extend(ENCODINGS.iter().map(|(encoding, expect)| {
        Case::new(format!("encoding: {encoding:?}"), expect).header("content-encoding", encoding).json(GOOD)
    }));
    cases.extend([
        Case::new("type: none", "415 content_type_missing").body(GOOD),
        Case::new("type: two", "415 content_type_unsupported")
            .header("content-type", "application/json")
            .header("content-type", "text/plain")
            .body(GOOD),
        Case::new("type: the same twice", "415 content_type_unsupported")
            .header("content-type", "application/json")
            .header("content-type", "application/json")
            .body(GOOD),
        Case::new("type: form with charset", "cell-a exact")
            .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
            .body("tenant_id=acme"),
        Case::new("type: a stream of documents, key in the head", "cell-b exact")
            .header("content-type", "application/stream+json")
            .header("x-tenant-id", "globex")
            .body(GOOD),
        Case::new("type: a Connect stream, key in the head", "cell-b exact")
            .header("content-type", "application/connect+json")
            .header("x-tenant-id", "globex")
            .body(b"\0\0\0\0\x18{\"tenant\":{\"id\":\"acme\"}}"),
        Case::new("type: an empty type", "415 content_type_missing").header("content-type", "").body(GOOD),
        Case::new("encoding: of a foreign type", "415 content_type_unsupported")
            .header("content-type", "text/plain")
            .header("content-encoding", "gzip")
            .body(GOOD),
        Case::new("encoding: of a form", "415 body_encoded").header("content-encoding", "gzip").form("tenant_id=acme"),
    ]);
    cases
}

const TYPES: &[(&str, &str)] = &[
    ("application/json", "cell-a exact"),
    ("APPLICATION/JSON", "cell-a exact"),
    ("application/json;charset=utf-8", "cell-a exact"),
    ("application/json; charset=\"utf-8\"", "cell-a exact"),
    ("application/json ; Charset = UTF-8", "cell-a exact"),
    ("application/json; charset=us-ascii", "cell-a exact"),
    ("application/json; version=1", "cell-a exact"),
    ("application/json;", "cell-a exact"),
    ("application/vnd.api+json", "cell-a exact"),
    ("application/merge-patch+json", "cell-a exact"),
    ("application/problem+json; charset=utf-8", "cell-a exact"),
    ("application/json; charset=utf-16", "415 charset_unsupported"),
    ("application/json; charset=iso-8859-1", "415 charset_unsupported"),
    ("application/json; charset=", "415 charset_unsupported"),
    ("application/json; charset=utf-8; charset=utf-16", "415 charset_unsupported"),
    ("application/jsonl", "415 content_type_unsupported"),
    ("application/x-ndjson", "415 content_type_unsupported"),
    ("application/json-seq", "415 content_type_unsupported"),
    ("application/+json", "415 content_type_unsupported"),
    ("application/json; profile=\"https://a/b;c\"", "cell-a exact"),
    ("application/json; profile=\"a,b\"; charset=utf-8", "cell-a exact"),
    ("application/json; profile=\"a;charset=utf-16\"", "415 charset_unsupported"),
    ("application/json; profile=\"a\\\"b\"", "cell-a exact"),
    ("application/json; profile=\"a", "415 content_type_unsupported"),
    ("application/json; profile=\"a\"b", "415 content_type_unsupported"),
    ("application/json; profile=\",application/x-www-form-urlencoded;x=\"", "415 content_type_unsupported"),
    ("application/connect+json", "415 content_type_unsupported"),
    ("application/stream+json", "415 content_type_unsupported"),
    ("application/json, text/plain", "415 content_type_unsupported"),
    ("application/x-www-form-urlencoded,application/a+json", "415 content_type_unsupported"),
    ("application/json;x,application/x-www-form-urlencoded", "415 content_type_unsupported"),
    ("application/x-www-form-urlencoded+json", "415 content_type_unsupported"),
    ("application/ +json", "415 content_type_unsupported"),
    ("application/json/x", "415 content_type_unsupported"),
    ("text/json", "415 content_type_unsupported"),
    ("text/plain", "415 content_type_unsupported"),
    ("text/plain+json", "415 content_type_unsupported"),
    ("image/svg+json", "415 content_type_unsupported"),
    ("*/*", "415 content_type_unsupported"),
    ("json", "415 content_type_unsupported"),
    ("application/xml", "400 body_malformed"),
    ("multipart/form-data; boundary=x", "400 body_malformed"),
    ("application/octet-stream", "415 content_type_unsupported"),
    ("application/grpc", "400 body_malformed"),
    ("application/grpc+json", "415 content_type_unsupported"),
    ("application/grpc-web+proto", "400 body_malformed"),
    ("application/grpc-web+json", "415 content_type_unsupported"),
    ("application/x-www-form-urlencoded", "400 key_missing"),
    (";charset=utf-8", "415 content_type_missing"),
];

const ENCODINGS: &[(&str, &str)] = &[
    ("identity", "cell-a exact"),
    ("Identity", "cell-a exact"),
    ("identity, identity", "cell-a exact"),
    ("gzip", "415 body_encoded"),
    ("GZIP", "415 body_encoded"),
    ("deflate", "415 body_encoded"),
    ("br", "415 body_encoded"),
    ("zstd", "400 body_encoding_malformed"),
    ("gzip, br", "415 body_encoded"),
    ("identity, gzip", "415 body_encoded"),
    ("aws-chunked", "415 body_encoded"),
    ("x-unknown", "415 body_encoded"),
];
