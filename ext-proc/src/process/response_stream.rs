//! The response half of a stream, which also drives the request half.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::Status;

use crate::metrics::OpenStream;
use crate::process::codec::OutgoingMessage;
use crate::process::counted_body::CountedBody;
use crate::process::handler::Handler;
use crate::process::send_queue::SendQueue;
use crate::process::stall_watchdog::StallWatchdog;

/// The messages of the response, in order, and then the stream's status. The stream counts as open until tonic drops it.
///
/// No task of its own runs for a stream: when tonic polls for a message to send, the handler reads and decides. A peer that
/// does not read replies is therefore not read either. If the handler panics, the connection resets the stream, and Envoy
/// does not take that for OK.
pub(crate) struct ResponseStream {
    queue: Arc<SendQueue>,
    handler: Arc<Handler>,
    ended: bool,
    delivery: Delivery,
    request_body: CountedBody,
    watchdog: StallWatchdog,
    _open: OpenStream,
}

/// How far messages have come on their way to the peer. tonic collects messages until the stream is pending. hyper then
/// sends them, and polls the stream again only when the peer's window has let them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// No message is on its way.
    Done,
    /// tonic collects messages.
    Collecting,
    /// hyper sends them.
    Sending,
}

impl ResponseStream {
    /// Streams the messages that `handler` puts into `queue`, and then its result. `request_body` is the body it reads.
    pub(super) fn new(
        queue: Arc<SendQueue>,
        handler: Handler,
        request_body: CountedBody,
        watchdog: StallWatchdog,
        open: OpenStream,
    ) -> Self {
        let handler = Arc::new(handler);
        Self { queue, handler, ended: false, delivery: Delivery::Done, request_body, watchdog, _open: open }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<OutgoingMessage, Status>>> {
        loop {
            match self.queue.pop() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) if self.ended => return Poll::Ready(None),
                Ok(None) => {}
                Err(status) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            match self.handler.poll(context) {
                Poll::Ready(result) => {
                    self.ended = true;
                    if let Err(status) = result {
                        self.queue.fail(status);
                    }
                }
                Poll::Pending if self.queue.is_empty() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

impl Stream for ResponseStream {
    type Item = Result<OutgoingMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.poll(context);
        self.delivery = self.delivery.after_poll(polled.is_ready());
        let sent = self.delivery == Delivery::Done;
        if self.queue.record_poll(self.request_body.needs_poll(sent), sent, context.waker()) {
            self.watchdog.watch(&self.queue, &self.handler);
        }
        polled
    }
}

impl Delivery {
    /// The delivery after another poll, which returned a message or was pending.
    fn after_poll(self, ready: bool) -> Self {
        match self {
            _ if ready => Self::Collecting,
            Self::Collecting => Self::Sending,
            Self::Sending | Self::Done => Self::Done,
        }
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ResponseStream").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
