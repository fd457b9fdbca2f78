//! One message.

use super::*;

#[test]
fn a_string_is_found_at_its_path() {
    let body = [varint(9, 1), text(1, [text(3, text(2, "acme")), fixed64(4, 1)].concat()), fixed32(8, 1)].concat();
    assert_eq!(find("1.3.2", &body), found("acme"));
    assert_eq!(find("1.3.1", &body), MISSING);
    assert_eq!(find("2.3.2", &body), MISSING);
    assert_eq!(find("1", &[]), MISSING);
    assert_eq!(find("1", &text(1, "å")), found("å"));
    // Each of the sources has its own.
    let keys = scan(&query(&["1.3.2", "1.4:fixed64", "9:int32"], Duplicates::Reject), Framing::None, &body).unwrap();
    assert_eq!(keys, [Some(Ok("acme".into())), Some(Ok("1".into())), Some(Ok("1".into()))]);
}

#[test]
fn each_integer_type_is_read() {
    for (path, body, key) in [
        ("1:int64", varint(1, u64::MAX), "-1"),
        ("1:int32", varint(1, u64::MAX), "-1"),
        ("1:uint64", varint(1, u64::MAX), "18446744073709551615"),
        ("1:uint32", varint(1, 42), "42"),
        ("1:sint64", varint(1, 3), "-2"),
        ("1:sint32", varint(1, 4), "2"),
        ("1:fixed64", fixed64(1, u64::MAX), "18446744073709551615"),
        ("1:sfixed64", fixed64(1, u64::MAX), "-1"),
        ("1:fixed32", fixed32(1, u32::MAX), "4294967295"),
        ("1:sfixed32", fixed32(1, u32::MAX), "-1"),
        // 0 is on the wire only if the field has presence, so it is a value.
        ("1:int64", varint(1, 0), "0"),
    ] {
        assert_eq!(find(path, &body), found(key), "{path}");
    }
}

#[test]
fn an_unusable_string_has_its_reason() {
    assert_eq!(find("1", &text(1, "")), unusable(Reason::KeyEmpty));
    assert_eq!(find("1", &text(1, b"a\xff")), unusable(Reason::KeyInvalidUtf8));
    assert_eq!(find("1", &text(1, "a\n")), unusable(Reason::KeyControlCharacter));
    assert_eq!(find("1", &text(1, "x".repeat(KEY_BYTES + 1))), unusable(Reason::KeyTooLong));
    assert_eq!(find("1", &text(1, "x".repeat(KEY_BYTES))), found(&"x".repeat(KEY_BYTES)));
}

/// Decoders merge the two messages, and the last string counts for them.
#[test]
fn a_field_that_stands_twice_is_a_duplicate() {
    let bodies = [
        [text(1, "a"), text(1, "b")].concat(),
        [text(1, "a"), varint(7, 1), text(1, "b")].concat(),
        [text(1, "b"), text(1, "b")].concat(),
    ];
    for body in bodies {
        assert_eq!(find("1", &body), unusable(Reason::KeyDuplicated));
        assert_eq!(find_by("1", Duplicates::Last, &body), found("b"));
    }
    let merged = [text(1, text(2, "a")), text(1, text(3, "x")), text(1, text(2, "b"))].concat();
    assert_eq!(find("1.2", &merged), unusable(Reason::KeyDuplicated));
    assert_eq!(find_by("1.2", Duplicates::First, &merged), found("a"));
    assert_eq!(find_by("1.2", Duplicates::Last, &merged), found("b"));
    assert_eq!(find("1.3", &merged), found("x"));
    let numbers = [varint(1, 1), varint(1, 2)].concat();
    assert_eq!(find("1:int32", &numbers), unusable(Reason::KeyDuplicated));
    assert_eq!(find_by("1:int32", Duplicates::First, &numbers), found("1"));
    assert_eq!(find_by("1:int32", Duplicates::Last, &numbers), found("2"));
}

#[test]
fn the_occurrences_of_a_repeated_field_must_agree() {
    let batch = |ids: &[&str]| ids.iter().flat_map(|id| text(1, text(2, id))).collect::<Vec<_>>();
    assert_eq!(find("1*.2", &batch(&["a"])), found("a"));
    assert_eq!(find("1*.2", &batch(&["a", "a", "a"])), found("a"));
    assert_eq!(find("1*.2", &batch(&["a", "a", "b"])), unusable(Reason::KeyConflict));
    assert_eq!(find("1*.2", &batch(&["a", ""])), unusable(Reason::KeyConflict));
    // An element without a key changes nothing, and two keys in one element are duplicates.
    let gap = [text(1, text(3, "x")), text(1, text(2, "a")), text(1, "")].concat();
    assert_eq!(find("1*.2", &gap), found("a"));
    let twice = text(1, [text(2, "a"), text(2, "a")].concat());
    assert_eq!(find("1*.2", &twice), unusable(Reason::KeyDuplicated));
    let last = text(1, [text(2, "b"), text(2, "a")].concat());
    assert_eq!(find_by("1*.2", Duplicates::Last, &[last, batch(&["a"])].concat()), found("a"));
    // Repeated inside a message that is merged, and inside another repeated one.
    let nested = [text(1, batch(&["a"])), text(1, batch(&["a"]))].concat();
    assert_eq!(find("1.1*.2", &nested), found("a"));
    assert_eq!(find("1*.1*.2", &nested), found("a"));
    assert_eq!(find("1*.1.2", &nested), found("a"));
    assert_eq!(find("1.1.2", &nested), unusable(Reason::KeyDuplicated));
    // A repeated string.
    assert_eq!(find("4*", &[text(4, "a"), text(4, "a")].concat()), found("a"));
    assert_eq!(find("4*", &[text(4, "a"), text(4, "b")].concat()), unusable(Reason::KeyConflict));
}

#[test]
fn repeated_numbers_may_be_packed() {
    assert_eq!(find("4*:int64", &text(4, [150, 1, 150, 1])), found("150"));
    assert_eq!(find("4*:int64", &[text(4, [7]), varint(4, 7)].concat()), found("7"));
    assert_eq!(find("4*:int64", &text(4, [1, 2])), unusable(Reason::KeyConflict));
    assert_eq!(find("4*:int64", &text(4, [])), MISSING);
    assert_eq!(find("4*:fixed32", &text(4, [1, 0, 0, 0, 1, 0, 0, 0])), found("1"));
    assert_eq!(find("4*:fixed64", &text(4, 9u64.to_le_bytes())), found("9"));
    for cut in [text(4, [150]), text(4, [1, 150])] {
        assert_eq!(find("4*:int64", &[cut, varint(5, 1)].concat()), Err(Reason::BodyMalformed));
    }
    assert_eq!(find("4*:fixed32", &[text(4, [1, 0, 0]), varint(5, 1)].concat()), Err(Reason::BodyMalformed));
    // Not a repeated field: prost fails, and the others ignore it.
    assert_eq!(find("4:int64", &text(4, [1])), unusable(Reason::KeyMalformed));
}

/// protobuf-go, C++ and Java take it for an unknown field; prost fails.
#[test]
fn a_field_of_another_wire_type_is_a_key_that_servers_read_differently() {
    for body in [varint(1, 1), fixed32(1, 1), fixed64(1, 1), group(1, "")] {
        assert_eq!(find("1", &body), unusable(Reason::KeyMalformed));
        assert_eq!(find("1.2", &body), unusable(Reason::KeyMalformed));
        assert_eq!(find("1*.2", &body), unusable(Reason::KeyMalformed));
        for duplicates in [Duplicates::Reject, Duplicates::First, Duplicates::Last] {
            let key = text(1, text(2, "a"));
            for both in [[&body[..], &key].concat(), [&key[..], &body].concat()] {
                assert_eq!(find_by("1.2", duplicates, &both), unusable(Reason::KeyDuplicated));
                assert_eq!(find_by("1*.2", duplicates, &both), unusable(Reason::KeyConflict));
            }
        }
    }
    assert_eq!(find("1:int32", &text(1, "a")), unusable(Reason::KeyMalformed));
    assert_eq!(find("1:fixed64", &varint(1, 1)), unusable(Reason::KeyMalformed));
    let element = [text(1, varint(2, 1)), text(1, text(2, "a"))].concat();
    assert_eq!(find("1*.2", &element), unusable(Reason::KeyConflict));
    assert_eq!(find("1.3*.2", &[varint(1, 1), text(1, text(3, text(2, "a")))].concat()), unusable(Reason::KeyConflict));
}

#[test]
fn groups_are_skipped_to_their_end() {
    let inner = [text(1, "no"), group(2, [group(2, ""), fixed64(1, 1)].concat()), varint(1, 1)].concat();
    assert_eq!(find("1", &[group(2, inner), text(1, "acme")].concat()), found("acme"));
    let nested = |depth: usize| [vec![0x13; depth], vec![0x14; depth]].concat();
    assert_eq!(find("1", &nested(DEPTH - 1)), MISSING);
    assert_eq!(find("1", &nested(DEPTH)), Err(Reason::BodyTooDeep));
    let deep = "1.1.1.1.1.1.1.1.1";
    let message = (0..8).fold(text(1, "acme"), |message, _| text(1, message));
    assert_eq!(find(deep, &message), Err(Reason::BodyTooDeep));
    assert_eq!(find(&deep[2..], &message[2..]), found("acme"));
    // A packed field is not nested.
    assert_eq!(find("1.1.1.1.1.1.1.4*:int32", &(0..7).fold(text(4, [7]), |message, _| text(1, message))), found("7"));
}

#[test]
fn what_decoders_refuse_is_malformed() {
    let ten = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let cases: &[(&str, Vec<u8>)] = &[
        ("field number 0", vec![0x00, 1]),
        ("field number 0, length-delimited", vec![0x02, 0]),
        ("wire type 6", vec![0x0e]),
        ("wire type 7", vec![0x0f]),
        ("wire type 6 elsewhere", vec![0x7e]),
        ("tag of 33 bits", vec![0x88, 0x80, 0x80, 0x80, 0x10, 1]),
        ("tag of six bytes", vec![0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 1]),
        ("value of 65 bits", [&[0x48], &ten[..], &[0x02]].concat()),
        ("value of eleven bytes", [&[0x48], &ten[..], &[0x80, 0x00]].concat()),
        ("length of 2 GiB", vec![0x4a, 0x80, 0x80, 0x80, 0x80, 0x08]),
        ("length of six bytes", vec![0x4a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 1]),
        ("length beyond the parent", text(1, [0x12, 5, b'a'])),
        ("tag beyond the parent", [text(1, [0x80]), vec![0x01]].concat()),
        ("value beyond the parent", [text(1, [0x48, 0x80]), vec![0x01]].concat()),
        ("fixed value beyond the parent", [text(1, [0x4d, 1]), vec![0, 0, 0]].concat()),
        ("length cut by the parent", [text(1, [0x4a]), vec![0x00]].concat()),
        ("end without a group", vec![0x14]),
        ("end of another group", vec![0x13, 0x1c]),
        ("end of an outer group", vec![0x13, 0x1b, 0x14]),
        ("group beyond the parent", [text(1, [0x13]), vec![0x14]].concat()),
        ("group with a field up to the parent's end", [text(1, [0x13, 0x48, 1]), vec![0x14]].concat()),
    ];
    for (what, body) in cases {
        assert_eq!(find("1.2", body), Err(Reason::BodyMalformed), "{what}");
    }
}

#[test]
fn a_message_that_ends_within_a_field_is_truncated() {
    let body = [text(1, text(2, "acme")), varint(9, 300), fixed32(8, 1), group(7, varint(1, 1))].concat();
    assert_eq!(find("1.2", &body), found("acme"));
    let ends = [0, 8, 11, 16, body.len()];
    for length in 0..body.len() {
        let result = find("1.2", &body[..length]);
        if ends.contains(&length) {
            assert!(result.is_ok(), "{length}");
        } else {
            assert_eq!(result, Err(Reason::BodyTruncated), "{length}");
        }
    }
}

#[test]
fn an_error_has_its_offset() {
    let error =
        scan(&query(&["1.2"], Duplicates::Reject), Framing::None, &[&text(1, "")[..], &[0x48, 1, 0x0f]].concat());
    assert_eq!(error.unwrap_err().offset, 4);
}

#[test]
fn the_memory_does_not_grow_with_the_message() {
    let query = query(&["1", "2.2"], Duplicates::Last);
    let mut scanner = ProtobufScanner::new(query, Framing::None).unwrap();
    for _ in 0..1000 {
        scanner.push(&[0x0a, 0x80, 0x80, 0x04]).unwrap();
        for _ in 0..64 {
            scanner.push(&[b'x'; 1024]).unwrap();
        }
        scanner.push(&text(2, text(3, "x"))).unwrap();
    }
    scanner.finish().unwrap();
    assert_eq!(key(&scanner, 0), Some(Err(Reason::KeyTooLong)));
    let debug = format!("{scanner:?}");
    assert!(debug.len() < 4096, "{} bytes", debug.len());
}
