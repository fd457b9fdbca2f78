use super::*;
use crate::binary::test_scan::{self, FoundKey, key, query};
use crate::body::{BodyScanner, Candidate};
use crate::reason::Reason;
use crate::source::Place;
use crate::value::ValueRule;

fn scan(pointer: &str, rule: &ValueRule, body: &[u8]) -> Result<FoundKey, (Reason, u64)> {
    test_scan::scan::<Msgpack>(pointer, rule, body)
}

fn found(pointer: &str, body: &[u8]) -> FoundKey {
    scan(pointer, &ValueRule::default(), body).unwrap()
}

#[test]
fn integers_of_every_width_are_one_key() {
    let five: [&[u8]; 9] = [
        b"\x05",
        b"\xcc\x05",
        b"\xcd\0\x05",
        b"\xce\0\0\0\x05",
        b"\xcf\0\0\0\0\0\0\0\x05",
        b"\xd0\x05",
        b"\xd1\0\x05",
        b"\xd2\0\0\0\x05",
        b"\xd3\0\0\0\0\0\0\0\x05",
    ];
    for body in five {
        assert_eq!(found("", body), key("5"), "{}", body.escape_ascii());
    }
    for body in
        [&b"\xe0"[..], b"\xd0\xe0", b"\xd1\xff\xe0", b"\xd2\xff\xff\xff\xe0", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xe0"]
    {
        assert_eq!(found("", body), key("-32"), "{}", body.escape_ascii());
    }
    assert_eq!(found("", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), key("18446744073709551615"));
    assert_eq!(found("", &[&b"\xd9\x21"[..], &[b'a'; 33]].concat()), Some(Err(Reason::KeyTooLong)));
    assert_eq!(found("", b"\xcf\0\0\xff\xff\xff\xff\xff\xff"), key("281474976710655"));
}

#[test]
fn every_other_type_has_its_reason() {
    let values: [(&[u8], Reason); 14] = [
        (b"\xc0", Reason::KeyNull),
        (b"\xc2", Reason::KeyBoolean),
        (b"\xc3", Reason::KeyBoolean),
        (b"\xca\x3f\x80\0\0", Reason::KeyFloat),
        (b"\xcb\x3f\xf0\0\0\0\0\0\0", Reason::KeyFloat),
        (b"\xc4\x04acme", Reason::KeyMalformed),
        (b"\xc4\0", Reason::KeyMalformed),
        (b"\xd6\xff\0\0\0\0", Reason::KeyMalformed),
        (b"\xd8\x01acmeacmeacmeacme", Reason::KeyMalformed),
        (b"\xc7\0\x01", Reason::KeyMalformed),
        (b"\x90", Reason::KeyArray),
        (b"\xde\0\0", Reason::KeyObject),
        (b"\xa0", Reason::KeyEmpty),
        (b"\xa2\xc3(", Reason::KeyInvalidUtf8),
    ];
    for (value, reason) in values {
        assert_eq!(found("/id", &[b"\x81\xa2id", value].concat()), Some(Err(reason)), "{}", value.escape_ascii());
    }
}

#[test]
fn a_name_that_some_readers_take_for_the_wanted_one_is_ambiguous() {
    let ambiguous = Some(Err(Reason::KeyAmbiguous));
    for name in [&b"\xc4\x02id"[..], b"\xc4\x02ID", b"\xa2Id"] {
        assert_eq!(found("/id", &[b"\x82\xa2id\xa1a", name, b"\xa1b"].concat()), ambiguous, "{}", name.escape_ascii());
        assert_eq!(found("/id", &[b"\x81", name, b"\xa1b"].concat()), ambiguous, "{}", name.escape_ascii());
    }
    for (pointer, name) in [
        ("/7", &b"\x07"[..]),
        ("/7", b"\xcb\x40\x1c\0\0\0\0\0\0"),
        ("/-1", b"\xff"),
        ("/true", b"\xc3"),
        ("/null", b"\xc0"),
    ] {
        assert_eq!(found(pointer, &[b"\x81", name, b"\xa1b"].concat()), ambiguous, "{pointer}");
    }
}

#[test]
fn other_names_are_skipped_with_their_values() {
    let id = b"\xa2id\xa4acme";
    for member in [&b"\x07\xa1b"[..], b"\xc0\x80"] {
        assert_eq!(found("/id", &[b"\x82", member, id].concat()), key("acme"), "{}", member.escape_ascii());
        assert_eq!(found("/id", &[&b"\x82"[..], id, member].concat()), key("acme"), "{}", member.escape_ascii());
    }
}

/// msgpack-lite makes the name `id` of `["id"]`, and Ruby's symbols are extensions.
#[test]
fn a_name_that_is_a_container_or_an_extension_may_be_any_name() {
    let ambiguous = Some(Err(Reason::KeyAmbiguous));
    for name in [&b"\x91\xa2id"[..], b"\x90", b"\x81\xa2id\xa1b", b"\xd5\0id", b"\xc7\x02\0id"] {
        for body in [[b"\x82\xa2id\xa1a", name, b"\xa1b"].concat(), [b"\x82", name, b"\xa1b\xa2id\xa1a"].concat()] {
            assert_eq!(found("/id", &body), ambiguous, "{}", body.escape_ascii());
        }
        let below = [b"\x82\xa1x\x81", name, b"\xa1b\xa2id\xa1a"].concat();
        assert_eq!(found("/id", &below), key("a"), "not on the path");
    }
}

#[test]
fn elements_are_reached_by_their_index_or_by_a_star() {
    let body = b"\x93\x81\xa2id\xa1a\x80\x81\xa2id\xa1b";
    assert_eq!(found("/0/id", body), key("a"));
    assert_eq!(found("/1/id", body), None);
    assert_eq!(found("/2/id", body), key("b"));
    assert_eq!(found("/*/id", body), Some(Err(Reason::KeyConflict)));
    assert_eq!(found("/*/id", b"\xdc\0\x03\x81\xa2id\xa1a\x80\x81\xa2id\xa1a"), key("a"));
    let attributes = b"\x92\x82\xa1k\xa1x\xa1v\xa1a\x82\xa1v\xa1b\xa1k\xa1y";
    assert_eq!(found("/[k=y]/v", attributes), key("b"));
}

#[test]
fn bin_may_hold_a_document_and_is_no_key() {
    let then = Some(Box::new(Place::Json("/t".parse().unwrap())));
    let rule = ValueRule { then, ..ValueRule::default() };
    for head in [&b"\xc4\x0c"[..], b"\xac", b"\xc6\0\0\0\x0c"] {
        let body = [b"\x81\xa2id", head, b"{\"t\":\"acme\"}"].concat();
        assert_eq!(scan("/id", &rule, &body), Ok(key("acme")));
    }
    assert_eq!(scan("/id", &rule, b"\x81\xa2id\xc4\0"), Ok(Some(Err(Reason::KeyEmpty))));
    assert_eq!(scan("/id", &rule, b"\x81\xa2id\xc4\x01{"), Ok(Some(Err(Reason::BodyTruncated))));
}

#[test]
fn malformed_bodies_are_refused_where_they_are_wrong() {
    let long = [b"\xdb\xff\xff\xff\xff".as_slice(), &[b'x'; 100]].concat();
    let bodies: [(&[u8], Reason, u64); 12] = [
        (b"", Reason::BodyTruncated, 0),
        (b"\xc1", Reason::BodyMalformed, 0),
        (b"\x82\xa2id\xa1a\xc1", Reason::BodyMalformed, 6),
        (b"\xc0\xc0", Reason::BodyMalformed, 1),
        (b"\x80\n", Reason::BodyMalformed, 1),
        (b"\xcd\0", Reason::BodyTruncated, 2),
        (b"\xa2i", Reason::BodyTruncated, 2),
        (b"\x81\xa2id", Reason::BodyTruncated, 4),
        (b"\x91\x91\x91\x91\x90", Reason::BodyTooDeep, 4),
        (b"\x81\xa3i\xffd\xc0", Reason::BodyInvalidUtf8, 3),
        (b"\xdf\xff\xff\xff\xff", Reason::BodyTruncated, 5),
        (&long, Reason::BodyTruncated, 105),
    ];
    for (body, reason, offset) in bodies {
        assert_eq!(scan("/id", &ValueRule::default(), body), Err((reason, offset)), "{}", body.escape_ascii());
    }
}

#[test]
fn str_that_is_not_read_may_hold_any_bytes() {
    assert_eq!(found("/id", b"\x82\xa1x\xa2\xff\xff\xa2id\xa1a"), key("a"));
    assert_eq!(found("/id", b"\x82\xa1x\x81\xa1\xff\xc0\xa2id\xa1a"), key("a"));
}

/// Once the key is known, it changes only to a conflict.
#[test]
fn the_key_is_settled_as_soon_as_it_is_complete() {
    let mut scanner = MsgpackScanner::new(query("/id", &ValueRule::default()));
    scanner.push(b"\x82\xa2id\xa2a").unwrap();
    assert!(!scanner.is_settled(0));
    scanner.push(b"b").unwrap();
    assert!(scanner.is_settled(0));
    assert_eq!(scanner.candidate(0), Candidate::Found("ab"));
    scanner.push(b"\xc4\x02id\xc0").unwrap();
    scanner.finish().unwrap();
    assert_eq!(scanner.candidate(0), Candidate::Unusable(Reason::KeyAmbiguous));
}
