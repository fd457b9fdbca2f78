//! Streams of gRPC messages, repeated fields, and documents in fields of messages.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let messages = MESSAGES.iter().map(|(name, body, expect)| {
        Case::new(format!("message: {name}"), expect).of_type("application/x-protobuf", body)
    });
    let streams = STREAMS.iter().map(|(name, messages, expect)| {
        let body: Vec<u8> = messages.iter().flat_map(|message| frame(0, message)).collect();
        Case::new(format!("stream: {name}"), expect).of_type("application/grpc", body)
    });
    let many = |last: &[u8]| [frame(0, ACME).repeat(4000), frame(0, last)].concat();
    let compressed = |name: &str, encoding: &str, expect: &str| {
        Case::new(format!("stream: {name}"), expect).header("grpc-encoding", encoding)
    };
    messages
        .chain(streams)
        .chain([
            Case::new("size: 4000 messages", "cell-a exact").of_type("application/grpc", many(ACME)),
            Case::new("size: 4000 messages, the last differs", "400 key_conflict")
                .of_type("application/grpc", many(b"\x0a\x08\x0a\x06globex")),
            Case::new("stream: a frame longer than the body", "400 body_truncated")
                .of_type("application/grpc", [b"\0\0\0\0\x64", ACME].concat()),
            Case::new("stream: a frame of 4 GiB", "400 body_truncated")
                .of_type("application/grpc", [b"\0\xff\xff\xff\xff", ACME].concat()),
            Case::new("stream: a frame shorter than its message", "400 body_malformed")
                .of_type("application/grpc", [b"\0\0\0\0\x07", ACME].concat()),
            compressed("gzip", "gzip", "cell-a exact").of_type("application/grpc", frame(1, GZIP)),
            compressed("deflate", "deflate", "cell-a exact").of_type("application/grpc", frame(1, ZLIB)),
            compressed("gzip announced, not used", "gzip", "cell-a exact").of_type("application/grpc", frame(0, ACME)),
            compressed("gzip, then plain", "gzip", "cell-a exact")
                .of_type("application/grpc", [frame(1, GZIP), frame(0, ACME)].concat()),
            compressed("gzip, then another key", "gzip", "400 key_conflict")
                .of_type("application/grpc", [frame(1, GZIP), frame(0, b"\x0a\x08\x0a\x06globex")].concat()),
            compressed("gzip that is damaged", "gzip", "400 body_malformed")
                .of_type("application/grpc", frame(1, b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff\xff\xff")),
            compressed("zstd", "zstd", "415 body_encoded").of_type("application/grpc", frame(1, ACME)),
            compressed("gzip not announced", "identity", "400 body_malformed")
                .of_type("application/grpc", frame(1, GZIP)),
        ])
        .collect()
}

/// The key at `1*.1`.
const ACME: &[u8] = b"\x0a\x06\x0a\x04acme";

/// [`ACME`] compressed.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xe3b\xe3bIL\xceM\x05\x00\x1f\x16\xa9\xe7\x08\x00\x00\x00";
const ZLIB: &[u8] = b"x\x9c\xe3b\xe3bIL\xceM\x05\x00\x04\xbe\x01\xb5";

fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[flags], &length[..], message].concat()
}

const MESSAGES: &[(&str, &[u8], &str)] = &[
    ("one element", ACME, "cell-a exact"),
    ("elements that agree", b"\x0a\x06\x0a\x04acme\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("an element without key", b"\x0a\x00\x0a\x06\x0a\x04acme\x0a\x02\x10\x01", "cell-a exact"),
    ("elements that differ", b"\x0a\x06\x0a\x04acme\x0a\x08\x0a\x06globex", "400 key_conflict"),
    ("a key and an empty one", b"\x0a\x06\x0a\x04acme\x0a\x02\x0a\x00", "400 key_conflict"),
    ("twice in one element", b"\x0a\x0c\x0a\x04acme\x0a\x04acme", "400 key_duplicated"),
    ("an integer", b"\x10\x2a", "cell-b exact"),
    ("an integer, longer than needed", b"\x10\xaa\x80\x00", "cell-b exact"),
    ("a negative integer", b"\x10\xf9\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cell-c exact"),
    ("the smallest integer", b"\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "cell-b exact"),
    ("an integer twice", b"\x10\x2a\x10\x2a", "400 key_duplicated"),
    ("a string for an integer", b"\x12\x0242", "400 key_malformed"),
    ("the list outranks the integer", b"\x10\x2a\x0a\x06\x0a\x04acme", "cell-a exact"),
    ("a document", b"\x1a\x16{\"team\":{\"id\":\"acme\"}}", "cell-a exact"),
    ("a malformed document", b"\x1a\x02{]", "400 body_malformed"),
    ("a document cut off", b"\x1a\x01{", "400 body_truncated"),
    ("a document twice", b"\x1a\x02{}\x1a\x16{\"team\":{\"id\":\"acme\"}}", "400 key_duplicated"),
    ("unplaced", b"\x0a\x07\x0a\x05hooli", "421 key_unplaced"),
    ("a length beyond the end", b"\x0a\x7f\x0a\x04acme", "400 body_truncated"),
    ("a length beyond the message", b"\x0a\x06\x0a\x7facme\x10\x01", "400 body_malformed"),
    ("a length of 2 GiB", b"\x0a\x80\x80\x80\x80\x08\x0a\x04acme", "400 body_malformed"),
    ("a tag of six bytes", b"\x8a\x80\x80\x80\x80\x00\x06\x0a\x04acme", "400 body_malformed"),
];

const STREAMS: &[(&str, &[&[u8]], &str)] = &[
    ("messages that agree", &[ACME, ACME, ACME], "cell-a exact"),
    ("messages without key around it", &[b"", ACME, b"\x20\x01"], "cell-a exact"),
    ("messages that differ", &[ACME, b"\x0a\x08\x0a\x06globex"], "400 key_conflict"),
    ("an integer and nothing", &[b"\x10\x2a", b""], "cell-b exact"),
    ("integers that differ", &[b"\x10\x2a", b"\x10\x2b"], "400 key_conflict"),
    ("a key and an unusable one", &[ACME, b"\x0a\x02\x0a\x00"], "400 key_conflict"),
    ("twice in one message", &[b"", b"\x10\x2a\x10\x2a"], "400 key_duplicated"),
    ("no key", &[b"", b"\x20\x01"], "400 key_missing"),
    ("a malformed message", &[ACME, b"\x07"], "400 body_malformed"),
    ("unplaced", &[b"\x10\x01", b"\x10\x01"], "421 key_unplaced"),
    ("a document", &[b"\x1a\x16{\"team\":{\"id\":\"acme\"}}", b"\x1a\x02{}"], "cell-a exact"),
    (
        "documents that differ",
        &[b"\x1a\x16{\"team\":{\"id\":\"acme\"}}", b"\x1a\x12{\"team\":{\"id\":42}}"],
        "400 key_conflict",
    ),
];
