//! Who looks after streams that nobody polls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tonic::Status;

use crate::process::handler::Handler;
use crate::process::send_queue::{SendQueue, StreamProgress};

/// How often in a deadline it is looked for streams that do not move.
const LOOKS: u32 = 8;

/// Streams that hold some of the budget and may not be polled again: one whose peer takes nothing is not, nor does its
/// deadline come then.
#[derive(Clone, Debug, Default)]
pub(super) struct StallWatchdog(Arc<Mutex<Vec<WatchedStream>>>);

struct WatchedStream {
    send_queue: Weak<SendQueue>,
    run: Weak<Handler>,
}

impl StallWatchdog {
    /// Watches over a stream.
    pub(super) fn watch(&self, send_queue: &Arc<SendQueue>, run: &Arc<Handler>) {
        let watched = WatchedStream { send_queue: Arc::downgrade(send_queue), run: Arc::downgrade(run) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
    }

    /// Looks after the streams for as long as it is polled, and tells of those that fail: all that they hold is given
    /// back.
    pub(super) async fn run(self, patience: Duration, failed: impl Fn(&Status, &str)) {
        let mut looks = tokio::time::interval((patience / LOOKS).max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = looks.tick().await;
            let mut stuck = Vec::new();
            let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain(|watched| {
                let Some(send_queue) = watched.send_queue.upgrade() else { return false };
                match send_queue.check_progress(now, patience) {
                    StreamProgress::Active => true,
                    StreamProgress::Idle => false,
                    StreamProgress::Stalled(status) => {
                        stuck.push((status, watched.run.upgrade(), send_queue.request_id()));
                        false
                    }
                }
            });
            // As many as there were at the busiest moment are not kept for ever.
            watched.shrink_to(1024);
            drop(watched);
            // Telling takes longer than looking, and every stream that begins to send may wait for the lock.
            for (status, run, request_id) in stuck {
                if let Some(run) = run {
                    run.cancel();
                }
                failed(&status, &request_id);
            }
        }
    }
}

impl fmt::Debug for WatchedStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WatchedStream").field("send_queue", &self.send_queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
