//! Messages of one stream that tonic has not taken yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use opentelemetry::trace::{SpanId, TraceId};
use tokio::time::Instant;
use tonic::Status;
use tracing::field::{DisplayValue, display};

use crate::budget::Reservation;
use crate::process::codec::OutgoingMessage;
use crate::traces::context::SpanIds;

/// The messages to send. The lock is held briefly, and only [`StallWatchdog`](super::stall_watchdog::StallWatchdog)
/// contends for it.
#[derive(Debug, Default)]
pub(super) struct SendQueue(Mutex<QueueState>);

/// Whether a stream that reserves bytes of the budget makes progress.
#[derive(Clone, Debug)]
pub(super) enum StreamProgress {
    /// It was polled recently.
    Active,
    /// It reserves nothing.
    Idle,
    /// It was not polled for too long, and ends with this status.
    Stalled(Status),
}

/// The names of a request in log lines.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestIds {
    /// Its `x-request-id`.
    pub request_id: String,
    /// Its span, or that of Envoy.
    pub trace: Option<SpanIds>,
}

#[derive(Debug, Default)]
struct QueueState {
    ids: RequestIds,
    messages: VecDeque<QueuedMessage>,
    /// How many of the messages have a reservation.
    reservations: usize,
    /// Whether the state machine reserves bytes of the budget.
    bytes_held: bool,
    /// The time of the last poll and its waker, if the stream must be polled again.
    last_poll: Option<(Instant, Waker)>,
    /// Whether the watchdog has the stream on its list.
    watched: bool,
    /// The status that ends the stream after the messages.
    failure: Option<Status>,
    /// Whether the watchdog has ended the stream.
    stalled: bool,
}

#[derive(Debug)]
struct QueuedMessage {
    message: OutgoingMessage,
    reservation: Option<Reservation>,
}

impl RequestIds {
    /// The fields `trace_id` and `span_id` of a log line.
    pub(super) fn trace_fields(&self) -> (Option<DisplayValue<TraceId>>, Option<DisplayValue<SpanId>>) {
        (self.trace.map(|ids| display(ids.trace)), self.trace.map(|ids| display(ids.span)))
    }
}

impl SendQueue {
    /// Sets the request's ID for log lines.
    pub(super) fn set_request_id(&self, request_id: String) {
        self.lock().ids.request_id = request_id;
    }

    /// Sets the ids of the request's trace for log lines.
    pub(super) fn set_trace(&self, trace: Option<SpanIds>) {
        self.lock().ids.trace = trace;
    }

    /// The names of the request in log lines.
    pub(super) fn ids(&self) -> RequestIds {
        self.lock().ids.clone()
    }

    /// The request's ID.
    pub(super) fn request_id(&self) -> String {
        self.lock().ids.request_id.clone()
    }

    /// Appends a message. `reservation` covers its chunk of the body until tonic takes it.
    pub(super) fn push(&self, message: OutgoingMessage, reservation: Option<Reservation>) {
        let mut queue = self.lock();
        queue.reservations += usize::from(reservation.is_some());
        queue.messages.push_back(QueuedMessage { message, reservation });
    }

    /// Whether it contains neither a message nor a failure.
    pub(super) fn is_empty(&self) -> bool {
        let queue = self.lock();
        queue.messages.is_empty() && queue.failure.is_none()
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// The stream has failed and all messages are taken. Returned once.
    pub(super) fn pop(&self) -> Result<Option<OutgoingMessage>, Status> {
        let mut queue = self.lock();
        let Some(QueuedMessage { message, reservation }) = queue.messages.pop_front() else {
            return queue.failure.take().map_or(Ok(None), Err);
        };
        queue.reservations -= usize::from(reservation.is_some());
        Ok(Some(message))
    }

    /// Records whether the state machine reserves bytes of the budget.
    pub(super) fn set_bytes_held(&self, bytes_held: bool) {
        self.lock().bytes_held = bytes_held;
    }

    /// Records a poll of the stream. Returns true if the watchdog must begin to watch it, because it reserves bytes that
    /// only another poll would release: for a message (`body_needs_poll`), for queued chunks, or in the state machine. Once all
    /// messages are `sent`, the decision timeout wakes the stream, so the state machine needs no watchdog.
    pub(super) fn record_poll(&self, body_needs_poll: bool, sent: bool, waker: &Waker) -> bool {
        let mut queue = self.lock();
        if !(body_needs_poll || queue.reservations > 0 || queue.bytes_held && !sent) {
            queue.last_poll = None;
            return false;
        }
        queue.last_poll = Some((Instant::now(), waker.clone()));
        !std::mem::replace(&mut queue.watched, true)
    }

    /// Ends the stream with an error after the queued messages.
    pub(super) fn fail(&self, status: Status) {
        self.lock().failure = Some(status);
    }

    /// Checks whether the stream was polled within `timeout`. If not, it fails, and its messages are dropped.
    pub(super) fn check_progress(&self, now: Instant, timeout: Duration) -> StreamProgress {
        let mut queue = self.lock();
        let Some((last_poll, _)) = &queue.last_poll else {
            queue.watched = false;
            return StreamProgress::Idle;
        };
        if now.duration_since(*last_poll) < timeout {
            return StreamProgress::Active;
        }
        let status = Status::deadline_exceeded(
            "the peer stalled: it neither completed its message nor read the replies within --decision-timeout",
        );
        let ids = std::mem::take(&mut queue.ids);
        let failed = QueueState { ids, failure: Some(status.clone()), stalled: true, ..QueueState::default() };
        // A stream that waits only for more bytes must be polled to see the failure.
        if let Some((_, waker)) = std::mem::replace(&mut *queue, failed).last_poll {
            waker.wake();
        }
        StreamProgress::Stalled(status)
    }

    /// Whether the watchdog has ended the stream, because its peer stalled.
    pub(super) fn is_stalled(&self) -> bool {
        self.lock().stalled
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
