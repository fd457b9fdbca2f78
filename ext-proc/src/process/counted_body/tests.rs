use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use prometheus::{Histogram, HistogramOpts};

use super::*;
use crate::budget::Budget;
use crate::process::message_framing::PREFIX;

/// Frames that are ready at once, and the error after them.
#[derive(Debug, Default)]
struct Frames(VecDeque<Bytes>, Option<Status>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = self.0.pop_front().map(|frame| Ok(Frame::data(frame)));
        Poll::Ready(frame.or_else(|| self.1.take().map(Err)))
    }
}

/// Frames of one message.
fn frames(sizes: &[usize]) -> Frames {
    let mut rest = u32::try_from(sizes.iter().sum::<usize>() - PREFIX).unwrap().to_be_bytes().to_vec();
    rest.insert(0, 0);
    let frames = sizes.iter().map(|size| {
        let prefix = rest.drain(..rest.len().min(*size)).collect::<Vec<_>>();
        [prefix.as_slice(), &vec![b'x'; size - prefix.len()]].concat().into()
    });
    Frames(frames.collect(), None)
}

#[tokio::test]
async fn an_incomplete_message_is_counted_and_takes_its_reservation_with_it() {
    let budget = Budget::new(100_000);
    let mut counted_body = CountedBody::new(frames(&[16_384, 16_384, 10_000]), budget.reservation());
    let mut used = Vec::new();
    while let Some(frame) = counted_body.frame().await {
        assert!(frame.unwrap().is_data());
        used.push(budget.used());
    }
    assert_eq!(used, [0, 32_768, 42_768]);
    counted_body.message_decoded(30_000);
    assert!(counted_body.ended_inside_message() && counted_body.needs_poll(true));
    assert!(counted_body.take_reservation().is_none(), "bytes of another message follow");
    counted_body.message_decoded(12_768);
    assert!(!counted_body.ended_inside_message());
    let reservation = counted_body.take_reservation().unwrap();
    assert_eq!((reservation.bytes(), budget.used()), (42_768, 42_768));
    assert!(!counted_body.needs_poll(true) && counted_body.take_reservation().is_none());
    drop(reservation);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn a_body_beyond_the_budget_ends_and_releases_its_reservation() {
    let budget = Budget::new(30_000);
    let mut counted_body = CountedBody::new(frames(&[16_384, 16_384, 16_384]), budget.reservation());
    assert!(counted_body.frame().await.unwrap().is_ok());
    assert!(!counted_body.is_over_budget());
    assert_eq!(counted_body.frame().await.unwrap().unwrap_err().code(), tonic::Code::ResourceExhausted);
    assert!(counted_body.is_over_budget());
    assert_eq!(budget.used(), 0);
    // The rest can still be read.
    let rest = counted_body.clone();
    counted_body.discard_rest().await;
    assert!(rest.lock().body.0.is_empty());

    // Headers do not compete with the bodies of other requests.
    let mut headers = CountedBody::new(frames(&[UNCOUNTED]), Budget::new(0).reservation());
    assert!(headers.frame().await.unwrap().is_ok());
}

/// A frame that waits is read once. Nothing is read behind it.
#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_fit_waits() {
    let seconds = Histogram::with_opts(HistogramOpts::new("waits", "waits")).unwrap();
    let budget = Budget::with_waits(40_000, Duration::from_secs(10), seconds);
    let mut full = budget.reservation();
    assert!(full.try_grow(30_000));
    let prefix = [&[0_u8][..], &39_000_u32.to_be_bytes(), &[0; 16_379]].concat();
    let body = Frames([prefix.into(), vec![b'x'; 16_384].into(), vec![b'x'; 6_237].into()].into(), None);
    let mut counted_body = CountedBody::new(body, budget.reservation());
    assert_eq!(counted_body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 16_384);
    for _ in 0..2 {
        assert!(tokio::time::timeout(Duration::from_secs(1), counted_body.frame()).await.is_err());
        assert_eq!((budget.waiting(), counted_body.lock().body.0.len()), (1, 1));
        assert!(!counted_body.is_end_stream() && !counted_body.needs_poll(true));
    }
    full.release_all();
    assert_eq!(counted_body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 16_384);
    assert_eq!(budget.used(), 32_768);
    assert_eq!(counted_body.reservation().waited(), Duration::from_secs(2));
    assert!(counted_body.needs_poll(true));
    // The oldest stream that grows has its claim free.
    assert!(!full.try_grow(1000));
    assert_eq!(counted_body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 6_237);
    counted_body.message_decoded(39_005);
    assert_eq!(counted_body.take_reservation().map(|reservation| reservation.bytes()), Some(39_005));

    // The time of the stream is used up.
    assert!(full.try_grow(40_000));
    let mut late = CountedBody::new(frames(&[16_384, 16_384, 5]), budget.reservation());
    assert!(late.frame().await.unwrap().is_ok());
    assert_eq!(late.frame().await.unwrap().unwrap_err().code(), tonic::Code::ResourceExhausted);
    assert!(late.is_over_budget() && budget.waiting() == 0);
}

#[tokio::test]
async fn a_reset_does_not_count_as_an_end() {
    let body = Frames([Bytes::from_static(b"\0\0\0\0\x09")].into(), Some(Status::cancelled("reset")));
    let mut counted_body = CountedBody::new(body, Budget::new(0).reservation());
    assert!(counted_body.frame().await.unwrap().is_ok());
    assert!(counted_body.frame().await.unwrap().is_err());
    assert!(!counted_body.ended_inside_message());
}

#[tokio::test]
async fn reading_many_tiny_frames_lets_other_tasks_run() {
    let mut counted_body = CountedBody::new(frames(&[1; 1000]), Budget::new(0).reservation());
    let other_ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&other_ran);
    let reading = tokio::spawn(async move {
        while counted_body.frame().await.is_some() {}
        other_ran.load(Ordering::Relaxed)
    });
    tokio::spawn(async move { flag.store(true, Ordering::Relaxed) });
    assert!(reading.await.unwrap(), "everything was read before the other task ran");
}
