//! Bodies with a Content-Encoding. This corpus decodes zstd only, and one frame.

use super::Case;

const ZSTD: &[u8] = b"(\xb5/\xfd \x18\xc1\x00\x00{\"tenant\":{\"id\":\"acme\"}}";
const ZSTD_TWO_KEYS: &[u8] = b"(\xb5/\xfd 1E\x01\x00\x14\x02{\"tenant\":{\"id\":\"acme\"},globex\"}}\x01\x00(2\xc7";
const ZSTD_FORM: &[u8] = b"(\xb5/\xfd \x0eq\x00\x00tenant_id=acme";
const FIRST_HALF: &[u8] = b"(\xb5/\xfd \x10\x81\x00\x00{\"tenant\":{\"id\":";
const SECOND_HALF: &[u8] = b"(\xb5/\xfd \x08A\x00\x00\"acme\"}}";
const ZSTD_OF_ZSTD: &[u8] = b"(\xb5/\xfd !\t\x01\x00(\xb5/\xfd \x18\xc1\x00\x00{\"tenant\":{\"id\":\"acme\"}}";

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, encoding: &str, body: &[u8], expect: &str| {
        Case::new(format!("zstd: {name}"), expect).header("content-encoding", encoding).json(body)
    };
    let cut = ZSTD.len() - 1;
    vec![
        case("a document", "zstd", ZSTD, "cell-a exact"),
        case("its name in upper case", "ZSTD", ZSTD, "cell-a exact"),
        case("among empty elements", " , zstd,identity,", ZSTD, "cell-a exact"),
        case("twice", "zstd, zstd", ZSTD_OF_ZSTD, "cell-a exact"),
        case("twice, and encoded once", "zstd, zstd", ZSTD, "400 body_encoding_malformed"),
        case("once, and encoded twice", "zstd", ZSTD_OF_ZSTD, "400 body_malformed"),
        case("three times", "zstd, zstd, zstd", ZSTD_OF_ZSTD, "415 body_encoded"),
        case("of gzip, which is not listed", "gzip, zstd", ZSTD, "415 body_encoded"),
        case("a second key", "zstd", ZSTD_TWO_KEYS, "400 key_duplicated"),
        case("cut off", "zstd", &ZSTD[..cut], "400 body_encoding_malformed"),
        case("a byte behind its end", "zstd", &[ZSTD, b"x"].concat(), "400 body_encoding_malformed"),
        case("two frames", "zstd", &[FIRST_HALF, SECOND_HALF].concat(), "400 body_several_members"),
        case(
            "a frame and an empty skippable one",
            "zstd",
            &[ZSTD, b"\x50\x2a\x4d\x18\0\0\0\0"].concat(),
            "400 body_several_members",
        ),
        case(
            "a window of 16 MiB",
            "zstd",
            b"(\xb5/\xfd\x00\x70\xc1\x00\x00{\"tenant\":{\"id\":\"acme\"}}",
            "400 body_encoding_malformed",
        ),
        case("not encoded at all", "zstd", br#"{"tenant":{"id":"acme"}}"#, "400 body_encoding_malformed"),
        Case::new("zstd: announced by two fields", "cell-a exact")
            .header("content-encoding", "zstd")
            .header("content-encoding", "identity")
            .json(ZSTD),
        Case::new("zstd: a form", "cell-a exact").header("content-encoding", "zstd").form(ZSTD_FORM),
        Case::new("zstd: of a foreign type", "415 content_type_unsupported")
            .header("content-encoding", "zstd")
            .header("content-type", "text/plain")
            .body(ZSTD),
        Case::new("zstd: no body", "400 body_absent").header("content-encoding", "zstd").json(b""),
    ]
}
