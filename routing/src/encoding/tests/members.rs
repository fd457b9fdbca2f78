//! Several gzip members, and several zstd frames.

use super::*;

const ACCEPTING: DecodingLimits = DecodingLimits { accepts_members: true, ..LIMITS };

const SKIPPABLE: &[u8] = b"\x5a\x2a\x4d\x18\x03\0\0\0any";

#[test]
fn several_members_have_a_reason_of_their_own() {
    for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
        let body = [encode(coding, b"one"), encode(coding, b"two")].concat();
        let refused = (b"one".to_vec(), Err(Reason::BodySeveralMembers));
        assert_eq!(at_every_cut(&[coding], LIMITS, &body), refused, "{coding:?}");
        assert_eq!(at_every_cut(&[coding], ACCEPTING, &body), (b"onetwo".to_vec(), Ok(())), "{coding:?}");
    }
    let body = [SKIPPABLE, &encode(ContentCoding::Zstd, b"one"), SKIPPABLE].concat();
    assert_eq!(at_every_cut(&[ContentCoding::Zstd], LIMITS, &body).1, Err(Reason::BodySeveralMembers));
    assert_eq!(at_every_cut(&[ContentCoding::Zstd], ACCEPTING, &body), (b"one".to_vec(), Ok(())));
}

/// RFC 1950 and RFC 7932 have no members.
#[test]
fn other_codings_have_one_stream() {
    for coding in [ContentCoding::Deflate, ContentCoding::Brotli] {
        let body = [encode(coding, b"one"), encode(coding, b"two")].concat();
        assert_eq!(at_every_cut(&[coding], ACCEPTING, &body).1, Err(Reason::BodyEncodingMalformed), "{coding:?}");
    }
}

#[test]
fn data_behind_accepted_members_is_refused() {
    for (coding, garbage) in [(ContentCoding::Gzip, &b"\x1fgarbage"[..]), (ContentCoding::Zstd, b"\x28garbage")] {
        for garbage in [garbage, b"garbage", b"\0\0\0"] {
            let body = [&encode(coding, b"one")[..], garbage].concat();
            assert_eq!(at_every_cut(&[coding], ACCEPTING, &body).1, Err(Reason::BodyEncodingMalformed));
        }
    }
}

#[test]
fn empty_members_are_not_free() {
    for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
        let empty = encode(coding, b"");
        let body = empty.repeat(20_000);
        let (text, result) = decode(&[coding], ACCEPTING, [&*body]);
        assert_eq!((text.len(), result), (0, Err(Reason::BodyDecodedRatio)), "{coding:?}");
        assert_eq!(decode(&[coding], ACCEPTING, [&*empty.repeat(90)]), (Vec::new(), Ok(())), "{coding:?}");
    }
}
