//! The future that handles one stream. The response stream polls it, and the watchdog can cancel it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tonic::Status;

type BoxedHandler = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// A future that reads a stream's messages and puts replies into its send queue. It returns `Ok` only if the request has
/// all it needs.
///
/// The future may be pending only for something other than the send queue, or while that queue has a message: it is polled
/// again once the queue is empty. It and the queue own all memory of the stream, so that
/// [`StallWatchdog`](super::stall_watchdog::StallWatchdog) can release it.
pub(super) struct Handler(Mutex<Option<BoxedHandler>>);

impl Handler {
    /// Wraps a future.
    pub(super) fn new(handler: impl Future<Output = Result<(), Status>> + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::pin(handler))))
    }

    /// Drops the future, in whatever state it is.
    pub(super) fn cancel(&self) {
        // Moved out of the lock, so that dropping it does not block a poll.
        let _cancelled = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Polls the future. Returns `Ok` once it has ended or was cancelled.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let mut handler = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = handler.as_mut().map_or(Poll::Ready(Ok(())), |handler| handler.as_mut().poll(context));
        if result.is_ready() {
            *handler = None;
        }
        result
    }
}
