//! Every coding, with the encoders of its authors as the judges.

mod encoders;
mod limits;
mod malformed;
mod members;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{BodyDecoder, CodingSet, ContentCoding, ContentCodings, DecodingLimits};
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::format::Format;
use crate::reason::Reason;
use encoders::{encode, encode_all};

/// Limits that only a bomb exceeds.
const LIMITS: DecodingLimits = DecodingLimits {
    bytes: 4 << 20,
    too_large: Reason::BodyDecodedTooLarge,
    ratio: 100,
    time: Duration::from_secs(1),
    clock: None,
    accepts_members: false,
};

/// Collects the text.
#[derive(Default)]
struct Collector(Vec<u8>);

impl BodyScanner for Collector {
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        assert!(!chunk.is_empty());
        self.0.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        Ok(())
    }

    fn candidate(&self, _: usize) -> Candidate<'_> {
        Candidate::Missing
    }

    fn is_settled(&self, _: usize) -> bool {
        false
    }
}

/// The text, and the reason why the body is refused, if it is. `codings` in the order of a Content-Encoding.
type Text = (Vec<u8>, Result<(), Reason>);

fn decode<'a>(codings: &[ContentCoding], limits: DecodingLimits, chunks: impl IntoIterator<Item = &'a [u8]>) -> Text {
    let codings: Vec<_> = codings.iter().rev().copied().collect();
    let mut decoder = BodyDecoder::new(&codings, limits).unwrap();
    let mut text = Collector::default();
    let pushed = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut text));
    let ended = pushed.and_then(|()| decoder.finish());
    (text.0, ended.map_err(|error| error.reason))
}

/// Decodes the body whole, byte by byte, in pieces, and cut in two at up to 64 places. Checks that all agree.
fn at_every_cut(codings: &[ContentCoding], limits: DecodingLimits, body: &[u8]) -> Text {
    let whole = decode(codings, limits, [body]);
    let agrees = |other: Text| other == whole || are_one_damaged_text(codings, &other, &whole);
    assert!(agrees(decode(codings, limits, body.chunks(1))), "byte by byte");
    for size in [7, 100, 4096, 5000] {
        assert!(agrees(decode(codings, limits, body.chunks(size))), "in pieces of {size} bytes");
    }
    for cut in (0..=body.len()).step_by(1 + body.len() / 64) {
        let (first, second) = body.split_at(cut);
        assert!(agrees(decode(codings, limits, [first, second])), "cut at {cut}");
    }
    whole
}

/// The libraries for br and zstd give out the text before a fault up to the chunk before, or none of it. So another fault or a
/// limit may come first in one of the two, but both are refused.
fn are_one_damaged_text(codings: &[ContentCoding], one: &Text, other: &Text) -> bool {
    codings.iter().any(|coding| matches!(coding, ContentCoding::Brotli | ContentCoding::Zstd))
        && [one, other].iter().all(|(_, result)| result.is_err())
        && [one, other].iter().any(|(_, result)| *result == Err(Reason::BodyEncodingMalformed))
        && (one.0.starts_with(&other.0) || other.0.starts_with(&one.0))
}

/// Text that compresses: words of a few letters, and some noise.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![3 => "[ab]{1,9}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 1..40)];
    (vec(piece, 0..60), 1..20usize).prop_map(|(pieces, times)| pieces.concat().repeat(times))
}

fn coding() -> impl Strategy<Value = ContentCoding> {
    prop::sample::select(&ContentCoding::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_text_is_decoded_at_every_cut(text in text(), coding in coding()) {
        let body = encode(coding, &text);
        prop_assert_eq!(at_every_cut(&[coding], LIMITS, &body), (text, Ok(())));
    }

    #[test]
    fn two_codings_are_undone_in_reverse_order(text in text(), first in coding(), second in coding()) {
        let body = encode_all(&[first, second], &text);
        prop_assert_eq!(at_every_cut(&[first, second], LIMITS, &body), (text, Ok(())));
    }
}

#[test]
fn an_empty_text_and_a_large_one() {
    for coding in ContentCoding::ALL {
        let large: Vec<u8> =
            (0..300_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for text in [Vec::new(), large] {
            let body = encode(coding, &text);
            assert!(decode(&[coding], LIMITS, body.chunks(5000)) == (text, Ok(())), "{coding:?}");
        }
    }
}

#[test]
fn raw_deflate_is_read_too() {
    for text in [&b""[..], b"a", b"some text, some text"] {
        let raw = encoders::raw_deflate(text);
        assert_eq!(at_every_cut(&[ContentCoding::Deflate], LIMITS, &raw), (text.to_vec(), Ok(())));
    }
}

#[test]
fn the_head_names_the_codings() {
    use ContentCoding::{Brotli, Deflate, Gzip, Zstd};
    let mut all = CodingSet::default();
    ContentCoding::ALL.into_iter().for_each(|coding| all.insert(coding));
    let of = |values: &[&str]| {
        let fields: Vec<_> = values.iter().map(|value| ("content-encoding", *value)).collect();
        ContentCodings::Listed(all).of_body(fields.as_slice(), Format::Form)
    };
    for (values, codings) in [
        (&[][..], Ok(vec![])),
        (&["gzip"], Ok(vec![Gzip])),
        (&["X-GZip"], Ok(vec![Gzip])),
        (&[" , identity,\tDEFLATE ,"], Ok(vec![Deflate])),
        (&["br, zstd"], Ok(vec![Zstd, Brotli])),
        (&["gzip", "gzip"], Ok(vec![Gzip, Gzip])),
        (&["gzip", "identity", "gzip", ""], Ok(vec![Gzip, Gzip])),
        (&["gzip, gzip, gzip"], Err(Reason::BodyEncoded)),
        (&["gzip", "br", "zstd"], Err(Reason::BodyEncoded)),
        (&["compress"], Err(Reason::BodyEncoded)),
        (&["gzip;q=1"], Err(Reason::BodyEncoded)),
        (&["gzip deflate"], Err(Reason::BodyEncoded)),
        (&["gzip, aes128gcm"], Err(Reason::BodyEncoded)),
        (&["\"gzip\""], Err(Reason::BodyEncoded)),
    ] {
        assert_eq!(of(values), codings, "{values:?}");
    }
    let mut some = CodingSet::default();
    some.insert(Zstd);
    let some = ContentCodings::Listed(some);
    assert_eq!(some.of_body(&[("content-encoding", "zstd")][..], Format::Form), Ok(vec![Zstd]));
    assert_eq!(some.of_body(&[("content-encoding", "gzip")][..], Format::Json), Err(Reason::BodyEncoded));
}

#[test]
fn without_a_list_gzip_and_zstd_of_json_and_xml_are_decoded() {
    let of = |value, format| ContentCodings::default().of_body(&[("content-encoding", value)][..], format).is_ok();
    for format in [Format::Json, Format::Xml] {
        assert!(["gzip", "zstd", "gzip, zstd"].into_iter().all(|value| of(value, format)), "{format:?}");
        assert!(!["br", "deflate", "br, gzip"].into_iter().any(|value| of(value, format)), "{format:?}");
    }
    for format in [Format::Ndjson, Format::Form, Format::Multipart, Format::Protobuf, Format::Msgpack, Format::Cbor] {
        assert!(!of("gzip", format), "{format:?}");
    }
}
