//! MessagePack bodies.

use super::Case;

const TYPE: &str = "application/msgpack";

pub(super) fn cases() -> Vec<Case> {
    let values = VALUES.iter().map(|(name, value, expect)| {
        let body = [b"\x82\xa1n\x01\xa6tenant\x81\xa2id", *value].concat();
        Case::new(format!("msgpack: {name}"), expect).of_type(TYPE, body)
    });
    let bodies =
        BODIES.iter().map(|(name, body, expect)| Case::new(format!("msgpack: {name}"), expect).of_type(TYPE, body));
    let types = ["application/x-msgpack", "Application/Vnd.MsgPack"].map(|content_type| {
        Case::new(format!("msgpack: type {content_type}"), "cell-a exact")
            .of_type(content_type, b"\x81\xa6tenant\x81\xa2id\xa4acme")
    });
    let file = [&b"\xa4file\xc6\0\x01\x86\xa0"[..], &[0xc1; 100_000]].concat();
    let sizes = [
        ("key before 100 KB", [b"\x82\xa6tenant\x81\xa2id\xa4acme", &*file].concat(), "cell-a exact"),
        ("key behind 100 KB", [b"\x82", &*file, b"\xa6tenant\x81\xa2id\xa4acme"].concat(), "cell-a exact"),
        (
            "key before 100 KB, then malformed",
            [b"\x82\xa6tenant\x81\xa2id\xa4acme", &*file, b"\xc0"].concat(),
            "400 body_malformed",
        ),
        (
            "key before 100 KB, then again",
            [b"\x83\xa6tenant\x81\xa2id\xa4acme", &*file, b"\xa6tenant\xc0"].concat(),
            "400 key_duplicated",
        ),
    ];
    let sizes = sizes
        .into_iter()
        .map(|(name, body, expect)| Case::new(format!("size: msgpack, {name}"), expect).of_type(TYPE, body));
    values.chain(bodies).chain(types).chain(sizes).collect()
}

/// At `/tenant/id`.
const VALUES: &[(&str, &[u8], &str)] = &[
    ("fixstr", b"\xa4acme", "cell-a exact"),
    ("str 8", b"\xd9\x04acme", "cell-a exact"),
    ("str 16", b"\xda\0\x04acme", "cell-a exact"),
    ("str 32", b"\xdb\0\0\0\x04acme", "cell-a exact"),
    ("UTF-8", b"\xa4\xf0\x9f\x98\x80", "cell-b exact"),
    ("positive fixint", b"\x2a", "cell-b exact"),
    ("uint 8", b"\xcc\x2a", "cell-b exact"),
    ("uint 16", b"\xcd\0\x2a", "cell-b exact"),
    ("uint 32", b"\xce\0\0\0\x2a", "cell-b exact"),
    ("uint 64", b"\xcf\0\0\0\0\0\0\0\x2a", "cell-b exact"),
    ("largest uint 64", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "cell-a exact"),
    ("negative fixint", b"\xf9", "cell-c exact"),
    ("int 8", b"\xd0\xf9", "cell-c exact"),
    ("int 16", b"\xd1\xff\xf9", "cell-c exact"),
    ("int 32", b"\xd2\xff\xff\xff\xf9", "cell-c exact"),
    ("int 64", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xf9", "cell-c exact"),
    ("int 64, positive", b"\xd3\0\0\0\0\0\0\0\x2a", "cell-b exact"),
    ("smallest int 64", b"\xd3\x80\0\0\0\0\0\0\0", "cell-b exact"),
    ("nil", b"\xc0", "400 key_null"),
    ("false", b"\xc2", "400 key_boolean"),
    ("true", b"\xc3", "400 key_boolean"),
    ("float 32", b"\xca\x42\x28\0\0", "400 key_float"),
    ("float 64", b"\xcb\x40\x45\0\0\0\0\0\0", "400 key_float"),
    ("bin", b"\xc4\x04acme", "400 key_malformed"),
    ("ext", b"\xd4\x01\0", "400 key_malformed"),
    ("a timestamp", b"\xd6\xff\0\0\0\0", "400 key_malformed"),
    ("a map", b"\x80", "400 key_object"),
    ("an array", b"\x91\xa4acme", "400 key_array"),
    ("an empty str", b"\xa0", "400 key_empty"),
    ("not UTF-8", b"\xa1\xff", "400 key_invalid_utf8"),
    ("a control character", b"\xa2a\n", "400 key_control_character"),
    ("too long", b"\xd9\x4101234567890123456789012345678901234567890123456789012345678901234", "400 key_too_long"),
    ("unplaced", b"\xa5hooli", "421 key_unplaced"),
    ("0xc1", b"\xc1", "400 body_malformed"),
    ("more behind it", b"\xa4acme\x01", "400 body_malformed"),
    ("cut off", b"\xa5acme", "400 body_truncated"),
    ("no value", b"", "400 body_truncated"),
    ("a str of 4 GiB", b"\xdb\xff\xff\xff\xffacme", "400 body_truncated"),
];

const BODIES: &[(&str, &[u8], &str)] = &[
    ("map 16", b"\xde\0\x01\xa6tenant\xde\0\x01\xa2id\xa4acme", "cell-a exact"),
    ("map 32 and str 8 as a name", b"\xdf\0\0\0\x01\xd9\x06tenant\x81\xd9\x02id\xa4acme", "cell-a exact"),
    ("names that are an integer and nil", b"\x83\x01\x02\xc0\xc0\xa6tenant\x81\xa2id\xa4acme", "cell-a exact"),
    ("a name that is an array", b"\x82\x91\x01\x02\xa6tenant\x81\xa2id\xa4acme", "400 key_ambiguous"),
    ("str off the path that is not UTF-8", b"\x82\xa1x\xa1\xff\xa6tenant\x81\xa2id\xa4acme", "cell-a exact"),
    ("a name that is not UTF-8", b"\x82\xa1\xff\x01\xa6tenant\x81\xa2id\xa4acme", "400 body_invalid_utf8"),
    ("the key twice", b"\x81\xa6tenant\x82\xa2id\xa4acme\xa2id\xa4acme", "400 key_duplicated"),
    ("the key twice, in two widths", b"\x81\xa6tenant\x82\xa2id\xa4acme\xd9\x02id\xa1x", "400 key_duplicated"),
    ("the map twice", b"\x82\xa6tenant\x81\xa2id\xa4acme\xa6tenant\xc0", "400 key_duplicated"),
    ("another case", b"\x82\xa6tenant\x81\xa2id\xa4acme\xa6Tenant\x80", "400 key_ambiguous"),
    ("another spelling", b"\x81\xa6tenant\x82\xa2id\xa4acme\xa3i-d\xa1x", "400 key_ambiguous"),
    ("a name in bin", b"\x81\xa6tenant\x82\xa2id\xa4acme\xc4\x02id\xa1x", "400 key_ambiguous"),
    ("no key", b"\x81\xa6tenant\x80", "400 key_missing"),
    ("an array for the map", b"\x81\xa6tenant\x92\xa2id\xa4acme", "400 key_missing"),
    ("nil for a map", b"\xc0", "400 key_missing"),
    (
        "16 levels",
        b"\x82\xa1x\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90\xa6tenant\x81\xa2id\xa4acme",
        "cell-a exact",
    ),
    (
        "17 levels",
        b"\x82\xa1x\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90\xa6tenant\x81\xa2id\xa4acme",
        "400 body_too_deep",
    ),
    ("an array of 4 billion", b"\x82\xa6tenant\x81\xa2id\xa4acme\xa1x\xdd\xff\xff\xff\xff\xc0", "400 body_truncated"),
    ("two documents", b"\x81\xa6tenant\x81\xa2id\xa4acme\x80", "400 body_malformed"),
    ("fewer members than said", b"\x82\xa6tenant\x81\xa2id\xa4acme", "400 body_truncated"),
    ("events", b"\x81\xa6events\x93\x81\xa6tenant\xa4acme\x80\x81\xa6tenant\xa4acme", "cell-a exact"),
    ("events that differ", b"\x81\xa6events\x92\x81\xa6tenant\xa4acme\x81\xa6tenant\xa6globex", "400 key_conflict"),
    ("events, one nil", b"\x81\xa6events\x92\x81\xa6tenant\xa4acme\x81\xa6tenant\xc0", "400 key_conflict"),
    (
        "events, integer and its digits",
        b"\x81\xa6events\x92\x81\xa6tenant\xa242\x81\xa6tenant\xcd\0\x2a",
        "cell-b exact",
    ),
    ("JSON in str", b"\x81\xa7payload\xb6{\"team\":{\"id\":\"acme\"}}", "cell-a exact"),
    ("JSON in bin", b"\x81\xa7payload\xc4\x16{\"team\":{\"id\":\"acme\"}}", "cell-a exact"),
    ("malformed JSON in bin", b"\x81\xa7payload\xc4\x02{]", "400 body_malformed"),
    ("JSON in bin, cut off", b"\x81\xa7payload\xc4\x01{", "400 body_truncated"),
    ("a map in place of JSON", b"\x81\xa7payload\x81\xa4team\x80", "400 key_object"),
];
