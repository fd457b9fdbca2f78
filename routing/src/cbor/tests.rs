use super::*;
use crate::binary::test_scan::{self, FoundKey, key};
use crate::format::{BodyFormat, Format};
use crate::media::ContentTypes;
use crate::reason::Reason;
use crate::source::Place;
use crate::value::ValueRule;

fn scan(pointer: &str, rule: &ValueRule, body: &[u8]) -> Result<FoundKey, (Reason, u64)> {
    test_scan::scan::<Cbor>(pointer, rule, body)
}

fn found(pointer: &str, body: &[u8]) -> FoundKey {
    scan(pointer, &ValueRule::default(), body).unwrap()
}

/// The examples of RFC 8949, appendix A, that can be keys.
#[test]
fn integers_and_text_of_the_rfc_are_keys() {
    let examples: [(&[u8], &str); 12] = [
        (b"\x00", "0"),
        (b"\x17", "23"),
        (b"\x18\x18", "24"),
        (b"\x1a\0\x0f\x42\x40", "1000000"),
        (b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
        (b"\x20", "-1"),
        (b"\x39\x03\xe7", "-1000"),
        (b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", "-9223372036854775808"),
        (b"\x1b\0\0\0\0\0\0\0\x05", "5"),
        (b"\x64IETF", "IETF"),
        (b"\x63\xe6\xb0\xb4", "水"),
        (b"\x7f\x65strea\x64ming\xff", "streaming"),
    ];
    for (body, text) in examples {
        assert_eq!(found("", body), key(text), "{}", body.escape_ascii());
    }
    assert_eq!(found("/a", b"\xbf\x61a\x7f\x60\x78\x02ac\x7b\0\0\0\0\0\0\0\x02me\x60\xff\xff"), key("acme"));
}

#[test]
fn every_other_type_has_its_reason() {
    let values: [(&[u8], Reason); 21] = [
        (b"\x3b\x80\0\0\0\0\0\0\0", Reason::KeyFloat),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", Reason::KeyFloat),
        (b"\xf9\x3c\0", Reason::KeyFloat),
        (b"\xfa\x3f\x80\0\0", Reason::KeyFloat),
        (b"\xfb\x3f\xf0\0\0\0\0\0\0", Reason::KeyFloat),
        (b"\xf4", Reason::KeyBoolean),
        (b"\xf5", Reason::KeyBoolean),
        (b"\xf6", Reason::KeyNull),
        (b"\xf7", Reason::KeyNull),
        (b"\xf0", Reason::KeyMalformed),
        (b"\xf8\x20", Reason::KeyMalformed),
        (b"\x44acme", Reason::KeyMalformed),
        (b"\x5f\x42ac\x42me\xff", Reason::KeyMalformed),
        (b"\xc0\x64acme", Reason::KeyMalformed),
        (b"\xd8\x25\x44acme", Reason::KeyMalformed),
        (b"\xc1\x05", Reason::KeyMalformed),
        (b"\xc2\x41\x05", Reason::KeyMalformed),
        (b"\x9f\xff", Reason::KeyArray),
        (b"\xc4\x82\x01\x02", Reason::KeyArray),
        (b"\xbf\xff", Reason::KeyObject),
        (b"\x7f\xff", Reason::KeyEmpty),
    ];
    for (value, reason) in values {
        assert_eq!(found("/id", &[b"\xa1\x62id", value].concat()), Some(Err(reason)), "{}", value.escape_ascii());
    }
}

#[test]
fn tags_before_containers_are_skipped() {
    assert_eq!(found("/a/0", b"\xd9\xd9\xf7\xa1\x61a\xd9\x01\x02\x81\x62id"), key("id"));
    // A tag ends with its item.
    assert_eq!(found("/b", b"\xa2\x61a\xc0\x61x\x61b\x61y"), key("y"));
    assert_eq!(found("/b", b"\xc1\xa1\x61b\x61y"), key("y"));
}

/// Decoders with string references replace `25(0)` by the first string, here `id`.
#[test]
fn a_name_with_a_tag_may_be_any_name() {
    let ambiguous = Some(Err(Reason::KeyAmbiguous));
    for name in [&b"\xd8\x19\0"[..], b"\xc0\x61x", b"\xc0\x7f\xff", b"\xc0\x80", b"\xc0\x41x", b"\xc0\xf6"] {
        let body = [b"\xd9\x01\0\xa2\x62id\x61a", name, b"\x61b"].concat();
        assert_eq!(found("/id", &body), ambiguous, "{}", body.escape_ascii());
    }
    assert_eq!(found("/a/id", b"\xa2\x61a\xa1\x62id\x61b\x61c\xa1\xc0\x62id\x61x"), key("b"), "not on the path");
}

#[test]
fn a_name_that_some_readers_take_for_the_wanted_one_is_ambiguous() {
    for (pointer, name) in [
        ("/id", &b"\x42id"[..]),
        ("/id", b"\x5f\x41i\x41d\xff"),
        ("/id", b"\x62iD"),
        ("/7", b"\x07"),
        ("/-8", b"\x27"),
        ("/1.5", b"\xf9\x3e\0"),
        ("/0.1", b"\xfa\x3d\xcc\xcc\xcd"),
        ("/1e+21", b"\xfb\x44\x4b\x1a\xe4\xd6\xe2\xef\x50"),
        ("/Infinity", b"\xf9\x7c\0"),
        ("/2", b"\xfa\x40\0\0\0"),
        ("/0", b"\xf9\x80\0"),
        ("/undefined", b"\xf7"),
        ("/false", b"\xf4"),
        ("/id", b"\x81\x62id"),
        ("/id", b"\x9f\x62id\xff"),
    ] {
        let body = [b"\xa1", name, b"\x61b"].concat();
        assert_eq!(found(pointer, &body), Some(Err(Reason::KeyAmbiguous)), "{pointer}");
    }
    assert_eq!(found("/1", b"\xa2\x02\x61b\x61\x31\x61c"), key("c"));
    assert_eq!(found("/1", b"\xa2\xf9\x3e\0\x61b\x61\x31\x61c"), key("c"), "1.5 is no text of an integer");
}

/// RFC 8949, appendix F, among others.
#[test]
fn malformed_bodies_are_refused_where_they_are_wrong() {
    let bodies: [(&[u8], Reason, u64); 26] = [
        (b"", Reason::BodyTruncated, 0),
        (b"\x18", Reason::BodyTruncated, 1),
        (b"\x1b\0", Reason::BodyTruncated, 2),
        (b"\x7f\x61a", Reason::BodyTruncated, 3),
        (b"\xa1\x61a", Reason::BodyTruncated, 3),
        (b"\xc0", Reason::BodyTruncated, 1),
        (b"\x1c", Reason::BodyMalformed, 0),
        (b"\x5d", Reason::BodyMalformed, 0),
        (b"\xfe", Reason::BodyMalformed, 0),
        (b"\x1f", Reason::BodyMalformed, 0),
        (b"\x3f", Reason::BodyMalformed, 0),
        (b"\xdf", Reason::BodyMalformed, 0),
        (b"\xf8\x18", Reason::BodyMalformed, 1),
        (b"\xf8\x14", Reason::BodyMalformed, 1),
        (b"\xff", Reason::BodyMalformed, 0),
        (b"\x81\xff", Reason::BodyMalformed, 1),
        (b"\xbf\x61a\xff", Reason::BodyMalformed, 3),
        (b"\x9f\xc0\xff", Reason::BodyMalformed, 2),
        (b"\x7f\x41a\xff", Reason::BodyMalformed, 1),
        (b"\x7f\x7f\x61a\xff\xff", Reason::BodyMalformed, 1),
        (b"\x5f\xc0\x41a\xff", Reason::BodyMalformed, 1),
        (b"\x00\x00", Reason::BodyMalformed, 1),
        (b"\x81\x81\x81\x81\x80", Reason::BodyTooDeep, 4),
        (b"\xa1\x61x\x62\xc3(", Reason::BodyInvalidUtf8, 4),
        (b"\x7f\x61\xc3\x61\xa5\xff", Reason::BodyInvalidUtf8, 2),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x7b\xff\xff\xff\xff\xff\xff\xff\xffx", Reason::BodyTruncated, 19),
    ];
    for (body, reason, offset) in bodies {
        assert_eq!(scan("/id", &ValueRule::default(), body), Err((reason, offset)), "{}", body.escape_ascii());
    }
}

#[test]
fn a_byte_string_may_hold_a_document() {
    let then = Some(Box::new(Place::Cbor("/t".parse().unwrap())));
    let rule = ValueRule { then, ..ValueRule::default() };
    let payload = [&b"\xd2\x84\x40\xa0\x48\xa1\x61t\x64acme"[..], b"\x40"].concat();
    assert_eq!(scan("/2", &rule, &payload), Ok(key("acme")));
    assert_eq!(scan("/2", &rule, b"\x84\x40\xa0\x5f\x44\xa1\x61t\x64\x40\x44acme\xff\x40"), Ok(key("acme")));
    assert_eq!(scan("/2", &rule, b"\x83\x40\xa0\x41\xa1"), Ok(Some(Err(Reason::BodyTruncated))));
}

#[test]
fn half_precision_numbers_are_those_of_the_rfc() {
    for (bits, value) in [
        (0x0000, 0.0),
        (0x3c00, 1.0),
        (0x3e00, 1.5),
        (0x7bff, 65504.0),
        (0x0001, 5.960_464_477_539_063e-8),
        (0x0400, 0.000_061_035_156_25),
        (0xc400, -4.0),
        (0x7c00, f64::INFINITY),
        (0xfc00, f64::NEG_INFINITY),
    ] {
        assert_eq!(half(bits), value, "{bits:04x}");
    }
    assert!(half(0x7e00).is_nan());
}

/// RFC 8742: a sequence of items is not one item.
#[test]
fn sequences_have_another_media_type() {
    let types = ContentTypes::default();
    let format = |name: &str| types.format_of(&[("content-type", name)][..], |_| true);
    for name in ["application/cbor", "application/senml+cbor", "Application/CBOR"] {
        assert_eq!(format(name), Ok(BodyFormat::of(Format::Cbor)), "{name}");
    }
    for name in ["application/cbor-seq", "application/geo+cbor-seq", "application/+cbor"] {
        assert_eq!(format(name), Err(Reason::ContentTypeUnsupported), "{name}");
    }
}
