//! One bomb or lie for each way of each format to cost the reader more than the writer, in any size.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// A request's body, and what must come of it.
pub(super) struct Bomb {
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) header: Option<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    /// `cell-b`, or `400 body_too_deep`.
    pub(super) expect: &'static str,
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=b";
const XML: &str = "application/xml";
const PROTOBUF: &str = "application/x-protobuf";
const GRPC: &str = "application/grpc";
const MSGPACK: &str = "application/msgpack";
const CBOR: &str = "application/cbor";

/// Eight MiB of letters in a JSON string, in 37 bytes of br.
const BR: &[u8] = b"\xcb\xff\xff\x3f\xf8\x8d\xd4\x60\xcd\x98\x63\xa5\x88\xce\x5e\x85\xe1\xc5\x6d\x81\xc0\xd9\xfb\xbf\x15\x38\x00\x08\x61\x61\x61\x61\x61\x61\x22\x7d\x03";

/// The bombs with bodies of about `size` bytes, and small ones that decode to more.
pub(super) fn bombs(size: usize) -> Vec<Bomb> {
    [texts(size), multipart(size), xml(size), binary(size), calls(size), encoded()].into_iter().flatten().collect()
}

fn texts(size: usize) -> Vec<Bomb> {
    let filled = |before: &str, unit: &str, after: &str| filled(before, unit, after, size);
    let selection = filled(r#"{"query":""#, "{a", r#"","variables":{"tenant":"acme"}}"#);
    vec![
        bomb("brackets", JSON, filled("", "[", ""), "400 body_too_deep"),
        bomb("objects", JSON, filled("", r#"{"a":"#, ""), "400 body_too_deep"),
        bomb("a long name", JSON, filled("{\"", "a", "\":1}"), "400 key_missing"),
        bomb("members", JSON, filled("{", r#""a":0,"#, r#""b":0}"#), "400 key_missing"),
        bomb(
            "the key again and again",
            JSON,
            filled("{", r#""tenant":{"id":"acme"},"#, r#""b":0}"#),
            "400 key_duplicated",
        ),
        bomb("elements that agree", JSON, filled(r#"{"items":["#, r#"{"id":"acme"},"#, "{}]}"), "cell-b"),
        bomb("a number as the key", JSON, filled(r#"{"tenant":{"id":1"#, "1", "}}"), "400 key_float"),
        bomb("a number elsewhere", JSON, filled(r#"{"a":1"#, "1", "}"), "400 key_missing"),
        bomb("escapes in the key", JSON, filled(r#"{"tenant":{"id":""#, r"\u0061", r#""}}"#), "400 key_too_long"),
        bomb("escapes in a name", JSON, filled("{\"", r"\u0061", "\":1}"), "400 key_missing"),
        bomb("white space", JSON, filled("", " ", ""), "400 body_truncated"),
        bomb("a deep GraphQL selection", JSON, selection, "cell-b"),
        bomb("empty lines", LINES, filled("", "\n", ""), "400 key_missing"),
        bomb("records that agree", LINES, filled("", "{\"tenant\":\"acme\"}\n", ""), "cell-b"),
        bomb("records without a key", LINES, filled("", "{}\n", ""), "400 key_missing"),
        bomb("a deep record", LINES, filled("{}\n", "[", ""), "400 body_too_deep"),
        bomb("fields", FORM, filled("", "a&", "tenant=acme"), "cell-b"),
        bomb("a long name", FORM, filled("", "a", "=1"), "400 key_missing"),
        bomb("escapes in the key", FORM, filled("tenant=", "%61", ""), "400 key_too_long"),
        bomb("separators", FORM, filled("", "&", ""), "400 key_missing"),
    ]
}

fn multipart(size: usize) -> Vec<Bomb> {
    let filled = |before: &str, unit: &str, after: &str| filled(before, unit, after, size);
    let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
    vec![
        bomb("parts", PARTS, filled("", part, "--b--\r\n"), "400 key_missing"),
        bomb("a long header", PARTS, filled("--b\r\nX-A: ", "a", "\r\n\r\n--b--\r\n"), "400 body_malformed"),
        bomb("header fields", PARTS, filled("--b\r\n", "a: b\r\n", "\r\n\r\n--b--\r\n"), "400 body_malformed"),
        bomb("a preamble", PARTS, filled("", "a", ""), "400 body_malformed"),
        bomb("almost delimiters", PARTS, filled(part, "\r\n--", "\r\n--b--\r\n"), "400 key_missing"),
    ]
}

fn xml(size: usize) -> Vec<Bomb> {
    let filled = |before: &str, unit: &str, after: &str| filled(before, unit, after, size);
    let laughs = "<!DOCTYPE d [<!ENTITY a \"a\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><d><t>";
    vec![
        bomb("billion laughs", XML, filled(laughs, "&b;", "</t></d>"), "400 body_doctype"),
        bomb("attributes", XML, attributes(size), "400 body_too_complex"),
        bomb("one attribute again and again", XML, filled("<d", " a='b'", "/>"), "400 body_malformed"),
        bomb("a long attribute", XML, filled("<d a='", "b", "'/>"), "400 key_missing"),
        bomb("a long name", XML, filled("<d><", "a", "/></d>"), "400 body_too_complex"),
        bomb("deep elements", XML, filled("", "<a>", ""), "400 body_too_deep"),
        bomb("elements", XML, filled("<d>", "<a/>", "</d>"), "400 key_missing"),
        bomb("characters by number", XML, filled("<d><t>", "&#97;", "</t></d>"), "400 key_too_long"),
        bomb("comments", XML, filled("<d>", "<!---->", "<t>acme</t></d>"), "cell-b"),
        bomb("CDATA", XML, filled("<d><t>", "<![CDATA[]]>", "acme</t></d>"), "cell-b"),
        bomb("instructions", XML, filled("<d>", "<?a?>", "</d>"), "400 key_missing"),
    ]
}

fn binary(size: usize) -> Vec<Bomb> {
    let filled = |before: &[u8], unit: &[u8], after: &[u8]| filled(before, unit, after, size);
    vec![
        bomb("groups", PROTOBUF, filled(b"", b"\x23", b""), "400 body_too_deep"),
        bomb("fields", PROTOBUF, filled(b"\x0a\x06\x0a\x04acme", b"\x10\x01", b""), "cell-b"),
        bomb("a length of 2 GiB", PROTOBUF, filled(b"\x12\xff\xff\xff\xff\x07", b"a", b""), "400 body_truncated"),
        bomb("the key again and again", PROTOBUF, filled(b"", b"\x0a\x06\x0a\x04acme", b""), "400 key_duplicated"),
        bomb("a long key", PROTOBUF, long_key(size), "400 key_too_long"),
        bomb("arrays", MSGPACK, filled(b"", b"\x91", b""), "400 body_too_deep"),
        bomb("an array of 4 G", MSGPACK, filled(b"\xdd\xff\xff\xff\xff", b"\xc0", b""), "400 body_truncated"),
        bomb("a map of 4 G", MSGPACK, filled(b"\xdf\xff\xff\xff\xff", b"\xa1ac", b""), "400 body_truncated"),
        bomb("a string of 4 GiB", MSGPACK, filled(b"\xdb\xff\xff\xff\xff", b"a", b""), "400 body_truncated"),
        bomb("arrays", CBOR, filled(b"", b"\x81", b""), "400 body_too_deep"),
        bomb("open arrays", CBOR, filled(b"", b"\x9f", b""), "400 body_too_deep"),
        bomb("tags", CBOR, filled(b"", b"\xc1", b""), "400 body_truncated"),
        bomb(
            "an array of 16 E",
            CBOR,
            filled(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", b"\xf6", b""),
            "400 body_truncated",
        ),
        bomb("empty pieces of a string", CBOR, filled(b"\x7f", b"\x60", b"\xff"), "400 key_missing"),
        bomb("a string of 4 GiB", CBOR, filled(b"\x7a\xff\xff\xff\xff", b"a", b""), "400 body_truncated"),
    ]
}

fn calls(size: usize) -> Vec<Bomb> {
    let key = b"\0\0\0\0\x08\x0a\x06\x0a\x04acme";
    let zeros = gzip(&[&b"\x12\x80\x80\x80\x10"[..], &vec![0; 32 << 20]].concat());
    let length = u32::try_from(zeros.len()).unwrap().to_be_bytes();
    let frame = [&b"\x01"[..], &length, &zeros].concat();
    let compressed = Some(("grpc-encoding", "gzip"));
    vec![
        bomb("empty messages", GRPC, filled(key, b"\0\0\0\0\0", b"", size), "cell-b"),
        bomb(
            "a message of 4 GiB",
            GRPC,
            filled(b"\0\xff\xff\xff\xff\x12\xff\xff\xff\xff\x07", b"a", b"", size),
            "400 body_truncated",
        ),
        Bomb { header: compressed, ..bomb("1000 bytes from one", GRPC, frame.clone(), "413 body_too_large") },
        Bomb { header: compressed, ..bomb("after the key", GRPC, [&key[..], &frame].concat(), "413 body_too_large") },
    ]
}

/// Small bodies that decode to much, and those that are not what they say.
fn encoded() -> Vec<Bomb> {
    let text = filled("{\"x\":\"", "a", "\"}", 8 << 20);
    let document = filled("{\"tenant\":{\"id\":\"acme\"},\"x\":\"", "a", "\"}", 2000);
    let (once, cut) = (gzip(&document), gzip(&document).split_off(1));
    let as_encoded = |name, encoding, body, expect| Bomb {
        header: Some(("content-encoding", encoding)),
        ..bomb(name, JSON, body, expect)
    };
    vec![
        as_encoded("gzip", "gzip", gzip(&text), "413 body_decoded_ratio"),
        as_encoded("gzip of gzip", "gzip, gzip", gzip(&gzip(&text)), "413 body_decoded_ratio"),
        as_encoded("deflate", "deflate", deflate(&text), "413 body_decoded_ratio"),
        as_encoded("br", "br", BR.to_vec(), "413 body_decoded_ratio"),
        as_encoded("zstd", "zstd", zstd(64), "413 body_decoded_ratio"),
        as_encoded("gzip of zstd", "zstd, gzip", gzip(&zstd(64)), "413 body_decoded_ratio"),
        as_encoded("three deep", "gzip, gzip, gzip", gzip(&gzip(&once)), "415 body_encoded"),
        as_encoded("unknown", "compress", once.clone(), "415 body_encoded"),
        as_encoded("gzip as zstd", "zstd", once.clone(), "400 body_encoding_malformed"),
        as_encoded("gzip as br", "br", once.clone(), "400 body_encoding_malformed"),
        as_encoded("text as gzip", "gzip", document, "400 body_encoding_malformed"),
        as_encoded("without its first byte", "gzip", cut, "400 body_encoding_malformed"),
        as_encoded("cut off", "gzip", once[..once.len() - 1].to_vec(), "400 body_encoding_malformed"),
    ]
}

fn bomb(name: &'static str, content_type: &'static str, body: Vec<u8>, expect: &'static str) -> Bomb {
    Bomb { name, content_type, header: None, body, expect }
}

/// `before`, as many of `unit` as there is room for, and `after`.
fn filled(before: impl AsRef<[u8]>, unit: impl AsRef<[u8]>, after: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    let (before, unit, after) = (before.as_ref(), unit.as_ref(), after.as_ref());
    let count = (size - before.len() - after.len()) / unit.len();
    [before, &unit.repeat(count), after].concat()
}

/// An element with as many attributes as there is room for, each with a name of its own.
fn attributes(size: usize) -> Vec<u8> {
    let all: String = (0..size / 16).map(|number| format!(" a{number}='b'")).collect();
    format!("<d{all}/>").into_bytes()
}

/// A protobuf message whose key has as many bytes as there is room for.
fn long_key(size: usize) -> Vec<u8> {
    let delimited = |bytes: &[u8]| {
        let mut field = vec![0x0a];
        prost::encoding::encode_varint(bytes.len() as u64, &mut field);
        [&field, bytes].concat()
    };
    delimited(&delimited(&vec![b'a'; size - 12]))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A JSON string of so many times 128 KiB, in four bytes each (RFC 8878, blocks of type RLE).
fn zstd(blocks: usize) -> Vec<u8> {
    let header = |size: u32, kind: u32, last: u32| (size << 3 | kind << 1 | last).to_le_bytes()[..3].to_vec();
    let raw = |text: &[u8], last| [header(u32::try_from(text.len()).unwrap(), 0, last), text.to_vec()].concat();
    let run = [header(128 * 1024, 1, 0), b"a".to_vec()].concat();
    // A window of 1 MiB.
    [b"\x28\xb5\x2f\xfd\x00\x50".to_vec(), raw(b"{\"x\":\"", 0), run.repeat(blocks), raw(b"\"}", 1)].concat()
}
