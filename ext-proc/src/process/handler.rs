//! What answers a stream, as something that its own task polls and another one may end.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tonic::Status;

type Answering = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// What answers a stream, into its send_queue, and how it ends: `Ok` only if its request has all it needs. It must be pending
/// only when it waits for something else than the send_queue, or when there is something in that: it is polled again once
/// the send_queue is empty.
///
/// All that a stream holds is in it or in the send_queue, so that [`StallWatchdog`](super::stall_watchdog::StallWatchdog) can end both.
pub(super) struct Handler(Mutex<Option<Answering>>);

impl Handler {
    /// Something that answers.
    pub(super) fn new(answering: impl Future<Output = Result<(), Status>> + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::pin(answering))))
    }

    /// Ends it, whatever it waits for.
    pub(super) fn cancel(&self) {
        // Dropped when nobody waits for the lock any more.
        let _ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Polls it. Ready for ever when it has ended.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let mut answering = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = answering.as_mut().map_or(Poll::Ready(Ok(())), |answering| answering.as_mut().poll(context));
        if ended.is_ready() {
            *answering = None;
        }
        ended
    }
}
