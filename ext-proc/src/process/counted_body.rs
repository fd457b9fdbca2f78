//! A stream's request body, which counts the bytes that tonic has read and not decoded yet.
//!
//! tonic assembles a message before it decodes it, and a `BUFFERED` body is one message. [`CountedBody`] wraps the body
//! that tonic reads. It counts the bytes that tonic takes; the decoder reports the bytes of each message. The difference
//! is charged to the byte budget, and a complete message takes its reservation with it.
//!
//! A frame that does not fit waits here. Nothing is read behind it, so HTTP/2's window closes and the peer stops sending.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::coop::poll_proceed;
use tonic::Status;

use crate::budget::{Growth, Reservation, Wait};
use crate::process::event::Violation;
use crate::process::message_framing::MessageFraming;

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
    framing: MessageFraming,
    /// The bytes charged to the budget.
    reservation: Reservation,
    /// A frame that waits for the budget.
    waiting: Option<(Wait, Bytes)>,
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
        let state = BodyState {
            body,
            pending: 0,
            framing: MessageFraming::default(),
            reservation,
            waiting: None,
            over_budget: false,
            ended: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Subtracts the bytes of a decoded message.
    pub(super) fn message_decoded(&self, bytes: usize) {
        let mut state = self.lock();
        state.pending = state.pending.saturating_sub(bytes);
        if state.reservation.bytes() > 0 {
            // The bytes of the next message that came with it are fewer than a frame.
            state.reservation.message_ended();
        }
    }

    /// An empty reservation of the stream.
    pub(super) fn reservation(&self) -> Reservation {
        self.lock().reservation.another()
    }

    /// Whether the peer closed its half in the middle of a message. tonic reports an end right after the prefix as an end
    /// between messages.
    pub(super) fn ended_inside_message(&self) -> bool {
        let state = self.lock();
        state.ended && state.pending > 0
    }

    /// Releases the reservation, because tonic has dropped what it had read, and nothing reads on.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.pending = 0;
        state.discard_message();
        // The account lives until hyper drops the stream, which can be much later. Until then, an undecided stream would
        // keep its place and its demand.
        state.reservation.settle();
    }

    /// Whether an incomplete message has a reservation, or the stream waits for one. Only another poll of the stream gives
    /// these back. The end of a wait brings about one, but only if the stream's answers are `sent`: before, hyper does not
    /// poll it.
    pub(super) fn needs_poll(&self, sent: bool) -> bool {
        let state = self.lock();
        if state.reservation.is_waiting() { !sent } else { state.reservation.bytes() > 0 }
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

    /// Whether the body ended because the budget had no room for a message in time.
    pub(super) fn is_over_budget(&self) -> bool {
        self.lock().over_budget
    }

    fn lock(&self) -> MutexGuard<'_, BodyState<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> BodyState<B> {
    /// Counts the bytes of a frame. Returns the frame if tonic may have it. `None`: it waits for the budget.
    fn admit(&mut self, data: Bytes) -> Option<Result<Bytes, Status>> {
        self.pending += data.len();
        let rest = self.framing.read(&data);
        let more = (self.pending as u64).saturating_sub(self.reservation.bytes());
        if self.pending <= UNCOUNTED || more == 0 {
            return Some(Ok(data));
        }
        match self.reservation.grow_message(more, more.saturating_add(rest)) {
            Growth::Grown => Some(Ok(data)),
            Growth::Waits(wait) => {
                self.waiting = Some((wait, data));
                None
            }
            Growth::Refused => Some(Err(self.refuse())),
        }
    }

    /// Waits with the frame that does not fit.
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let Some((wait, _)) = &mut self.waiting else { return Poll::Ready(None) };
        let granted = ready!(Pin::new(wait).poll(context));
        let data = self.waiting.take().map(|(_, data)| data).unwrap_or_default();
        Poll::Ready(Some(match granted {
            Some(granted) => {
                self.reservation.merge(granted);
                Ok(data)
            }
            None => Err(self.refuse()),
        }))
    }

    fn refuse(&mut self) -> Status {
        self.over_budget = true;
        self.discard_message();
        Status::resource_exhausted(Violation::OverBudget.to_string())
    }

    fn discard_message(&mut self) {
        self.waiting = None;
        self.reservation.message_ended();
        self.reservation.release_all();
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
        if let Some(data) = ready!(state.poll_waiting(context)) {
            return Poll::Ready(Some(data.map(Frame::data)));
        }
        let frame = ready!(state.poll_frame(context));
        let data = match frame {
            Some(Ok(frame)) => frame.into_data(),
            Some(Err(status)) => return Poll::Ready(Some(Err(status))),
            None => {
                state.ended = true;
                return Poll::Ready(None);
            }
        };
        match data.map(|data| state.admit(data)) {
            Ok(Some(admitted)) => Poll::Ready(Some(admitted.map(Frame::data))),
            // Registers the waker.
            Ok(None) => state.poll_waiting(context).map(|waited| waited.map(|data| data.map(Frame::data))),
            // gRPC requests have no trailers. HTTP trailers end the body.
            Err(trailers) => {
                state.ended = true;
                Poll::Ready(Some(Ok(trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.lock();
        state.waiting.is_none() && state.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

#[cfg(test)]
mod tests;
