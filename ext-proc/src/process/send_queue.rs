//! ResponseStream on their way to tonic.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::budget::Reservation;
use crate::process::codec::OutgoingMessage;

/// What one stream has to send. Locked for moments only, and contended only by
/// [`StallWatchdog`](super::stall_watchdog::StallWatchdog).
#[derive(Debug, Default)]
pub(super) struct SendQueue(Mutex<Queue>);

/// What a stream is doing, as far as it holds some of the budget.
#[derive(Clone, Debug)]
pub(super) enum StreamProgress {
    /// It is polled, now and then.
    Active,
    /// It holds nothing any more.
    Idle,
    /// It has not been polled for too long: it ends with this.
    Stalled(Status),
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
    response: OutgoingMessage,
    share: Option<Reservation>,
}

impl SendQueue {
    /// Gives the request the name that logs call it by.
    pub(super) fn set_request_id(&self, request_id: String) {
        self.queue().request_id = request_id;
    }

    /// The request's name.
    pub(super) fn request_id(&self) -> String {
        self.queue().request_id.clone()
    }

    /// Adds a message. `share` is what a piece of body in it holds of the budget, until tonic takes it.
    pub(super) fn push(&self, response: OutgoingMessage, share: Option<Reservation>) {
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
    pub(super) fn pop(&self) -> Result<Option<OutgoingMessage>, Status> {
        let mut queue = self.queue();
        let Some(Message { response, share }) = queue.messages.pop_front() else {
            return queue.failed.take().map_or(Ok(None), Err);
        };
        queue.shares -= usize::from(share.is_some());
        Ok(Some(response))
    }

    /// Whether the machine holds some of the budget.
    pub(super) fn set_bytes_held(&self, held: bool) {
        self.queue().held = held;
    }

    /// The stream has been polled. Whether somebody must watch from now on that it is polled again, because something is
    /// held that nobody else would give back: a message that is `midway`, pieces to send, or, unless all that was said
    /// has been `sent`, what the machine holds.
    pub(super) fn record_poll(&self, midway: bool, sent: bool, waker: &Waker) -> bool {
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

    /// How the stream does. One that has not been polled for so long fails, and what is here is given back.
    pub(super) fn check_progress(&self, now: Instant, patience: Duration) -> StreamProgress {
        let mut queue = self.queue();
        let Some((since, _)) = &queue.waits else {
            queue.watched = false;
            return StreamProgress::Idle;
        };
        if now.duration_since(*since) < patience {
            return StreamProgress::Active;
        }
        let status =
            Status::deadline_exceeded("the peer sent half a message, or did not take what it was sent, in time");
        let request_id = std::mem::take(&mut queue.request_id);
        let failed = Queue { request_id, failed: Some(status.clone()), ..Queue::default() };
        // It may be waiting for nothing but more bytes.
        if let Some((_, waker)) = std::mem::replace(&mut *queue, failed).waits {
            waker.wake();
        }
        StreamProgress::Stalled(status)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
