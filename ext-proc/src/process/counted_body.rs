//! What a stream's peer has sent and tonic has not handed over yet, counted.
//!
//! tonic puts a message together before it decodes it, and a `BUFFERED` body is one message. [`CountedBody`] stands between
//! the connection and tonic: it counts the bytes that go in, the decoder says how many came out as messages, and what is
//! in between takes its share of the process's byte budget. A message takes its share with it.

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

/// What is put together is counted beyond this many bytes: a request's head has fewer, and must not fail for want of
/// room that other requests' bodies take.
const UNCOUNTED: usize = 16 * 1024;

/// The bytes of one stream on their way to its messages. Cheap to clone; all clones count together.
#[derive(Debug)]
pub(super) struct CountedBody<B = tonic::body::Body>(Arc<Mutex<BodyState<B>>>);

#[derive(Debug)]
struct BodyState<B> {
    body: B,
    /// Bytes that are no message yet, gRPC's five bytes in front of each message among them.
    pending: usize,
    /// Their share of the budget.
    reservation: Reservation,
    /// Whether there was none left.
    full: bool,
    /// Whether the peer has said all, which a reset does not say.
    ended: bool,
}

impl<B> Clone for CountedBody<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> CountedBody<B> {
    /// Counts what comes from `body`. `hold` is a share of the process's byte budget.
    pub(super) fn new(body: B, reservation: Reservation) -> Self {
        Self(Arc::new(Mutex::new(BodyState { body, pending: 0, reservation, full: false, ended: false })))
    }

    /// This many bytes have become a message.
    pub(super) fn message_decoded(&self, bytes: usize) {
        let mut state = self.state();
        state.pending = state.pending.saturating_sub(bytes);
    }

    /// Whether the peer ended its half in the middle of a message. tonic takes an end behind the first five bytes for
    /// one between messages.
    pub(super) fn ended_inside_message(&self) -> bool {
        let state = self.state();
        state.ended && state.pending > 0
    }

    /// Nothing of what came is kept any more.
    pub(super) fn discard(&self) {
        let mut state = self.state();
        state.pending = 0;
        state.reservation.release_all();
    }

    /// Whether a message that has not come completely has a share of the budget.
    pub(super) fn has_partial_message(&self) -> bool {
        self.state().reservation.bytes() > 0
    }

    /// The share of the message that was taken last, if it has one and nothing has come behind it.
    pub(super) fn take_reservation(&self) -> Option<Reservation> {
        let mut state = self.state();
        if state.pending > 0 {
            return None;
        }
        let bytes = state.reservation.bytes();
        state.reservation.split(bytes)
    }

    /// Whether it ended because there was no room to put a message together.
    pub(super) fn is_over_budget(&self) -> bool {
        self.state().full
    }

    fn state(&self) -> MutexGuard<'_, BodyState<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> BodyState<B> {
    /// Counts bytes that came. False if there is no room for them.
    fn add(&mut self, bytes: usize) -> bool {
        self.pending += bytes;
        let more = (self.pending as u64).saturating_sub(self.reservation.bytes());
        if self.pending > UNCOUNTED && more > 0 && !self.reservation.try_grow(more) {
            self.full = true;
            self.reservation.release_all();
            return false;
        }
        true
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> CountedBody<B> {
    /// Reads to the end, past tonic, and keeps nothing.
    pub(super) async fn discard_rest(self) {
        while let Some(Ok(_)) = poll_fn(|context| self.state().poll_frame(context)).await {}
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> BodyState<B> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // A window full of tiny frames is read in turns with the other streams of the thread.
        let coop = ready!(poll_proceed(context));
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        coop.made_progress();
        Poll::Ready(frame)
    }
}

/// What tonic reads.
impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut state = self.state();
        let frame = ready!(state.poll_frame(context));
        match frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) if !state.add(data.len()) => {
                return Poll::Ready(Some(Err(Status::resource_exhausted(Violation::OverBudget.to_string()))));
            }
            // Trailers mean nothing in a request, and end it.
            Some(Ok(None)) | None => state.ended = true,
            Some(Ok(Some(_)) | Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}

#[cfg(test)]
mod tests;
