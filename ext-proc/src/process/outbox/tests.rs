use super::*;
use crate::budget::Budget;

fn put(outbox: &Outbox, share: Option<Hold>) {
    outbox.push(ProcessingResponse::default(), share);
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

/// A stream with two messages that hold something, the first of which is taken, and what it holds elsewhere.
fn stream(stalled: &Stalled, budget: &Budget) -> (Arc<Outbox>, Arc<Run>) {
    let (outbox, mut hold) = (Arc::new(Outbox::default()), budget.hold());
    assert!(hold.grow(30_000));
    outbox.name("id".to_owned());
    for _ in 0..3 {
        put(&outbox, hold.split(5_000));
    }
    let run = Arc::new(Run::new(async move {
        let _held = hold;
        std::future::pending().await
    }));
    assert!(outbox.pop().unwrap().is_some() && polled(&outbox, false));
    stalled.watch(&outbox, &run);
    (outbox, run)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_loses_what_is_held_for_it() {
    let (budget, stalled) = (Budget::new(1 << 20), Stalled::default());
    let patience = Duration::from_secs(10);
    let (still, still_run) = stream(&stalled, &budget);
    let (slow, slow_run) = stream(&stalled, &budget);
    let (quick, quick_run) = stream(&stalled, &budget);
    while quick.pop().unwrap().is_some() {}
    assert!(!polled(&quick, true));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&failures);
    let watching = tokio::spawn(stalled.clone().run(patience, move |status, id| {
        told.lock().unwrap().push((status.code(), id.to_owned()));
    }));
    for _ in 0..2 {
        tokio::time::sleep(patience * 2 / 3).await;
        assert!(slow.pop().unwrap().is_some());
        assert!(!polled(&slow, false));
    }
    assert_eq!(still.pop().unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(*failures.lock().unwrap(), [(tonic::Code::DeadlineExceeded, "id".to_owned())]);
    assert!(slow.pop().unwrap().is_none(), "all was taken, each in time");
    assert_eq!(budget.used(), 2 * 15_000, "what the others hold elsewhere");
    tokio::time::sleep(patience).await;
    assert!(stalled.0.lock().unwrap().is_empty());
    drop((still_run, slow_run, quick_run));
    assert_eq!(budget.used(), 0);
    watching.abort();
}
