//! Replies on their way to tonic, and who looks after them when nobody takes them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingResponse;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Status;

use crate::budget::Hold;
use crate::process::replies::Run;

/// How often in a deadline it is looked for streams that do not move.
const LOOKS: u32 = 8;

/// What one stream has to send. Locked for moments only, and contended only by [`Stalled`].
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Queue>);

/// Streams that hold some of the budget and may not be polled again: one whose peer takes nothing is not, nor does its
/// deadline come then.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalled(Arc<Mutex<Vec<Watched>>>);

struct Watched {
    outbox: Weak<Outbox>,
    run: Weak<Run>,
}

/// What a stream is doing, as far as it holds some of the budget.
#[derive(Clone, Debug)]
enum Moves {
    /// It is polled, now and then.
    On,
    /// It holds nothing any more.
    Through,
    /// It has not been polled for too long: it ends with this.
    Not(Status),
}

#[derive(Debug, Default)]
struct Queue {
    /// What logs call the request.
    request_id: String,
    messages: VecDeque<Message>,
    /// How many of them have a share of the budget.
    shares: usize,
    /// Whether the machine holds some of the budget.
    held: bool,
    /// When a stream that has to be polled again was last polled, and what polls it.
    waits: Option<(Instant, Waker)>,
    watched: bool,
    /// Why nothing more is sent.
    failed: Option<Status>,
}

#[derive(Debug)]
struct Message {
    response: ProcessingResponse,
    share: Option<Hold>,
}

impl Outbox {
    /// Gives the request the name that logs call it by.
    pub(super) fn name(&self, request_id: String) {
        self.queue().request_id = request_id;
    }

    /// The request's name.
    pub(super) fn request_id(&self) -> String {
        self.queue().request_id.clone()
    }

    /// Adds a message. `share` is what a piece of body in it holds of the budget, until tonic takes it.
    pub(super) fn push(&self, response: ProcessingResponse, share: Option<Hold>) {
        let mut queue = self.queue();
        queue.shares += usize::from(share.is_some());
        queue.messages.push_back(Message { response, share });
    }

    /// Whether there is nothing to send, nor an error.
    pub(super) fn is_empty(&self) -> bool {
        let queue = self.queue();
        queue.messages.is_empty() && queue.failed.is_none()
    }

    /// The next message.
    ///
    /// # Errors
    /// The stream has failed. Told once.
    pub(super) fn pop(&self) -> Result<Option<ProcessingResponse>, Status> {
        let mut queue = self.queue();
        let Some(Message { response, share }) = queue.messages.pop_front() else {
            return queue.failed.take().map_or(Ok(None), Err);
        };
        queue.shares -= usize::from(share.is_some());
        Ok(Some(response))
    }

    /// Whether the machine holds some of the budget.
    pub(super) fn hold(&self, held: bool) {
        self.queue().held = held;
    }

    /// The stream has been polled. Whether somebody must watch from now on that it is polled again, because something is
    /// held that nobody else would give back: a message that is `midway`, pieces to send, or, unless all that was said
    /// has been `sent`, what the machine holds.
    pub(super) fn polled(&self, midway: bool, sent: bool, waker: &Waker) -> bool {
        let mut queue = self.queue();
        if !(midway || queue.shares > 0 || queue.held && !sent) {
            queue.waits = None;
            return false;
        }
        queue.waits = Some((Instant::now(), waker.clone()));
        !std::mem::replace(&mut queue.watched, true)
    }

    /// Behind the messages that are there the stream ends with an error.
    pub(super) fn fail(&self, status: Status) {
        self.queue().failed = Some(status);
    }

    fn check(&self, now: Instant, patience: Duration) -> Moves {
        let mut queue = self.queue();
        let Some((since, _)) = &queue.waits else {
            queue.watched = false;
            return Moves::Through;
        };
        if now.duration_since(*since) < patience {
            return Moves::On;
        }
        let status =
            Status::deadline_exceeded("the peer sent half a message, or did not take what it was sent, in time");
        let request_id = std::mem::take(&mut queue.request_id);
        let failed = Queue { request_id, failed: Some(status.clone()), ..Queue::default() };
        // It may be waiting for nothing but more bytes.
        if let Some((_, waker)) = std::mem::replace(&mut *queue, failed).waits {
            waker.wake();
        }
        Moves::Not(status)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stalled {
    /// Watches over a stream.
    pub(super) fn watch(&self, outbox: &Arc<Outbox>, run: &Arc<Run>) {
        let watched = Watched { outbox: Arc::downgrade(outbox), run: Arc::downgrade(run) };
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
                let Some(outbox) = watched.outbox.upgrade() else { return false };
                match outbox.check(now, patience) {
                    Moves::On => true,
                    Moves::Through => false,
                    Moves::Not(status) => {
                        stuck.push((status, watched.run.upgrade(), outbox.request_id()));
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
                    run.end();
                }
                failed(&status, &request_id);
            }
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watched").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
