use std::task::Waker;

use super::*;
use crate::budget::{Budget, Reservation};
use crate::process::codec::OutgoingMessage;

fn put(send_queue: &SendQueue, share: Option<Reservation>) {
    send_queue.push(OutgoingMessage::Response(Box::default()), share);
}

fn polled(send_queue: &SendQueue, sent: bool) -> bool {
    send_queue.record_poll(false, sent, Waker::noop())
}

/// A stream with two messages that hold something, the first of which is taken, and what it holds elsewhere.
fn stream(watchdog: &StallWatchdog, budget: &Budget) -> (Arc<SendQueue>, Arc<Handler>) {
    let (send_queue, mut reservation) = (Arc::new(SendQueue::default()), budget.reservation());
    assert!(reservation.try_grow(30_000));
    send_queue.set_request_id("id".to_owned());
    for _ in 0..3 {
        put(&send_queue, reservation.split(5_000));
    }
    let run = Arc::new(Handler::new(async move {
        let _held = reservation;
        std::future::pending().await
    }));
    assert!(send_queue.pop().unwrap().is_some() && polled(&send_queue, false));
    watchdog.watch(&send_queue, &run);
    (send_queue, run)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_loses_what_is_held_for_it() {
    let (budget, watchdog) = (Budget::new(1 << 20), StallWatchdog::default());
    let patience = Duration::from_secs(10);
    let (still, still_run) = stream(&watchdog, &budget);
    let (slow, slow_run) = stream(&watchdog, &budget);
    let (quick, quick_run) = stream(&watchdog, &budget);
    while quick.pop().unwrap().is_some() {}
    assert!(!polled(&quick, true));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&failures);
    let watching = tokio::spawn(watchdog.clone().run(patience, move |status, id| {
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
    assert!(watchdog.0.lock().unwrap().is_empty());
    drop((still_run, slow_run, quick_run));
    assert_eq!(budget.used(), 0);
    watching.abort();
}
