//! Our half of a stream: replies in order, and an end that is never OK by accident.

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

/// The messages of our response. It lives until the last one is handed over, and so does the count of open streams.
///
/// It is the stream's only task as well: whoever sends what we say also lets us read. A peer that takes nothing gets
/// nothing read. If it panics, the connection resets the stream, which is no OK either.
pub struct ResponseStream {
    send_queue: Arc<SendQueue>,
    run: Arc<Handler>,
    ended: bool,
    sending: Sending,
    counted_body: CountedBody,
    watchdog: StallWatchdog,
    _open: OpenStream,
}

/// What of our messages may not have been taken. tonic collects them until there is none, then hyper sends what was
/// collected, and does not poll us before the peer has let it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Nothing,
    /// With tonic.
    Collected,
    /// With hyper.
    OutgoingMessage,
}

impl ResponseStream {
    /// What `run` puts into the send_queue, and then its end. `counted_body` is where it reads.
    pub(super) fn new(
        send_queue: Arc<SendQueue>,
        run: Handler,
        counted_body: CountedBody,
        watchdog: StallWatchdog,
        open: OpenStream,
    ) -> Self {
        Self {
            send_queue,
            run: Arc::new(run),
            ended: false,
            sending: Sending::Nothing,
            counted_body,
            watchdog,
            _open: open,
        }
    }
}

impl ResponseStream {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<OutgoingMessage, Status>>> {
        loop {
            match self.send_queue.pop() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) if self.ended => return Poll::Ready(None),
                Ok(None) => {}
                Err(status) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            match self.run.poll(context) {
                Poll::Ready(end) => {
                    self.ended = true;
                    if let Err(status) = end {
                        self.send_queue.fail(status);
                    }
                }
                Poll::Pending if self.send_queue.is_empty() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

impl Stream for ResponseStream {
    type Item = Result<OutgoingMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.poll(context);
        self.sending = self.sending.after(polled.is_ready());
        if self.send_queue.record_poll(
            self.counted_body.has_partial_message(),
            self.sending == Sending::Nothing,
            context.waker(),
        ) {
            self.watchdog.watch(&self.send_queue, &self.run);
        }
        polled
    }
}

impl Sending {
    /// What may be on its way after another poll, which had a message or not.
    fn after(self, message: bool) -> Self {
        match self {
            _ if message => Self::Collected,
            Self::Collected => Self::OutgoingMessage,
            Self::OutgoingMessage | Self::Nothing => Self::Nothing,
        }
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ResponseStream").field("send_queue", &self.send_queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
