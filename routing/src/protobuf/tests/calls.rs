//! gRPC and gRPC-Web calls.

use std::io::Write;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{GzBuilder, write::DeflateEncoder};

use super::*;

const GRPC: Framing = Framing::Grpc(Compression::Identity);
const GZIP: Framing = Framing::Grpc(Compression::Gzip);
const LEVEL: flate2::Compression = flate2::Compression::new(6);

#[track_caller]
fn call(framing: Framing, body: &[u8]) -> Result<Key, Reason> {
    let keys = scan(&query(&["1"], Duplicates::Reject), framing, body);
    keys.map(|keys| keys[0].clone()).map_err(|error| error.reason)
}

pub(super) fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zlib(message: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain(&[0, 0]).take(3).fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            text.push(if place <= group.len() { ALPHABET[bits >> (18 - 6 * place) & 63] } else { b'=' });
        }
    }
    text
}

#[test]
fn the_messages_of_a_call_must_agree() {
    let one = frame(0, text(1, "acme"));
    assert_eq!(call(GRPC, &one), found("acme"));
    assert_eq!(call(GRPC, &one.repeat(3)), found("acme"));
    assert_eq!(call(GRPC, &[&frame(0, ""), &frame(0, text(2, "x")), &one[..], &frame(0, "")].concat()), found("acme"));
    assert_eq!(call(GRPC, &[one.clone(), frame(0, text(1, "globex"))].concat()), unusable(Reason::KeyConflict));
    assert_eq!(call(GRPC, &[one.clone(), frame(0, text(1, ""))].concat()), unusable(Reason::KeyConflict));
    let twice = frame(0, [text(1, "acme"), text(1, "acme")].concat());
    assert_eq!(call(GRPC, &[one, twice].concat()), unusable(Reason::KeyDuplicated));
}

#[test]
fn a_call_without_messages_has_no_key() {
    assert_eq!(call(GRPC, &[]), MISSING);
    assert_eq!(call(GRPC, &frame(0, "")), MISSING);
}

/// A bidirectional call may wait for the server's answer before its second message.
#[test]
fn the_first_message_with_a_key_settles_it() {
    let message = frame(0, text(1, "acme"));
    for duplicates in [Duplicates::Reject, Duplicates::First, Duplicates::Last] {
        let mut scanner = ProtobufScanner::new(query(&["1"], duplicates), GRPC).unwrap();
        scanner.push(&frame(0, text(2, "no key"))).unwrap();
        assert!(!scanner.is_settled(0));
        scanner.push(&message).unwrap();
        assert!(scanner.is_settled(0), "{duplicates:?}");
        assert_eq!(key(&scanner, 0), Some(Ok("acme".into())));
    }
    // Within a message, a later value may win.
    let mut scanner = ProtobufScanner::new(query(&["1"], Duplicates::Last), Framing::None).unwrap();
    scanner.push(&text(1, "acme")).unwrap();
    assert!(!scanner.is_settled(0));
}

#[test]
fn a_frame_that_is_not_exactly_one_message_is_malformed() {
    for message in [&[0x0a][..], &[0x0a, 5, b'a'], &[0x48, 0x80], &[0x13], &[0x4d, 1, 2]] {
        assert_eq!(call(GRPC, &[frame(0, message), frame(0, text(1, "acme"))].concat()), Err(Reason::BodyMalformed));
        assert_eq!(call(GRPC, &frame(0, message)), Err(Reason::BodyMalformed), "{message:?}");
    }
}

#[test]
fn a_call_that_ends_within_a_message_is_truncated() {
    let body = [frame(0, text(1, "acme")), frame(0, text(2, "x"))].concat();
    for length in (1..body.len()).filter(|length| *length != 11) {
        assert_eq!(call(GRPC, &body[..length]), Err(Reason::BodyTruncated), "{length}");
    }
    assert_eq!(call(GRPC, &body[..11]), found("acme"));
}

#[test]
fn unknown_flags_are_malformed() {
    for flags in 0..=u8::MAX {
        for framing in [GRPC, Framing::GrpcWeb(Compression::Identity)] {
            let is_known = flags == 0 || (framing != GRPC && matches!(flags, 0x80 | 0x81));
            let result = call(framing, &frame(flags, text(2, "x")));
            assert_eq!(result, if is_known { MISSING } else { Err(Reason::BodyMalformed) }, "{flags:#x} {framing:?}");
        }
    }
}

#[test]
fn trailers_end_a_grpc_web_call() {
    const WEB: Framing = Framing::GrpcWeb(Compression::Identity);
    let message = frame(0, text(1, "acme"));
    assert_eq!(call(WEB, &[&message[..], &frame(0x80, "x-tenant: globex\r\n")].concat()), found("acme"));
    assert_eq!(call(WEB, &[&message[..], &frame(0x80, "")].concat()), found("acme"));
    assert_eq!(call(WEB, &[&frame(0x80, ""), &message[..]].concat()), Err(Reason::BodyMalformed));
    assert_eq!(call(WEB, &[&message[..], &frame(0x80, "a"), b"\0"].concat()), Err(Reason::BodyMalformed));
    assert_eq!(call(WEB, &[&message[..], &frame(0x80, "abc")[..6]].concat()), Err(Reason::BodyTruncated));
}

#[test]
fn base64_may_be_one_text_or_many() {
    const TEXT: Framing = Framing::GrpcWebText(Compression::Identity);
    let body = [frame(0, text(2, "x")), frame(0, text(1, "acme"))].concat();
    assert_eq!(call(TEXT, &base64(&body)), found("acme"));
    for cut in 0..body.len() {
        let (start, end) = body.split_at(cut);
        assert_eq!(call(TEXT, &[base64(start), base64(end)].concat()), found("acme"), "{cut}");
    }
    assert_eq!(call(TEXT, b"AAAA\n"), Err(Reason::BodyTruncated));
    assert_eq!(call(TEXT, b"AAAA\nAAA"), Err(Reason::BodyMalformed));
    assert_eq!(call(TEXT, b"AAAAA"), Err(Reason::BodyTruncated));
    let web = Framing::GrpcWebText(Compression::Gzip);
    assert_eq!(call(web, &base64(&frame(1, gzip(&text(1, "acme"))))), found("acme"));
}

#[test]
fn compressed_messages_are_read_as_they_arrive() {
    let message = [text(2, "x".repeat(10_000)), text(1, "acme")].concat();
    let plain = frame(0, text(1, "acme"));
    let deflate = Framing::Grpc(Compression::Deflate);
    assert_eq!(
        call(GZIP, &[frame(1, gzip(&message)), plain.clone(), frame(1, gzip(&text(1, "acme")))].concat()),
        found("acme")
    );
    assert_eq!(call(deflate, &[frame(1, zlib(&message)), plain].concat()), found("acme"));
    assert_eq!(call(GZIP, &frame(1, gzip(&[]))), MISSING);
    let conflict = [frame(1, gzip(&message)), frame(1, gzip(&text(1, "globex")))].concat();
    assert_eq!(call(GZIP, &conflict), unusable(Reason::KeyConflict));
    // Every optional part of the header.
    let mut encoder = GzBuilder::new().filename("f").comment("c").extra(*b"extra").mtime(1).write(Vec::new(), LEVEL);
    encoder.write_all(&text(1, "acme")).unwrap();
    assert_eq!(call(GZIP, &frame(1, encoder.finish().unwrap())), found("acme"));
    let mut with_checksum = gzip(&text(1, "acme"));
    with_checksum[3] = 2;
    with_checksum.splice(10..10, [0, 0]);
    assert_eq!(call(GZIP, &frame(1, with_checksum)), found("acme"));
}

#[test]
fn a_damaged_compressed_message_is_malformed() {
    let message = text(1, "acme");
    let good = gzip(&message);
    let mut damaged =
        vec![Vec::new(), message.clone(), zlib(&message), [&good[..], b"x"].concat(), [&good[..], &good].concat()];
    damaged.extend((0..good.len()).map(|length| good[..length].to_vec()));
    // Not the time, the extra flags and the system, which say nothing about the data.
    for index in (0..good.len()).filter(|index| !(4..10).contains(index)) {
        let mut bytes = good.clone();
        bytes[index] ^= if index == 3 { 0x80 } else { 0x01 };
        damaged.push(bytes);
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(&message).unwrap();
    damaged.push(encoder.finish().unwrap());
    for bytes in damaged {
        assert_eq!(call(GZIP, &[frame(1, &bytes), frame(0, "")].concat()), Err(Reason::BodyMalformed), "{bytes:02x?}");
    }
    // What is inside must be a message too.
    for inside in [&[0x0a, 5][..], &[0x0f], &[0x13]] {
        assert_eq!(call(GZIP, &frame(1, gzip(inside))), Err(Reason::BodyMalformed), "{inside:02x?}");
    }
}

#[test]
fn a_compressed_message_must_be_announced() {
    let body = frame(1, gzip(&text(1, "acme")));
    assert_eq!(call(GRPC, &body), Err(Reason::BodyMalformed));
    let unknown = ProtobufScanner::new(query(&["1"], Duplicates::Reject), Framing::Grpc(Compression::Unknown));
    assert_eq!(unknown.err(), Some(Reason::BodyEncoded));
}

/// 64 MiB of zeros are 64 KiB with gzip.
#[test]
fn a_message_that_expands_too_far_is_too_large() {
    let bomb = text(2, vec![0; 64 << 20]);
    let body = [frame(0, text(1, "acme")), frame(1, gzip(&bomb))].concat();
    assert!(body.len() < 100_000);
    let query = query(&["1"], Duplicates::Reject);
    let error = scan_chunks(&query, GZIP, body.chunks(1000)).unwrap_err();
    assert_eq!((error.reason, error.offset), (Reason::BodyTooLarge, 16));
    // Many small ones have one allowance.
    let small = frame(1, gzip(&text(2, vec![0; 1 << 20])));
    assert!(scan_chunks(&query, GZIP, small.repeat(14).chunks(4096)).is_ok());
    let error = scan_chunks(&query, GZIP, small.repeat(20).chunks(4096)).unwrap_err();
    assert_eq!(error.reason, Reason::BodyTooLarge);
    // Data that is worth its bytes has no limit.
    let honest: Vec<u8> =
        (0..4_000_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let honest = frame(1, gzip(&text(2, honest)));
    assert!(scan_chunks(&query, GZIP, honest.repeat(2).chunks(65536)).is_ok());
}
