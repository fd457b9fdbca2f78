use super::*;
use crate::budget::Budget;

fn push(queue: &SendQueue, share: Option<Reservation>) {
    queue.push(OutgoingMessage::Response(Box::default()), share);
}

#[test]
fn a_message_releases_its_reservation_when_it_is_taken() {
    let (budget, queue) = (Budget::new(1 << 20), SendQueue::default());
    let mut reservation = budget.reservation();
    assert!(reservation.try_grow(30_000));
    for _ in 0..3 {
        push(&queue, reservation.split(10_000));
    }
    push(&queue, None);
    assert!(!queue.is_empty());
    let used: Vec<_> = std::iter::from_fn(|| queue.pop().unwrap().map(|_| budget.used())).collect();
    assert_eq!(used, [20_000, 10_000, 0, 0]);
    assert!(queue.is_empty());
}

fn polled(queue: &SendQueue, sent: bool) -> bool {
    queue.record_poll(false, sent, Waker::noop())
}

#[test]
fn a_stream_that_may_keep_bytes_is_watched_once() {
    let (budget, queue) = (Budget::new(1), SendQueue::default());
    assert!(!polled(&queue, false));
    // Once everything is sent, the deadline releases the bytes of the state machine.
    queue.set_bytes_held(true);
    assert!(!polled(&queue, true));
    assert!(polled(&queue, false) && !polled(&queue, false));
    assert!(SendQueue::default().record_poll(true, true, Waker::noop()));
    let queue = SendQueue::default();
    let mut reservation = budget.reservation();
    assert!(reservation.try_grow(1));
    push(&queue, Some(reservation));
    assert!(polled(&queue, true));
}

#[test]
fn a_failure_follows_the_queued_messages() {
    let queue = SendQueue::default();
    push(&queue, None);
    queue.fail(Status::aborted("why"));
    assert!(queue.pop().unwrap().is_some());
    assert_eq!(queue.pop().unwrap_err().code(), tonic::Code::Aborted);
    assert!(queue.pop().unwrap().is_none());
}
