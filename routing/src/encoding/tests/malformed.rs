//! Bodies that are not what their Content-Encoding says.

use super::*;

const TEXT: &[u8] = b"{\"tenant\":{\"id\":\"acme\"},\"note\":\"some text, some text, some text\"}";

const MALFORMED: Result<(), Reason> = Err(Reason::BodyEncodingMalformed);

#[test]
fn a_body_that_is_cut_off() {
    for coding in ContentCoding::ALL {
        let body = encode(coding, TEXT);
        for end in 0..body.len() {
            assert_eq!(at_every_cut(&[coding], LIMITS, &body[..end]).1, MALFORMED, "{coding:?}, {end} bytes");
        }
        let body = encode_all(&[coding, ContentCoding::Gzip], TEXT);
        for end in 0..body.len() {
            let codings = [coding, ContentCoding::Gzip];
            assert_eq!(decode(&codings, LIMITS, [&body[..end]]).1, MALFORMED, "{coding:?} in gzip, {end} bytes");
        }
        // The outer one is whole, the inner one is not.
        let inner = encode(coding, TEXT);
        let body = encode(ContentCoding::Zstd, &inner[..inner.len() - 1]);
        assert_eq!(at_every_cut(&[coding, ContentCoding::Zstd], LIMITS, &body).1, MALFORMED, "{coding:?}");
    }
}

#[test]
fn data_behind_the_end() {
    for coding in ContentCoding::ALL {
        for last in [0, b'a', b'\n', 0xff] {
            let body = [encode(coding, TEXT), vec![last]].concat();
            assert_eq!(at_every_cut(&[coding], LIMITS, &body).1, MALFORMED, "{coding:?} and {last}");
        }
    }
}

#[test]
fn another_coding_than_the_head_says() {
    for coding in ContentCoding::ALL {
        assert_eq!(at_every_cut(&[coding], LIMITS, TEXT).1, MALFORMED, "{coding:?}");
        for other in ContentCoding::ALL.into_iter().filter(|other| *other != coding) {
            let (text, result) = at_every_cut(&[coding], LIMITS, &encode(other, TEXT));
            assert!(result.is_err() && text != TEXT, "{other:?} as {coding:?}: {result:?}");
        }
    }
}

#[test]
fn a_wrong_checksum() {
    for (coding, from_end) in [(ContentCoding::Gzip, 8), (ContentCoding::Deflate, 4), (ContentCoding::Zstd, 4)] {
        let mut body = encode(coding, TEXT);
        let at = body.len() - from_end;
        body[at] ^= 1;
        assert_eq!(at_every_cut(&[coding], LIMITS, &body).1, MALFORMED, "{coding:?}");
    }
}

#[test]
fn a_window_beyond_the_standard() {
    assert_eq!(decode(&[ContentCoding::Zstd], LIMITS, [&*encoders::zstd(TEXT, Some(23))]), (TEXT.to_vec(), Ok(())));
    assert_eq!(decode(&[ContentCoding::Zstd], LIMITS, [&*encoders::zstd(TEXT, Some(24))]).1, MALFORMED);
    let widest = encoders::brotli(TEXT, 24, false);
    assert_eq!(decode(&[ContentCoding::Brotli], LIMITS, [&*widest]), (TEXT.to_vec(), Ok(())));
    let large = encoders::brotli(TEXT, 26, true);
    assert_eq!(decode(&[ContentCoding::Brotli], LIMITS, [&*large]).1, MALFORMED);
}

/// As a raw stream these bytes are a stored block with another text.
#[test]
fn a_deflate_body_that_is_both_zlib_and_raw() {
    // CMF and FLG are 78 01. The length is 0x4b01, and its complement follows.
    let body = [0x78, 0x01, 0x4b, 0xfe, 0xb4, 0, 0, 0, 0, 0];
    assert_eq!(at_every_cut(&[ContentCoding::Deflate], LIMITS, &body).1, MALFORMED);
    // With a preset dictionary it is no zlib stream that anyone can read, and as a raw one it is damaged.
    let body = [0x78, 0x20, 0x4b, 0x4c, 0x04, 0, 0, 0];
    assert_eq!(at_every_cut(&[ContentCoding::Deflate], LIMITS, &body).1, MALFORMED);
}

/// Why the reason of a damaged body may depend on its chunks: a scanner sees more of its text, or less. gzip and deflate give
/// out all that comes before a fault.
#[test]
fn how_much_of_a_damaged_body_is_text_depends_on_its_chunks_for_br_and_zstd() {
    for coding in ContentCoding::ALL {
        let intact = encode(coding, TEXT);
        let mut depends = false;
        for at in 0..intact.len() {
            let mut body = intact.clone();
            body[at] ^= 1;
            let whole = decode(&[coding], LIMITS, [&*body]);
            let bytes = decode(&[coding], LIMITS, body.chunks(1));
            assert_eq!(whole.1.is_ok(), bytes.1.is_ok(), "{coding:?}, {at}");
            depends |= whole.0 != bytes.0;
        }
        let expected = matches!(coding, ContentCoding::Brotli | ContentCoding::Zstd);
        assert_eq!(depends, expected, "{coding:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused_or_decoded_at_every_cut(bytes in vec(any::<u8>(), 0..80), coding in coding()) {
        let _any = at_every_cut(&[coding], LIMITS, &bytes);
    }

    #[test]
    fn a_damaged_body_has_one_result(text in text(), coding in coding(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut body = encode(coding, &text);
        let at = at.index(body.len());
        body[at] ^= 1u8 << bit;
        let _any = at_every_cut(&[coding], LIMITS, &body);
    }
}
