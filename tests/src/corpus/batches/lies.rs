//! Bodies of another format than their Content-Type says, and bodies that cost others much.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let lies = LIES.iter().map(|(content_type, what, body, expect)| {
        Case::new(format!("lie: {what} as {content_type}"), expect).of_type(content_type, body)
    });
    let header = format!(
        "--b\r\nContent-Disposition: form-data; name=operations\r\nX-A: {}\r\n\r\n{{}}\r\n--b--\r\n",
        "x".repeat(1024 * 1024)
    );
    let fields: String = (0..1000).map(|n| format!("X-{n}: x\r\n")).collect();
    let fields = format!("--b\r\n{fields}Content-Disposition: form-data; name=operations\r\n\r\n{{}}\r\n--b--\r\n");
    let attributes: String = (0..300).map(|n| format!(" a{n}='x'")).collect();
    let laughs: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let laughs = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE m [<!ENTITY l0 \"lol\">{laughs}]><message><payload>&l9;</payload></message>"
    );
    let form = "multipart/form-data; boundary=b";
    lies.chain([
        Case::new("bomb: a part with a header of 1 MiB", "400 body_malformed").of_type(form, header),
        Case::new("bomb: a part with 1000 header fields", "400 body_malformed").of_type(form, fields),
        Case::new("bomb: billion laughs", "400 body_doctype").of_type("application/xml", laughs),
        Case::new("bomb: an element with 300 attributes", "400 body_too_complex")
            .of_type("application/xml", format!("<message{attributes}/>")),
        Case::new("bomb: a name of 2000 bytes", "400 body_too_complex")
            .of_type("application/xml", format!("<message><{}/></message>", "x".repeat(2000))),
        Case::new("bomb: 20,000 brackets", "400 body_too_deep").json("[".repeat(20_000)),
        Case::new("bomb: 20,000 arrays in MessagePack", "400 body_too_deep")
            .of_type("application/msgpack", vec![0x91; 20_000]),
        Case::new("bomb: 20,000 indefinite maps in CBOR", "400 body_too_deep")
            .of_type("application/cbor", b"\xbf\x61a".repeat(20_000)),
        Case::new("bomb: 20,000 elements", "400 body_too_deep").of_type("text/xml", "<a>".repeat(20_000)),
        Case::new("bomb: 20,000 groups", "400 body_too_deep").of_type("application/x-protobuf", vec![0x23; 20_000]),
        Case::new("bomb: a key of 30,000 bytes", "400 key_too_long")
            .json(format!(r#"[{{"id":"{}"}}]"#, "x".repeat(30_000))),
        Case::new("bomb: a name of 30,000 bytes", "cell-a exact")
            .json(format!(r#"[{{"{}":1,"id":"acme"}}]"#, "x".repeat(30_000))),
        Case::new("bomb: an integer of 30,000 digits", "400 key_float")
            .json(format!(r#"[{{"id":{}}}]"#, "1".repeat(30_000))),
        Case::new("bomb: 5000 fields of a form", "cell-a exact")
            .form("a=b&".repeat(5000) + "payload={\"team\":{\"id\":\"acme\"}}"),
    ])
    .collect()
}

const JSON: &[u8] = br#"{"params":{"tenant":"acme"}}"#;
const FORM: &[u8] = b"payload={\"team\":{\"id\":\"acme\"}}";
const XML: &[u8] = b"<message><payload>{\"team\":{\"id\":\"acme\"}}</payload></message>";
const PARTS: &[u8] =
    b"--b\r\nContent-Disposition: form-data; name=operations\r\n\r\n{\"variables\":{\"tenantId\":\"acme\"}}\r\n--b--\r\n";
const LINES: &[u8] = b"{\"tenant\":{\"id\":\"acme\"}}\n{\"tenant\":{\"id\":\"acme\"}}\n";
const PRETTY: &[u8] = b"{\n  \"tenant\": {\n    \"id\": \"acme\"\n  }\n}\n";
const CBOR: &[u8] = b"\xa1\x66tenant\xa1\x62id\x64acme";

const LIES: &[(&str, &str, &[u8], &str)] = &[
    ("application/json", "a form", FORM, "400 body_malformed"),
    ("application/json", "XML", XML, "400 body_malformed"),
    ("application/json", "parts", PARTS, "400 body_malformed"),
    ("application/json", "lines", LINES, "400 body_malformed"),
    ("application/json", "a gRPC message", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme", "400 body_malformed"),
    ("application/x-ndjson", "an indented document", PRETTY, "400 body_malformed"),
    ("application/x-ndjson", "a form", FORM, "400 body_malformed"),
    ("application/x-www-form-urlencoded", "JSON", JSON, "400 key_missing"),
    ("application/x-www-form-urlencoded", "XML", XML, "400 key_missing"),
    ("application/x-www-form-urlencoded", "parts", PARTS, "400 key_missing"),
    ("multipart/form-data; boundary=b", "a form", FORM, "400 body_malformed"),
    ("multipart/form-data; boundary=b", "JSON", JSON, "400 body_malformed"),
    ("text/xml", "JSON", JSON, "400 body_malformed"),
    ("text/xml", "a form", FORM, "400 body_malformed"),
    ("text/xml", "HTML", b"<!doctype html><html></html>", "400 body_malformed"),
    ("application/x-protobuf", "a gRPC message", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme", "400 body_malformed"),
    ("application/grpc", "a message", b"\x0a\x06\x0a\x04acme", "400 body_malformed"),
    ("application/grpc", "JSON", JSON, "400 body_malformed"),
    // The byte `{` is the integer 123 in MessagePack, and begins a text with a length of eight bytes in CBOR.
    ("application/msgpack", "JSON", JSON, "400 body_malformed"),
    ("application/cbor", "JSON", JSON, "400 body_truncated"),
    // A text of one letter, and more behind it.
    ("application/msgpack", "CBOR", CBOR, "400 body_malformed"),
    ("application/msgpack", "a form", FORM, "400 body_malformed"),
];
