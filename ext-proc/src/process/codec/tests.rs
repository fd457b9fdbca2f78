//! The codec within tonic's `Streaming`, for every cut into frames.

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HttpHeaders, HttpTrailers, StreamedBodyResponse,
};
use envoy_types::pb::google::protobuf::Struct;
use http_body_util::StreamBody;
use hyper::body::Frame;
use proptest::prelude::*;
use tonic::codec::Codec as _;
use tonic::{Code, Streaming};

use super::*;
use crate::budget::Budget;

const MAX: usize = 4 * MAX_OVERHEAD;

fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

/// Decodes bytes that arrive in frames of these sizes, in rotation. Returns the messages and the first error.
fn read(bytes: &[u8], sizes: &[usize]) -> (Vec<ProcessingRequest>, Option<Code>) {
    let (mut rest, mut frames) = (Bytes::copy_from_slice(bytes), Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        frames.push(Ok::<_, Status>(Frame::data(rest.split_to((*size).min(rest.len())))));
    }
    let body = tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames)));
    let budget = Budget::new(1 << 30);
    let counted_body = CountedBody::new(body, budget.reservation());
    let mut streaming = Streaming::new_request(
        ExtProcCodec::new(counted_body.clone()).decoder(),
        counted_body.clone(),
        None,
        Some(MAX),
    );
    let mut messages = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let end = loop {
        match runtime.block_on(streaming.message()) {
            Ok(Some(IncomingMessage { mut message, body })) => {
                // Put the bytes where envoy-types has them.
                match &mut message.request {
                    Some(Request::RequestBody(http_body)) => {
                        assert!(http_body.body.is_empty());
                        http_body.body = body.into();
                    }
                    _ => assert!(body.is_empty()),
                }
                messages.push(message);
            }
            Ok(None) => break counted_body.ended_inside_message().then_some(Code::Internal),
            Err(status) => break Some(status.code()),
        }
    };
    (messages, end)
}

fn body(size: usize, attributes: usize) -> ProcessingRequest {
    let body = HttpBody { body: vec![b'x'; size], end_of_stream: true, drain_complete: true, ..Default::default() };
    ProcessingRequest {
        request: Some(Request::RequestBody(body)),
        attributes: (0..attributes).map(|number| (number.to_string(), Struct::default())).collect(),
        ..Default::default()
    }
}

/// A message of empty headers, of two bytes each.
fn flood(tag: u8, count: usize) -> Vec<u8> {
    let mut message = [0x0a, 0].repeat(count);
    for tag in [1, tag] {
        let inner = std::mem::replace(&mut message, vec![tag << 3 | 2]);
        prost::encoding::encode_varint(inner.len() as u64, &mut message);
        message.extend(inner);
    }
    message
}

#[test]
fn the_overhead_of_a_message_is_limited() {
    let large = body(3 * MAX_OVERHEAD, 10);
    assert_eq!(read(&prefixed(&large.encode_to_vec()), &[16_384]), (vec![large.clone()], None));
    for tag in [2, 3, 5, 6, 7] {
        let flood = prefixed(&flood(tag, MAX_OVERHEAD));
        assert_eq!(read(&flood, &[16_384]), (vec![], Some(Code::InvalidArgument)), "{tag}");
    }
    // Also after a body and before one.
    let (small, flood) = (body(10, 0).encode_to_vec(), flood(6, MAX_OVERHEAD));
    for both in [[small.as_slice(), &flood].concat(), [flood.as_slice(), &small].concat()] {
        assert_eq!(read(&prefixed(&both), &[16_384]).1, Some(Code::InvalidArgument));
    }
    assert_eq!(read(&prefixed(&self::flood(6, 100)), &[16_384]).0.len(), 1);
}

#[test]
fn malformed_messages_are_refused() {
    let whole = prefixed(&body(100, 0).encode_to_vec());
    for end in 1..whole.len() {
        assert_eq!(read(&whole[..end], &[7]), (vec![], Some(Code::Internal)), "truncated after {end} bytes");
    }
    let mut compressed = whole.clone();
    compressed[0] = 1;
    assert_eq!(read(&compressed, &[7]).1, Some(Code::Internal));
    assert_eq!(read(&prefixed(&body(MAX, 0).encode_to_vec()), &[16_384]).1, Some(Code::OutOfRange));
    assert_eq!(read(&prefixed(&[0xff; 40]), &[7]).1, Some(Code::Internal));
    // A header name must be UTF-8.
    assert_eq!(read(&prefixed(&[0x12, 6, 0x0a, 4, 0x0a, 2, 0x0a, 0]), &[7]).1, None);
    assert_eq!(read(&prefixed(&[0x12, 7, 0x0a, 5, 0x0a, 3, 0x0a, 1, 0xff]), &[7]).1, Some(Code::Internal));
}

#[test]
fn a_body_is_not_copied() {
    let mut bytes = Bytes::from(body(10_000, 3).encode_to_vec());
    let range = bytes.as_ptr_range();
    let received = decode_message(&mut bytes).unwrap();
    assert!(received.body.len() == 10_000 && range.contains(&received.body.as_ptr()));
    assert_eq!(received.message.attributes.len(), 3);
}

/// Compares with prost at every size that changes the length of a length.
#[test]
fn an_encoded_chunk_is_a_streamed_response() {
    for size in [0, 1, 110, 116, 117, 118, 119, 120, 121, 122, 127, 128, 16_370, 16_383, 16_384, 62_000] {
        for end_of_stream in [false, true] {
            let streamed = StreamedBodyResponse { body: vec![b'x'; size], end_of_stream, ..Default::default() };
            let body_mutation = Some(BodyMutation { mutation: Some(Mutation::StreamedResponse(streamed)) });
            let common = CommonResponse { body_mutation, ..Default::default() };
            let response = Some(Response::RequestBody(BodyResponse { response: Some(common) }));
            let mut written = Vec::new();
            encode_chunk(vec![b'x'; size].into(), end_of_stream, &mut written);
            let read = ProcessingResponse::decode(written.as_slice()).unwrap();
            assert_eq!(read, ProcessingResponse { response, ..Default::default() }, "{size}");
        }
    }
}

/// Protobuf would let the last one win. Envoy never writes two.
#[test]
fn a_message_with_two_requests_is_refused() {
    let (one, head) = (body(100, 0).encode_to_vec(), [0x12, 0]);
    for both in [[&one[..], &one].concat(), [&one[..], &head].concat(), [&head[..], &one].concat()] {
        assert_eq!(read(&prefixed(&both), &[16_384]), (vec![], Some(Code::InvalidArgument)));
    }
}

#[test]
fn everything_outside_the_body_is_overhead() {
    for (size, attributes) in [(0, 0), (1, 0), (200, 1), (40_000, 3)] {
        let message = body(size, attributes);
        let bytes = message.encode_to_vec();
        let Some(Request::RequestBody(http_body)) = message.request else { panic!("a body") };
        let inner = http_body.encoded_len();
        let overhead = bytes.len() - inner - prost::encoding::encoded_len_varint(inner as u64);
        assert_eq!(summarize(&bytes), MessageSummary { overhead, requests: 1 }, "{size}");
    }
    // A length beyond the message, no length, a group without an end.
    for broken in [&[0x22, 0x7f][..], &[0x22], &[0x22, 0xff], &[0x0b, 0x0b]] {
        assert_eq!(summarize(broken), MessageSummary { overhead: broken.len(), requests: 0 });
    }
    assert_eq!(summarize(&[]), MessageSummary::default());
}

fn message() -> impl Strategy<Value = ProcessingRequest> {
    let map = || {
        let field = ("[a-z:-]{0,12}", prop::collection::vec(any::<u8>(), 0..20));
        prop::option::of(prop::collection::vec(field, 0..5)).prop_map(|fields| {
            let header = |(key, raw_value)| HeaderValue { key, raw_value, ..Default::default() };
            fields.map(|fields| HeaderMap { headers: fields.into_iter().map(header).collect() })
        })
    };
    let head = (map(), any::<bool>()).prop_map(|(headers, end_of_stream)| {
        Request::RequestHeaders(HttpHeaders { headers, end_of_stream, ..Default::default() })
    });
    let body = (prop::collection::vec(any::<u8>(), 0..300), any::<bool>())
        .prop_map(|(body, end_of_stream)| Request::RequestBody(HttpBody { body, end_of_stream, ..Default::default() }));
    let trailers = map().prop_map(|trailers| Request::RequestTrailers(HttpTrailers { trailers }));
    let request = prop::option::weighted(0.9, prop_oneof![head, body, trailers]);
    (request, any::<bool>()).prop_map(|(request, observability_mode)| ProcessingRequest {
        request,
        observability_mode,
        ..Default::default()
    })
}

proptest! {
    #[test]
    fn messages_are_the_same_in_any_frames(
        messages in prop::collection::vec(message(), 0..5),
        sizes in prop::collection::vec(1usize..200, 1..6),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| prefixed(&message.encode_to_vec())).collect();
        prop_assert_eq!(read(&bytes, &sizes), (messages, None));
    }

    /// A corrupted message never panics, and its frames do not change the result.
    #[test]
    fn a_corrupted_message_gives_the_same_result_in_any_frames(
        original in message(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
        sizes in prop::collection::vec(1usize..200, 1..6),
    ) {
        let mut message = prefixed(&original.encode_to_vec());
        for (at, byte, kind) in breaks {
            let at = at.index(message.len() + 1);
            match kind {
                0 => message.insert(at, byte),
                1 => message.truncate(at),
                2 => message.extend_from_within(at..),
                _ => if let Some(broken) = message.get_mut(at) { *broken = byte },
            }
        }
        prop_assert_eq!(read(&message, &sizes), read(&message, &[message.len().max(1)]));
    }

    /// A body that is not copied equals the one that prost decodes, whatever surrounds it.
    #[test]
    fn bodies_are_read_as_prost_reads_them(
        original in message(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = original.encode_to_vec();
        for (at, byte) in breaks {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if summarize(&bytes).requests <= 1
            && let Ok(mut theirs) = ProcessingRequest::decode(bytes.as_slice())
        {
            let ours = decode_message(&mut Bytes::from(bytes)).unwrap();
            let body = match &mut theirs.request {
                Some(Request::RequestBody(body)) => std::mem::take(&mut body.body),
                _ => Vec::new(),
            };
            prop_assert_eq!(ours, IncomingMessage { message: theirs, body: body.into() });
        }
    }
}
