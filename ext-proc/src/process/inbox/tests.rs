//! However the bytes are cut into frames, the same is said.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::service::ext_proc::v3 as theirs;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::google::protobuf::Struct;
use hyper::body::Frame;
use proptest::prelude::*;

use super::*;
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

fn inbox(bytes: Vec<u8>, sizes: &[usize]) -> Inbox<Frames> {
    let mut inbox = Inbox::new(cut(bytes.into(), sizes), 1 << 20);
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
        let mut inbox = Inbox::new(cut(bytes.into(), &sizes), 1 << 20);
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
    let mut inbox = Inbox::new(Frames([frame].into()), 1000);
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
    for second in [one.to_vec(), empty.encode_to_vec()] {
        let twice = prefixed(&[one, &second].concat());
        assert_eq!(bodies(inbox(twice, &[30])).await.unwrap_err().code(), Code::Internal);
    }
}
