use super::*;
use crate::budget::Budget;

fn put(outbox: &Outbox, share: Option<Hold>) {
    outbox.push(Sent::Message(Box::default()), share);
}

#[test]
fn what_was_held_is_free_when_it_leaves() {
    let (budget, outbox) = (Budget::new(1 << 20), Outbox::default());
    let mut hold = budget.hold();
    assert!(hold.grow(30_000));
    for _ in 0..3 {
        put(&outbox, hold.split(10_000));
    }
    put(&outbox, None);
    assert!(!outbox.is_empty());
    let used: Vec<_> = std::iter::from_fn(|| outbox.pop().unwrap().map(|_| budget.used())).collect();
    assert_eq!(used, [20_000, 10_000, 0, 0]);
    assert!(outbox.is_empty());
}

fn polled(outbox: &Outbox, sent: bool) -> bool {
    outbox.polled(false, sent, Waker::noop())
}

#[test]
fn who_may_keep_something_is_watched_once() {
    let (budget, outbox) = (Budget::new(1), Outbox::default());
    assert!(!polled(&outbox, false));
    // What the machine holds its deadline gives back, if it is polled.
    outbox.hold(true);
    assert!(!polled(&outbox, true));
    assert!(polled(&outbox, false) && !polled(&outbox, false));
    assert!(Outbox::default().polled(true, true, Waker::noop()));
    let outbox = Outbox::default();
    let mut hold = budget.hold();
    assert!(hold.grow(1));
    put(&outbox, Some(hold));
    assert!(polled(&outbox, true));
}

#[test]
fn an_error_follows_what_was_said() {
    let outbox = Outbox::default();
    put(&outbox, None);
    outbox.fail(Status::aborted("why"));
    assert!(outbox.pop().unwrap().is_some());
    assert_eq!(outbox.pop().unwrap_err().code(), tonic::Code::Aborted);
    assert!(outbox.pop().unwrap().is_none());
}
