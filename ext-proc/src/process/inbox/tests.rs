//! However the bytes are cut into frames, the same is said.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::ext_proc::v3 as theirs;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::google::protobuf::Struct;
use hyper::body::Frame;
use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::fields;
use crate::process::proto;

/// Frames that are all there.
#[derive(Debug, Default)]
struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|frame| Ok(Frame::data(frame))))
    }
}

/// Cuts bytes into frames of these sizes, over and over.
fn cut(mut bytes: Bytes, sizes: &[usize]) -> Frames {
    let mut frames = VecDeque::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        frames.push_back(bytes.split_to((*size).min(bytes.len())));
    }
    Frames(frames)
}

/// A body message with much around it, as gRPC frames it.
fn framed(body: &[u8], end_of_stream: bool, attributes: usize) -> Vec<u8> {
    let body = theirs::HttpBody { body: body.to_vec(), end_of_stream, drain_complete: true, ..Default::default() };
    let message = theirs::ProcessingRequest {
        request: Some(Request::RequestBody(body)),
        attributes: (0..attributes).map(|number| (number.to_string(), Struct::default())).collect(),
        ..Default::default()
    };
    prefixed(&message.encode_to_vec())
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

/// The bodies of all messages with their ends, and in how many parts they came.
async fn bodies(mut inbox: Inbox<Frames>) -> Result<(Vec<(Vec<u8>, bool)>, usize), Status> {
    let (mut bodies, mut bytes, mut parts) = (Vec::new(), Vec::new(), 0);
    while let Some(said) = inbox.next().await? {
        match said {
            Said::Part(part) => {
                assert!(!part.is_empty());
                bytes.extend_from_slice(&part);
                parts += 1;
            }
            Said::End { end_of_stream } => bodies.push((std::mem::take(&mut bytes), end_of_stream)),
            Said::Message(message) => {
                assert!(bytes.is_empty(), "a message in the middle of a body");
                let Some(proto::Content::RequestBody(body)) = message.request else { panic!("{message:?}") };
                bodies.push((body.body.to_vec(), body.end_of_stream));
            }
        }
    }
    assert!(bytes.is_empty(), "a body without its end");
    Ok((bodies, parts))
}

fn room() -> Hold {
    Budget::new(1 << 30).hold()
}

fn inbox(bytes: Vec<u8>, sizes: &[usize]) -> Inbox<Frames> {
    let mut inbox = Inbox::new(cut(bytes.into(), sizes), 1 << 20, room());
    inbox.in_parts();
    inbox
}

proptest! {
    #[test]
    fn cuts_do_not_matter(
        sent in prop::collection::vec((0usize..200, any::<bool>(), 0usize..30), 0..5),
        sizes in prop::collection::vec(1usize..120, 1..6),
        in_parts in any::<bool>(),
    ) {
        let sent: Vec<_> = sent
            .into_iter()
            .map(|(size, end, attributes)| ((0..size).map(|index| index as u8).collect::<Vec<_>>(), end, attributes))
            .collect();
        let bytes: Vec<u8> = sent.iter().flat_map(|(body, end, attributes)| framed(body, *end, *attributes)).collect();
        let mut inbox = Inbox::new(cut(bytes.into(), &sizes), 1 << 20, room());
        if in_parts {
            inbox.in_parts();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (came, parts) = runtime.block_on(bodies(inbox)).unwrap();
        let wanted: Vec<_> = sent.into_iter().map(|(body, end, _)| (body, end)).collect();
        prop_assert_eq!(came, wanted);
        prop_assert!(in_parts || parts == 0);
    }
}

#[tokio::test]
async fn a_large_body_is_never_put_together() {
    let body = vec![b'x'; 100_000];
    let (came, parts) = bodies(inbox(framed(&body, true, 3), &[16_384])).await.unwrap();
    assert_eq!((came, parts), (vec![(body, true)], 7));
}

#[tokio::test]
async fn what_lies_in_one_frame_is_a_slice_of_it() {
    let frame = Bytes::from(framed(b"0123456789", false, 0));
    let range = frame.as_ptr_range();
    let mut inbox = Inbox::new(Frames([frame].into()), 1000, room());
    let Some(Said::Message(message)) = inbox.next().await.unwrap() else { panic!("no message") };
    let Some(proto::Content::RequestBody(body)) = message.request else { panic!("no body") };
    assert!(range.contains(&body.body.as_ptr()));
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let error = async |bytes: Vec<u8>| bodies(inbox(bytes, &[7])).await.unwrap_err().code();
    let whole = framed(&[b'x'; 100], true, 0);
    for end in 1..whole.len() {
        assert_eq!(error(whole.get(..end).unwrap().to_vec()).await, Code::Internal, "cut off after {end}");
    }
    let mut compressed = whole.clone();
    *compressed.first_mut().unwrap() = 1;
    assert_eq!(error(compressed).await, Code::Unimplemented);
    assert_eq!(error(framed(&vec![b'x'; 1 << 20], true, 0)).await, Code::OutOfRange);
    assert_eq!(error(prefixed(&[0xff; 40])).await, Code::Internal);
}

/// Protobuf lets a message be written twice over, the later part winning. A body that has been looked at cannot be
/// taken back.
#[tokio::test]
async fn a_second_body_in_a_message_is_refused() {
    let one = framed(&[b'x'; 100], false, 0);
    let one = one.get(PREFIX..).unwrap();
    let empty = theirs::ProcessingRequest {
        request: Some(Request::ResponseBody(theirs::HttpBody::default())),
        ..Default::default()
    };
    // The second has no bytes: to protobuf, the message has none then.
    let emptied = [0x22, 2, 0x0a, 0].as_slice();
    for second in [one, &empty.encode_to_vec(), emptied] {
        let twice = prefixed(&[one, second].concat());
        for sizes in [30, twice.len()] {
            assert_eq!(bodies(inbox(twice.clone(), &[sizes])).await.unwrap_err().code(), Code::Internal, "{sizes}");
        }
    }
}

#[tokio::test]
async fn what_is_put_together_is_counted() {
    let budget = Budget::new(100_000);
    // Not as Envoy writes it: the end stands before the body.
    let reversed = |size: usize| {
        let body = vec![b'x'; size];
        let mut inner = vec![2 << 3, 1, 1 << 3 | 2];
        prost::encoding::encode_varint(size as u64, &mut inner);
        inner.extend(body);
        let mut message = vec![4 << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut message);
        message.extend(inner);
        prefixed(&message)
    };
    let inbox = |size| {
        let mut inbox = Inbox::new(cut(reversed(size).into(), &[16_384]), 1 << 20, budget.hold());
        inbox.in_parts();
        inbox
    };
    let mut fits = inbox(40_000);
    assert!(matches!(fits.next().await, Ok(Some(Said::Message(_)))));
    assert_eq!(budget.used(), 0);
    assert_eq!(fits.begun.capacity(), 0, "nothing of the message is kept");
    let mut large = inbox(200_000);
    assert_eq!(large.next().await.unwrap_err().code(), Code::ResourceExhausted);
    assert!(budget.used() <= 100_000);
    drop(large);
    assert_eq!(budget.used(), 0);

    // Small ones do not compete with the bodies of others.
    let mut all = budget.hold();
    assert!(all.grow(100_000));
    let mut small = Inbox::new(cut(reversed(10_000).into(), &[5_000]), 1 << 20, budget.hold());
    assert!(small.next().await.is_ok());
}

#[tokio::test]
async fn a_flood_of_fields_is_not_unpacked() {
    let count = fields::MAX_FIELDS * 50;
    let map = [0x0a, 0].repeat(count);
    let mut message = Vec::new();
    for tag in [1, 2] {
        let inner = if tag == 1 { &map } else { &message.clone() };
        message = vec![tag << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut message);
        message.extend(inner);
    }
    let mut inbox = inbox(prefixed(&message), &[1 << 20]);
    let Ok(Some(Said::Message(message))) = inbox.next().await else { panic!("no message") };
    let Some(proto::Content::RequestHeaders(head)) = message.request else { panic!("no head") };
    assert_eq!(head.headers.unwrap().headers.len(), fields::MAX_FIELDS + 1);
}

/// What a message says, in terms that ours and Envoy's share.
#[derive(Debug, PartialEq)]
enum Content {
    Fields(Vec<(Vec<u8>, Vec<u8>)>, bool),
    Body(Vec<u8>, bool),
    Trailers(Vec<(Vec<u8>, Vec<u8>)>),
    Response(u8),
    Nothing,
}

type Meaning = (Content, bool, Option<(i32, i32)>);

fn ours(message: ProcessingRequest) -> Meaning {
    let fields = |map: Option<proto::HeaderMap>| {
        map.unwrap_or_default().headers.iter().map(|field| (field.key.to_vec(), field.raw_value.to_vec())).collect()
    };
    let content = match message.request {
        Some(proto::Content::RequestHeaders(head)) => Content::Fields(fields(head.headers), head.end_of_stream),
        Some(proto::Content::RequestBody(body)) => Content::Body(body.body.to_vec(), body.end_of_stream),
        Some(proto::Content::RequestTrailers(trailers)) => Content::Trailers(fields(trailers.trailers)),
        Some(proto::Content::ResponseHeaders(_)) => Content::Response(3),
        Some(proto::Content::ResponseBody(_)) => Content::Response(5),
        Some(proto::Content::ResponseTrailers(_)) => Content::Response(7),
        None => Content::Nothing,
    };
    let modes = message.protocol_config.map(|modes| (modes.request_body_mode, modes.response_body_mode));
    (content, message.observability_mode, modes)
}

fn envoys(message: theirs::ProcessingRequest) -> Meaning {
    let fields = |map: Option<core::HeaderMap>| {
        map.unwrap_or_default().headers.into_iter().map(|field| (field.key.into_bytes(), field.raw_value)).collect()
    };
    let content = match message.request {
        Some(Request::RequestHeaders(head)) => Content::Fields(fields(head.headers), head.end_of_stream),
        Some(Request::RequestBody(body)) => Content::Body(body.body, body.end_of_stream),
        Some(Request::RequestTrailers(trailers)) => Content::Trailers(fields(trailers.trailers)),
        Some(Request::ResponseHeaders(_)) => Content::Response(3),
        Some(Request::ResponseBody(_)) => Content::Response(5),
        Some(Request::ResponseTrailers(_)) => Content::Response(7),
        None => Content::Nothing,
    };
    let modes = message.protocol_config.map(|modes| (modes.request_body_mode, modes.response_body_mode));
    (content, message.observability_mode, modes)
}

/// All that is said, up to the first error.
async fn meanings(mut inbox: Inbox<Frames>) -> (Vec<Meaning>, Option<Code>) {
    let (mut all, mut bytes) = (Vec::new(), Vec::new());
    loop {
        match inbox.next().await {
            Ok(Some(Said::Message(message))) => all.push(ours(message)),
            Ok(Some(Said::Part(part))) => bytes.extend_from_slice(&part),
            Ok(Some(Said::End { end_of_stream })) => {
                all.push((Content::Body(std::mem::take(&mut bytes), end_of_stream), false, None));
            }
            Ok(None) => return (all, None),
            Err(status) => return (all, Some(status.code())),
        }
    }
}

fn message() -> impl Strategy<Value = theirs::ProcessingRequest> {
    let map = || {
        let field = ("[a-z:-]{0,12}", prop::collection::vec(any::<u8>(), 0..20));
        prop::option::of(prop::collection::vec(field, 0..5)).prop_map(|fields| {
            let header = |(key, raw_value)| core::HeaderValue { key, raw_value, ..Default::default() };
            fields.map(|fields| core::HeaderMap { headers: fields.into_iter().map(header).collect() })
        })
    };
    let body = || {
        (prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), any::<bool>()).prop_map(|(body, end, drain)| {
            theirs::HttpBody { body, end_of_stream: end, drain_complete: drain, ..Default::default() }
        })
    };
    let head = || {
        (map(), any::<bool>()).prop_map(|(headers, end_of_stream)| theirs::HttpHeaders {
            headers,
            end_of_stream,
            ..Default::default()
        })
    };
    let trailers = || map().prop_map(|trailers| theirs::HttpTrailers { trailers });
    let request = prop_oneof![
        2 => head().prop_map(Request::RequestHeaders),
        1 => head().prop_map(Request::ResponseHeaders),
        6 => body().prop_map(Request::RequestBody),
        1 => body().prop_map(Request::ResponseBody),
        1 => trailers().prop_map(Request::RequestTrailers),
        1 => trailers().prop_map(Request::ResponseTrailers),
    ];
    let modes = prop::option::of((0..6, 0..6));
    (prop::option::weighted(0.9, request), any::<bool>(), modes, 0usize..4).prop_map(
        |(request, observability_mode, modes, attributes)| {
            // What a body says beside its bytes is only ever looked at in a stream's first message.
            let body = matches!(request, Some(Request::RequestBody(_)));
            theirs::ProcessingRequest {
                request,
                observability_mode: observability_mode && !body,
                protocol_config: modes.filter(|_| !body).map(|(request_body_mode, response_body_mode)| {
                    theirs::ProtocolConfiguration { request_body_mode, response_body_mode, ..Default::default() }
                }),
                attributes: (0..attributes).map(|number| (number.to_string(), Struct::default())).collect(),
                ..Default::default()
            }
        },
    )
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn what_envoy_says_is_what_is_heard(
        messages in prop::collection::vec(message(), 0..5),
        sizes in prop::collection::vec(1usize..200, 1..6),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| prefixed(&message.encode_to_vec())).collect();
        let wanted: Vec<_> = messages.into_iter().map(envoys).collect();
        prop_assert_eq!(run(meanings(inbox(bytes, &sizes))), (wanted, None));
    }

    /// Whatever is broken, it is read the same in whatever frames it comes, and never otherwise than Envoy's definitions
    /// read it. Of what we do not read we do not see that it is broken, and what is said twice is refused.
    #[test]
    fn what_is_broken_is_not_misheard(
        original in message(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
        sizes in prop::collection::vec(1usize..200, 1..6),
    ) {
        let mut message = original.encode_to_vec();
        for (at, byte, how) in breaks {
            let at = at.index(message.len() + 1);
            match how {
                0 => message.insert(at, byte),
                1 => message.truncate(at),
                2 => message.extend_from_within(at..),
                _ => if let Some(broken) = message.get_mut(at) { *broken = byte },
            }
        }
        let bytes = prefixed(&message);
        let mut whole = Inbox::new(cut(bytes.clone().into(), &[bytes.len()]), 1 << 20, room());
        whole.in_parts();
        let at_once = run(meanings(whole));
        let mut in_parts = run(meanings(inbox(bytes, &sizes)));
        // A body in parts is never a stream's first message, and of others this is not asked.
        if let (Some((Content::Body(..), observed, modes)), Some((_, parts_observed, parts_modes))) =
            (at_once.0.first(), in_parts.0.first_mut())
        {
            (*parts_observed, *parts_modes) = (*observed, *modes);
        }
        prop_assert_eq!(&in_parts, &at_once);
        match (theirs::ProcessingRequest::decode(message.as_slice()), at_once) {
            (Ok(theirs), (heard, None)) => prop_assert_eq!(heard, [envoys(theirs)]),
            (_, (heard, error)) => prop_assert!(heard.len() <= 1 && error.is_none_or(|code| code == Code::Internal)),
        }
    }
}

#[tokio::test]
async fn tiny_frames_are_read_in_turns_with_others() {
    let message = prefixed(&[0x22, 0]);
    let mut inbox = inbox(message.repeat(1000), &[1]);
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let others = std::sync::Arc::clone(&turn);
    let reading = tokio::spawn(async move {
        while inbox.next().await.unwrap().is_some() {}
        turn.load(std::sync::atomic::Ordering::Relaxed)
    });
    tokio::spawn(async move { others.store(true, std::sync::atomic::Ordering::Relaxed) });
    assert!(reading.await.unwrap(), "all was read before anybody else had a turn");
}
