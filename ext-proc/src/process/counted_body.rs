//! A stream's request body, which counts the bytes that tonic has read and not decoded yet.
//!
//! tonic assembles a message before it decodes it, and a `BUFFERED` body is one message. [`CountedBody`] wraps the body
//! that tonic reads. It counts the bytes that tonic takes; the decoder reports the bytes of each message. The difference
//! is charged to the byte budget, and a complete message takes its reservation with it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::coop::poll_proceed;
use tonic::Status;

use crate::budget::Reservation;
use crate::process::event::Violation;

/// A message is charged to the budget once it exceeds this many bytes. Headers are smaller, and must not fail because
/// other requests' bodies use up the budget.
const UNCOUNTED: usize = 16 * 1024;

/// The request body of one stream. Clones share the counts.
#[derive(Debug)]
pub(super) struct CountedBody<B = tonic::body::Body>(Arc<Mutex<BodyState<B>>>);

#[derive(Debug)]
struct BodyState<B> {
    body: B,
    /// Bytes that are not decoded yet. gRPC's prefix of five bytes before each message counts too.
    pending: usize,
    /// The bytes charged to the budget.
    reservation: Reservation,
    /// Whether the budget refused more bytes.
    over_budget: bool,
    /// Whether the peer closed its half of the stream. A reset does not set this.
    ended: bool,
}

impl<B> Clone for CountedBody<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> CountedBody<B> {
    /// Wraps a body. `reservation` must be empty.
    pub(super) fn new(body: B, reservation: Reservation) -> Self {
        let state = BodyState { body, pending: 0, reservation, over_budget: false, ended: false };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Subtracts the bytes of a decoded message.
    pub(super) fn message_decoded(&self, bytes: usize) {
        let mut state = self.lock();
        state.pending = state.pending.saturating_sub(bytes);
    }

    /// Whether the peer closed its half in the middle of a message. tonic reports an end right after the prefix as an end
    /// between messages.
    pub(super) fn ended_inside_message(&self) -> bool {
        let state = self.lock();
        state.ended && state.pending > 0
    }

    /// Releases the reservation, because tonic has dropped what it had read.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.pending = 0;
        state.reservation.release_all();
    }

    /// Whether an incomplete message has a reservation.
    pub(super) fn has_partial_message(&self) -> bool {
        self.lock().reservation.bytes() > 0
    }

    /// Takes the reservation of the last decoded message, unless bytes of another one follow.
    pub(super) fn take_reservation(&self) -> Option<Reservation> {
        let mut state = self.lock();
        if state.pending > 0 {
            return None;
        }
        let bytes = state.reservation.bytes();
        state.reservation.split(bytes)
    }

    /// Whether the body ended because the budget had no room for a message.
    pub(super) fn is_over_budget(&self) -> bool {
        self.lock().over_budget
    }

    fn lock(&self) -> MutexGuard<'_, BodyState<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> BodyState<B> {
    /// Counts bytes that tonic takes. Returns false if the budget has no room for them.
    fn add(&mut self, bytes: usize) -> bool {
        self.pending += bytes;
        let more = (self.pending as u64).saturating_sub(self.reservation.bytes());
        if self.pending > UNCOUNTED && more > 0 && !self.reservation.try_grow(more) {
            self.over_budget = true;
            self.reservation.release_all();
            return false;
        }
        true
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> CountedBody<B> {
    /// Reads the body to its end without tonic, and drops it.
    pub(super) async fn discard_rest(self) {
        while let Some(Ok(_)) = poll_fn(|context| self.lock().poll_frame(context)).await {}
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> BodyState<B> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Many tiny frames may be ready at once. tokio's budget lets the thread's other streams run in between.
        let coop = ready!(poll_proceed(context));
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        coop.made_progress();
        Poll::Ready(frame)
    }
}

/// The body that tonic reads.
impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut state = self.lock();
        let frame = ready!(state.poll_frame(context));
        match frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) if !state.add(data.len()) => {
                return Poll::Ready(Some(Err(Status::resource_exhausted(Violation::OverBudget.to_string()))));
            }
            // gRPC requests have no trailers. HTTP trailers end the body.
            Some(Ok(None)) | None => state.ended = true,
            Some(Ok(Some(_)) | Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

#[cfg(test)]
mod tests;
