use super::*;
use crate::budget::Budget;

fn put(send_queue: &SendQueue, share: Option<Reservation>) {
    send_queue.push(OutgoingMessage::Response(Box::default()), share);
}

#[test]
fn what_was_held_is_free_when_it_leaves() {
    let (budget, send_queue) = (Budget::new(1 << 20), SendQueue::default());
    let mut reservation = budget.reservation();
    assert!(reservation.try_grow(30_000));
    for _ in 0..3 {
        put(&send_queue, reservation.split(10_000));
    }
    put(&send_queue, None);
    assert!(!send_queue.is_empty());
    let used: Vec<_> = std::iter::from_fn(|| send_queue.pop().unwrap().map(|_| budget.used())).collect();
    assert_eq!(used, [20_000, 10_000, 0, 0]);
    assert!(send_queue.is_empty());
}

fn polled(send_queue: &SendQueue, sent: bool) -> bool {
    send_queue.record_poll(false, sent, Waker::noop())
}

#[test]
fn who_may_keep_something_is_watched_once() {
    let (budget, send_queue) = (Budget::new(1), SendQueue::default());
    assert!(!polled(&send_queue, false));
    // What the machine holds its deadline gives back, if it is polled.
    send_queue.set_bytes_held(true);
    assert!(!polled(&send_queue, true));
    assert!(polled(&send_queue, false) && !polled(&send_queue, false));
    assert!(SendQueue::default().record_poll(true, true, Waker::noop()));
    let send_queue = SendQueue::default();
    let mut reservation = budget.reservation();
    assert!(reservation.try_grow(1));
    put(&send_queue, Some(reservation));
    assert!(polled(&send_queue, true));
}

#[test]
fn an_error_follows_what_was_said() {
    let send_queue = SendQueue::default();
    put(&send_queue, None);
    send_queue.fail(Status::aborted("why"));
    assert!(send_queue.pop().unwrap().is_some());
    assert_eq!(send_queue.pop().unwrap_err().code(), tonic::Code::Aborted);
    assert!(send_queue.pop().unwrap().is_none());
}
