//! Protobuf messages, and the messages of calls.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let plain = MESSAGES.iter().map(|(name, body, expect)| {
        let case = Case::new(format!("protobuf: {name}"), expect);
        case.header("content-type", "application/x-protobuf").body(body)
    });
    let calls = CALLS.iter().map(|(name, content_type, body, expect)| {
        Case::new(format!("{content_type}: {name}"), expect).header("content-type", content_type).body(body)
    });
    let encodings = [("identity", "cell-a exact"), ("snappy", "415 body_encoded"), ("gzip,gzip", "415 body_encoded")];
    let encodings = encodings.into_iter().map(|(encoding, expect)| {
        let case = Case::new(format!("grpc-encoding: {encoding}"), expect).header("grpc-encoding", encoding);
        case.header("content-type", "application/grpc").body(b"\0\0\0\0\x08\x0a\x06\x0a\x04acme")
    });
    plain.chain(calls).chain(encodings).collect()
}

/// The key is at `1.1`.
const MESSAGES: &[(&str, &[u8], &str)] = &[
    ("key alone", b"\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("fields of every wire type around it", b"\x10\x01\x0a\x06\x0a\x04acme\x19........\x25....\x2b\x08\x01\x2c", "cell-a exact"),
    ("field before it in its message", b"\x0a\x0c\x12\x04\x0a\x02no\x0a\x04acme", "cell-a exact"),
    ("tag in two bytes", b"\x8a\x00\x06\x0a\x04acme", "cell-a exact"),
    ("large field number", b"\xfa\xff\xff\xff\x0f\x01x\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("UTF-8", b"\x0a\x04\x0a\x02\xc3\xa5", "cell-c exact"),
    ("the string elsewhere", b"\x12\x06\x0a\x04acme", "400 key_missing"),
    ("empty message inside", b"\x0a\x00", "400 key_missing"),
    ("empty string", b"\x0a\x02\x0a\x00", "400 key_empty"),
    ("not UTF-8", b"\x0a\x03\x0a\x01\xff", "400 key_invalid_utf8"),
    ("string twice", b"\x0a\x0c\x0a\x04acme\x0a\x04acme", "400 key_duplicated"),
    ("message twice", b"\x0a\x06\x0a\x04acme\x0a\x06\x0a\x04acme", "400 key_duplicated"),
    ("number for a string", b"\x0a\x02\x08\x01", "400 key_malformed"),
    ("number for a message", b"\x08\x01", "400 key_malformed"),
    ("number beside the message", b"\x08\x01\x0a\x06\x0a\x04acme", "400 key_duplicated"),
    ("JSON", br#"{"tenant":{"id":"acme"}}"#, "400 body_truncated"),
    ("field number 0", b"\x0a\x06\x0a\x04acme\x00\x01", "400 body_malformed"),
    ("wire type 7", b"\x0a\x06\x0a\x04acme\x0f", "400 body_malformed"),
    ("length beyond its message", b"\x0a\x06\x0a\x05acme\x10\x01", "400 body_malformed"),
    ("varint of 65 bits", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "400 body_malformed"),
    ("group without its beginning", b"\x0a\x06\x0a\x04acme\x14", "400 body_malformed"),
    ("group without its end", b"\x0a\x06\x0a\x04acme\x13", "400 body_truncated"),
    ("cut in a string", b"\x0a\x06\x0a\x04acm", "400 body_truncated"),
    ("cut in a tag", b"\x0a\x06\x0a\x04acme\x80", "400 body_truncated"),
    ("17 groups", b"\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x13\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14\x14", "400 body_too_deep"),
];

const CALLS: &[(&str, &str, &[u8], &str)] = &[
    ("one message", "application/grpc", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("one message", "application/grpc+proto", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("one message", "application/grpc-web", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("with trailers", "application/grpc-web+proto", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme\x80\0\0\0\x01a", "cell-a exact"),
    ("one text", "application/grpc-web-text", b"AAAAAAgKBgoEYWNtZQ==", "cell-a exact"),
    ("two texts", "application/grpc-web-text", b"AAAAAAg=CgYKBGFjbWU=", "cell-a exact"),
    ("one message", "application/connect+proto", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("no key first", "application/grpc", b"\0\0\0\0\0\0\0\0\0\x08\x0a\x06\x0a\x04acme", "cell-a exact"),
    (
        "the same key twice",
        "application/grpc",
        b"\0\0\0\0\x08\x0a\x06\x0a\x04acme\0\0\0\0\x08\x0a\x06\x0a\x04acme",
        "cell-a exact",
    ),
    (
        "another key",
        "application/grpc",
        b"\0\0\0\0\x08\x0a\x06\x0a\x04acme\0\0\0\0\x05\x0a\x03\x0a\x01x",
        "400 key_conflict",
    ),
    ("empty message", "application/grpc", b"\0\0\0\0\0", "400 key_missing"),
    ("compressed, unannounced", "application/grpc", b"\x01\0\0\0\x08\x0a\x06\x0a\x04acme", "400 body_malformed"),
    ("trailers", "application/grpc", b"\x80\0\0\0\0", "400 body_malformed"),
    ("behind the trailers", "application/grpc-web", b"\x80\0\0\0\0\0\0\0\0\0", "400 body_malformed"),
    ("frame within a string", "application/grpc", b"\0\0\0\0\x07\x0a\x06\x0a\x04acm\0\0\0\0\0", "400 body_malformed"),
    ("cut in a prefix", "application/grpc", b"\0\0\0\0\x08\x0a\x06\x0a\x04acme\0\0", "400 body_truncated"),
    ("white space", "application/grpc-web-text", b"AAAAAAgKBgoEYWNtZQ==\n\n\n\n", "400 body_malformed"),
    ("no padding", "application/grpc-web-text", b"AAAAAAgKBgoEYWNtZQ", "400 body_truncated"),
];
