//! Ends streams that reserve bytes of the budget and are no longer polled.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tonic::Status;

use crate::process::handler::Handler;
use crate::process::send_queue::{RequestIds, SendQueue, StreamProgress};

/// How many times the watchdog checks within one timeout.
const CHECKS_PER_TIMEOUT: u32 = 8;

/// The list never keeps capacity beyond this many streams after a busy moment.
const KEPT_CAPACITY: usize = 1024;

/// The streams to watch. A stream whose peer does not read is not polled, so its own deadline never fires.
#[derive(Clone, Debug, Default)]
pub(super) struct StallWatchdog(Arc<Mutex<Vec<WatchedStream>>>);

struct WatchedStream {
    queue: Weak<SendQueue>,
    handler: Weak<Handler>,
}

impl StallWatchdog {
    /// Watches a stream until it is idle, ends or stalls.
    pub(super) fn watch(&self, queue: &Arc<SendQueue>, handler: &Arc<Handler>) {
        let stream = WatchedStream { queue: Arc::downgrade(queue), handler: Arc::downgrade(handler) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    /// Checks the streams until the future is dropped. A stream that was not polled within `timeout` is cancelled, its
    /// memory released, and `on_failure` called with its status and its request's IDs.
    pub(super) async fn run(self, timeout: Duration, on_failure: impl Fn(&Status, &RequestIds)) {
        let mut checks = tokio::time::interval((timeout / CHECKS_PER_TIMEOUT).max(Duration::from_millis(1)));
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = checks.tick().await;
            let mut stalled = Vec::new();
            let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            streams.retain(|stream| {
                let Some(queue) = stream.queue.upgrade() else { return false };
                match queue.check_progress(now, timeout) {
                    StreamProgress::Active => true,
                    StreamProgress::Idle => false,
                    StreamProgress::Stalled(status) => {
                        stalled.push((status, stream.handler.upgrade(), queue.ids()));
                        false
                    }
                }
            });
            streams.shrink_to(KEPT_CAPACITY);
            drop(streams);
            // Without the lock, because other streams may wait for it.
            for (status, handler, ids) in stalled {
                if let Some(handler) = handler {
                    handler.cancel();
                }
                on_failure(&status, &ids);
            }
        }
    }
}

impl fmt::Debug for WatchedStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WatchedStream").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
