//! Bombs, in every coding.

use std::cell::Cell;

use super::*;

fn zeros(bytes: usize) -> Vec<u8> {
    vec![b' '; bytes]
}

#[test]
fn a_bomb_exceeds_the_ratio() {
    for coding in ContentCoding::ALL {
        let body = encode(coding, &zeros(3 << 20));
        let (text, result) = at_every_cut(&[coding], LIMITS, &body);
        assert_eq!(result, Err(Reason::BodyDecodedRatio), "{coding:?}, {} bytes", body.len());
        assert_eq!(text.len() as u64 % (100 * 4096), 0, "the scanner has seen what was allowed, {coding:?}");
    }
}

#[test]
fn a_small_body_may_have_a_large_ratio() {
    for coding in ContentCoding::ALL {
        let text = zeros(100 * 4096);
        let body = encode(coding, &text);
        assert!(body.len() < 4096);
        assert!(decode(&[coding], LIMITS, [&*body]) == (text, Ok(())), "{coding:?}");
    }
}

#[test]
fn the_bytes_are_limited_whatever_the_ratio() {
    let limits = DecodingLimits { bytes: 10_000, ..LIMITS };
    for coding in ContentCoding::ALL {
        let body = encode(coding, &zeros(10_000));
        assert_eq!(at_every_cut(&[coding], limits, &body).1, Ok(()), "{coding:?}");
        let (text, result) = at_every_cut(&[coding], limits, &encode(coding, &zeros(10_001)));
        assert_eq!((text.len(), result), (10_000, Err(Reason::BodyDecodedTooLarge)), "{coding:?}");
    }
}

/// The inner text is small: only the layer between them is a bomb.
#[test]
fn a_bomb_between_two_codings() {
    let accepting = DecodingLimits { accepts_members: true, ..LIMITS };
    let members = encode(ContentCoding::Gzip, b"").repeat(100_000);
    for coding in ContentCoding::ALL {
        let body = encode(coding, &members);
        let (text, result) = decode(&[ContentCoding::Gzip, coding], accepting, [&*body]);
        assert_eq!((text.len(), result), (0, Err(Reason::BodyDecodedRatio)), "{coding:?}");
    }
    for first in ContentCoding::ALL {
        for second in ContentCoding::ALL {
            let body = encode_all(&[first, second], &zeros(3 << 20));
            assert_eq!(at_every_cut(&[first, second], LIMITS, &body).1, Err(Reason::BodyDecodedRatio));
        }
    }
}

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A clock that goes on by a millisecond whenever it is read.
fn clock() -> Duration {
    NOW.set(NOW.get() + Duration::from_millis(1));
    NOW.get()
}

#[test]
fn the_time_is_limited() {
    let text: Vec<u8> = (0..200_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for coding in ContentCoding::ALL {
        let body = encode(coding, &text);
        let of = |milliseconds| {
            let time = Duration::from_millis(milliseconds);
            decode(&[coding], DecodingLimits { time, clock: Some(clock), ..LIMITS }, [&*body]).1
        };
        assert_eq!(of(20), Err(Reason::BodyDecodeTime), "{coding:?}");
        assert_eq!(of(5000), Ok(()), "{coding:?}");
    }
}

/// Stored blocks without content: they decode to nothing, and only time limits them.
#[test]
fn input_that_decodes_to_nothing_takes_time_too() {
    let blocks = b"\0\0\0\xff\xff".repeat(200_000);
    let limits = DecodingLimits { time: Duration::from_millis(50), clock: Some(clock), ..LIMITS };
    assert_eq!(decode(&[ContentCoding::Deflate], limits, [&*blocks]), (Vec::new(), Err(Reason::BodyDecodeTime)));
}

#[test]
fn only_the_time_between_the_beginning_and_the_end_of_a_push_counts() {
    let body = encode(ContentCoding::Gzip, b"some text");
    let limits = DecodingLimits { time: Duration::from_secs(2), clock: Some(clock), ..LIMITS };
    let mut decoder = BodyDecoder::new(&[ContentCoding::Gzip], limits).unwrap();
    for chunk in body.chunks(1) {
        NOW.set(NOW.get() + Duration::from_secs(3600));
        decoder.push(chunk, &mut Collector::default()).unwrap();
    }
    let time = decoder.decoded().time;
    assert!(time > Duration::ZERO && time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn the_memory_is_bounded() {
    for (coding, fixed, window) in [
        (ContentCoding::Gzip, 64 << 10, 0),
        (ContentCoding::Deflate, 64 << 10, 0),
        (ContentCoding::Brotli, 4 << 20, 16 << 20),
        (ContentCoding::Zstd, 464 << 10, 8 << 20),
    ] {
        let text: Vec<u8> =
            (0..900_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let body = encode(coding, &text);
        let mut decoder = BodyDecoder::new(&[coding], LIMITS).unwrap();
        let mut sum = 0;
        for chunk in body.chunks(10_000) {
            sum += chunk.len();
            decoder.push(chunk, &mut Collector::default()).unwrap();
            let decoded = decoder.decoded();
            assert!(decoded.memory <= fixed + window.min(decoded.bytes), "{coding:?}, {sum} bytes: {decoded:?}");
        }
        assert_eq!(decoder.decoded().bytes, text.len() as u64);
    }
}
