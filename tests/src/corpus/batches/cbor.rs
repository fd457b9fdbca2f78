//! CBOR bodies (RFC 8949).

use super::Case;

const TYPE: &str = "application/cbor";

pub(super) fn cases() -> Vec<Case> {
    let values = VALUES.iter().map(|(name, value, expect)| {
        let body = [b"\xa2\x61n\x01\x66tenant\xa1\x62id", *value].concat();
        Case::new(format!("cbor: {name}"), expect).of_type(TYPE, body)
    });
    let bodies =
        BODIES.iter().map(|(name, body, expect)| Case::new(format!("cbor: {name}"), expect).of_type(TYPE, body));
    let types = [
        ("application/senml+cbor", "cell-a exact"),
        ("Application/CBOR; x=y", "cell-a exact"),
        ("application/cbor-seq", "415 content_type_unsupported"),
        ("application/missing-blocks+cbor-seq", "415 content_type_unsupported"),
    ];
    let types = types.map(|(content_type, expect)| {
        Case::new(format!("cbor: type {content_type}"), expect).of_type(content_type, GOOD)
    });
    let file = [&b"\x64file\x5a\0\x01\x86\xa0"[..], &[0xff; 100_000]].concat();
    let chunks = [&b"\x64file\x5f"[..], &b"\x41\xff".repeat(30_000), b"\xff"].concat();
    let empty = [&b"\x9f"[..], &b"\xa0".repeat(200_000), b"\xa1\x66tenant\x64acme\xff"].concat();
    let sizes = [
        ("key before 100 KB", [b"\xa2\x66tenant\xa1\x62id\x64acme", &*file].concat(), "cell-a exact"),
        ("key behind 100 KB", [b"\xa2", &*file, b"\x66tenant\xa1\x62id\x64acme"].concat(), "cell-a exact"),
        ("key behind 30,000 chunks", [b"\xbf", &*chunks, b"\x66tenant\xa1\x62id\x64acme\xff"].concat(), "cell-a exact"),
        (
            "key before 30,000 chunks, no end",
            [b"\xbf\x66tenant\xa1\x62id\x64acme", &*chunks].concat(),
            "400 body_truncated",
        ),
        ("200,000 empty maps before the key", empty, "cell-a exact"),
    ];
    let sizes = sizes
        .into_iter()
        .map(|(name, body, expect)| Case::new(format!("size: cbor, {name}"), expect).of_type(TYPE, body));
    values.chain(bodies).chain(types).chain(sizes).collect()
}

const GOOD: &[u8] = b"\xa1\x66tenant\xa1\x62id\x64acme";

/// At `/tenant/id`.
const VALUES: &[(&str, &[u8], &str)] = &[
    ("text", b"\x64acme", "cell-a exact"),
    ("text, length in one byte", b"\x78\x04acme", "cell-a exact"),
    ("text, length in eight bytes", b"\x7b\0\0\0\0\0\0\0\x04acme", "cell-a exact"),
    ("text in chunks", b"\x7f\x61a\x60\x63cme\xff", "cell-a exact"),
    ("UTF-8", b"\x64\xf0\x9f\x98\x80", "cell-b exact"),
    ("integer", b"\x18\x2a", "cell-b exact"),
    ("integer in eight bytes", b"\x1b\0\0\0\0\0\0\0\x2a", "cell-b exact"),
    ("largest unsigned integer", b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "cell-a exact"),
    ("negative integer", b"\x26", "cell-c exact"),
    ("negative integer in two bytes", b"\x39\0\x06", "cell-c exact"),
    ("smallest signed integer", b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", "cell-b exact"),
    ("below 64 bits", b"\x3b\x80\0\0\0\0\0\0\0", "400 key_float"),
    ("null", b"\xf6", "400 key_null"),
    ("undefined", b"\xf7", "400 key_null"),
    ("true", b"\xf5", "400 key_boolean"),
    ("half float", b"\xf9\x51\x40", "400 key_float"),
    ("float", b"\xfa\x42\x28\0\0", "400 key_float"),
    ("double", b"\xfb\x40\x45\0\0\0\0\0\0", "400 key_float"),
    ("bytes", b"\x44acme", "400 key_malformed"),
    ("bytes in chunks", b"\x5f\x44acme\xff", "400 key_malformed"),
    ("a simple value", b"\xe0", "400 key_malformed"),
    ("a simple value in two bytes", b"\xf8\x20", "400 key_malformed"),
    ("tagged text", b"\xc0\x64acme", "400 key_malformed"),
    ("a bignum", b"\xc2\x41\x2a", "400 key_malformed"),
    ("a tagged integer", b"\xc1\x18\x2a", "400 key_malformed"),
    ("a map", b"\xa0", "400 key_object"),
    ("an indefinite map", b"\xbf\xff", "400 key_object"),
    ("an array", b"\x81\x64acme", "400 key_array"),
    ("an empty text", b"\x60", "400 key_empty"),
    ("an empty text in chunks", b"\x7f\xff", "400 key_empty"),
    ("a control character", b"\x62a\n", "400 key_control_character"),
    ("too long", b"\x78\x4101234567890123456789012345678901234567890123456789012345678901234", "400 key_too_long"),
    ("unplaced", b"\x65hooli", "421 key_unplaced"),
    ("not UTF-8", b"\x61\xff", "400 body_invalid_utf8"),
    ("a character cut by a chunk", b"\x7f\x61\xc3\x61\xa5\xff", "400 body_invalid_utf8"),
    ("a chunk of bytes in a text", b"\x7f\x44acme\xff", "400 body_malformed"),
    ("an indefinite chunk in a text", b"\x7f\x7f\x64acme\xff\xff", "400 body_malformed"),
    ("reserved information", b"\x1c", "400 body_malformed"),
    ("an indefinite integer", b"\x1f", "400 body_malformed"),
    ("a break", b"\xff", "400 body_malformed"),
    ("a simple value that is too long", b"\xf8\x1f", "400 body_malformed"),
    ("more behind it", b"\x64acme\x01", "400 body_malformed"),
    ("cut off", b"\x65acme", "400 body_truncated"),
    ("chunks without an end", b"\x7f\x64acme", "400 body_truncated"),
    ("no value", b"", "400 body_truncated"),
    ("a tag of nothing", b"\xc0", "400 body_truncated"),
    ("a text of 16 EiB", b"\x7b\xff\xff\xff\xff\xff\xff\xff\xffacme", "400 body_truncated"),
];

const BODIES: &[(&str, &[u8], &str)] = &[
    ("indefinite maps", b"\xbf\x66tenant\xbf\x62id\x64acme\xff\xff", "cell-a exact"),
    ("a name in chunks", b"\xa1\x7f\x63ten\x63ant\xff\xa1\x62id\x64acme", "cell-a exact"),
    ("self-described", b"\xd9\xd9\xf7\xa1\x66tenant\xa1\x62id\x64acme", "cell-a exact"),
    ("a tag elsewhere", b"\xa2\x61t\xc1\x1a\x51\x4b\x67\xb0\x66tenant\xa1\x62id\x64acme", "cell-a exact"),
    ("a name that is an integer", b"\xa2\x01\x02\x66tenant\xa1\x62id\x64acme", "cell-a exact"),
    ("a name that is an array", b"\xa2\x81\x01\x02\x66tenant\xa1\x62id\x64acme", "400 key_ambiguous"),
    ("the key twice", b"\xa1\x66tenant\xa2\x62id\x64acme\x62id\x64acme", "400 key_duplicated"),
    ("the key twice, once in chunks", b"\xa1\x66tenant\xa2\x62id\x64acme\x7f\x61i\x61d\xff\x61x", "400 key_duplicated"),
    ("another case", b"\xa1\x66TENANT\xa1\x62id\x64acme", "400 key_ambiguous"),
    ("another spelling", b"\xa1\x67ten_ant\xa1\x62id\x64acme", "400 key_ambiguous"),
    ("a name in bytes", b"\xa1\x66tenant\xa2\x62id\x64acme\x42id\x61x", "400 key_ambiguous"),
    ("a tagged name", b"\xa2\xd8\x19\x00\x01\x66tenant\xa1\x62id\x64acme", "400 key_ambiguous"),
    ("no key", b"\xa1\x66tenant\xa0", "400 key_missing"),
    ("a break in a map of known length", b"\xa2\x66tenant\xa1\x62id\x64acme\xff", "400 body_malformed"),
    ("a break in place of a value", b"\xbf\x66tenant\xff", "400 body_malformed"),
    ("an indefinite map without its end", b"\xbf\x66tenant\xa1\x62id\x64acme", "400 body_truncated"),
    (
        "an array of 2^64 items",
        b"\xa2\x66tenant\xa1\x62id\x64acme\x61x\x9b\xff\xff\xff\xff\xff\xff\xff\xff\xf6",
        "400 body_truncated",
    ),
    ("two items", b"\xa1\x66tenant\xa1\x62id\x64acme\xa0", "400 body_malformed"),
    (
        "16 levels",
        b"\xa2\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80\x66tenant\xa1\x62id\x64acme",
        "cell-a exact",
    ),
    (
        "17 levels",
        b"\xa2\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80\x66tenant\xa1\x62id\x64acme",
        "400 body_too_deep",
    ),
    (
        "17 indefinite arrays",
        b"\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f",
        "400 body_too_deep",
    ),
    ("a batch", b"\x83\xa1\x66tenant\x64acme\xa0\xa1\x66tenant\x64acme", "cell-a exact"),
    ("an indefinite batch", b"\x9f\xbf\x66tenant\x66globex\xff\xf6\xff", "cell-b exact"),
    ("a batch that differs", b"\x82\xa1\x66tenant\x64acme\xa1\x66tenant\x66globex", "400 key_conflict"),
    ("a batch, one undefined", b"\x82\xa1\x66tenant\x64acme\xa1\x66tenant\xf7", "400 key_conflict"),
    ("an item in bytes", b"\xa1\x67payload\x4d\xa1\x66tenant\x64acme", "cell-a exact"),
    ("an item in chunks of bytes", b"\xa1\x67payload\x5f\x42\xa1\x66\x4btenant\x64acme\xff", "cell-a exact"),
    ("malformed in bytes", b"\xa1\x67payload\x41\x1c", "400 body_malformed"),
    ("cut off in bytes", b"\xa1\x67payload\x41\xa1", "400 body_truncated"),
    ("a map in place of bytes", b"\xa1\x67payload\xa1\x66tenant\x64acme", "400 key_object"),
];
