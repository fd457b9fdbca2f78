use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;

use super::*;
use crate::budget::Budget;

/// Frames that are all there, and how it ends behind them.
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

fn frames(sizes: &[usize]) -> Frames {
    Frames(sizes.iter().map(|size| vec![b'x'; *size].into()).collect(), None)
}

#[tokio::test]
async fn what_is_put_together_is_counted_and_a_message_takes_its_share() {
    let budget = Budget::new(100_000);
    let mut intake = Intake::new(frames(&[16_384, 16_384, 10_000]), budget.hold());
    let mut used = Vec::new();
    while let Some(frame) = intake.frame().await {
        assert!(frame.unwrap().is_data());
        used.push(budget.used());
    }
    assert_eq!(used, [0, 32_768, 42_768]);
    intake.taken(30_000);
    assert!(intake.is_cut() && intake.is_midway());
    assert!(intake.share().is_none(), "there is more of another message");
    intake.taken(12_768);
    assert!(!intake.is_cut());
    let share = intake.share().unwrap();
    assert_eq!((share.bytes(), budget.used()), (42_768, 42_768));
    assert!(!intake.is_midway() && intake.share().is_none());
    drop(share);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn without_room_it_ends_and_keeps_nothing() {
    let budget = Budget::new(30_000);
    let mut intake = Intake::new(frames(&[16_384, 16_384, 16_384]), budget.hold());
    assert!(intake.frame().await.unwrap().is_ok());
    assert!(!intake.is_full());
    assert_eq!(intake.frame().await.unwrap().unwrap_err().code(), tonic::Code::ResourceExhausted);
    assert!(intake.is_full());
    assert_eq!(budget.used(), 0);
    // The rest is read all the same.
    let rest = intake.clone();
    intake.drop_rest().await;
    assert!(rest.state().body.0.is_empty());

    // A head does not compete with the bodies of others.
    let mut head = Intake::new(frames(&[UNCOUNTED]), Budget::new(0).hold());
    assert!(head.frame().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_reset_is_no_end() {
    let body = Frames([Bytes::from_static(b"\0\0\0\0\x09")].into(), Some(Status::cancelled("reset")));
    let mut intake = Intake::new(body, Budget::new(0).hold());
    assert!(intake.frame().await.unwrap().is_ok());
    assert!(intake.frame().await.unwrap().is_err());
    assert!(!intake.is_cut());
}

#[tokio::test]
async fn tiny_frames_are_read_in_turns_with_others() {
    let mut intake = Intake::new(frames(&[1; 1000]), Budget::new(0).hold());
    let turn = Arc::new(AtomicBool::new(false));
    let others = Arc::clone(&turn);
    let reading = tokio::spawn(async move {
        while intake.frame().await.is_some() {}
        turn.load(Ordering::Relaxed)
    });
    tokio::spawn(async move { others.store(true, Ordering::Relaxed) });
    assert!(reading.await.unwrap(), "all was read before anybody else had a turn");
}
