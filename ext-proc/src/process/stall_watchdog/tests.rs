use std::task::Waker;

use super::*;
use crate::budget::{Budget, Hold};
use crate::process::codec::Sent;

fn put(outbox: &Outbox, share: Option<Hold>) {
    outbox.push(Sent::Message(Box::default()), share);
}

fn polled(outbox: &Outbox, sent: bool) -> bool {
    outbox.polled(false, sent, Waker::noop())
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
