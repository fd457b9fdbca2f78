use std::task::Waker;

use super::*;
use crate::budget::{Budget, Reservation};
use crate::process::codec::OutgoingMessage;

fn push(queue: &SendQueue, share: Option<Reservation>) {
    queue.push(OutgoingMessage::Response(Box::default()), share);
}

fn polled(queue: &SendQueue, sent: bool) -> bool {
    queue.record_poll(false, sent, Waker::noop())
}

/// A stream with three chunks in its queue, of which tonic has taken one, and 15,000 bytes in its handler.
fn stream(watchdog: &StallWatchdog, budget: &Budget) -> (Arc<SendQueue>, Arc<Handler>) {
    let (queue, mut reservation) = (Arc::new(SendQueue::default()), budget.reservation());
    assert!(reservation.try_grow(30_000));
    queue.set_request_id("id".to_owned());
    for _ in 0..3 {
        push(&queue, reservation.split(5_000));
    }
    let handler = Arc::new(Handler::new(async move {
        let _held = reservation;
        std::future::pending().await
    }));
    assert!(queue.pop().unwrap().is_some() && polled(&queue, false));
    watchdog.watch(&queue, &handler);
    (queue, handler)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_polled_fails_and_releases_its_bytes() {
    let (budget, watchdog) = (Budget::new(1 << 20), StallWatchdog::default());
    let timeout = Duration::from_secs(10);
    let (still, still_run) = stream(&watchdog, &budget);
    let (slow, slow_run) = stream(&watchdog, &budget);
    let (quick, quick_run) = stream(&watchdog, &budget);
    while quick.pop().unwrap().is_some() {}
    assert!(!polled(&quick, true));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&failures);
    let watching = tokio::spawn(watchdog.clone().run(timeout, move |status, ids| {
        recorded.lock().unwrap().push((status.code(), ids.request_id.clone()));
    }));
    for _ in 0..2 {
        tokio::time::sleep(timeout * 2 / 3).await;
        assert!(slow.pop().unwrap().is_some());
        assert!(!polled(&slow, false));
    }
    assert_eq!(still.pop().unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(*failures.lock().unwrap(), [(tonic::Code::DeadlineExceeded, "id".to_owned())]);
    assert!(slow.pop().unwrap().is_none(), "all messages were taken in time");
    assert_eq!(budget.used(), 2 * 15_000, "the handlers of the other streams");
    tokio::time::sleep(timeout).await;
    assert!(watchdog.0.lock().unwrap().is_empty());
    drop((still_run, slow_run, quick_run));
    assert_eq!(budget.used(), 0);
    watching.abort();
}
