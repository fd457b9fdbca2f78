//! Our half of a stream: replies in order, and an end that is never OK by accident.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::Status;

use crate::metrics::OpenStream;
use crate::process::codec::Sent;
use crate::process::counted_body::Intake;
use crate::process::handler::Run;
use crate::process::send_queue::Outbox;
use crate::process::stall_watchdog::Stalled;

/// The messages of our response. It lives until the last one is handed over, and so does the count of open streams.
///
/// It is the stream's only task as well: whoever sends what we say also lets us read. A peer that takes nothing gets
/// nothing read. If it panics, the connection resets the stream, which is no OK either.
pub struct Replies {
    outbox: Arc<Outbox>,
    run: Arc<Run>,
    ended: bool,
    sending: Sending,
    intake: Intake,
    stalled: Stalled,
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
    Sent,
}

impl Replies {
    /// What `run` puts into the outbox, and then its end. `intake` is where it reads.
    pub(super) fn new(outbox: Arc<Outbox>, run: Run, intake: Intake, stalled: Stalled, open: OpenStream) -> Self {
        Self { outbox, run: Arc::new(run), ended: false, sending: Sending::Nothing, intake, stalled, _open: open }
    }
}

impl Replies {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Sent, Status>>> {
        loop {
            match self.outbox.pop() {
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
                        self.outbox.fail(status);
                    }
                }
                Poll::Pending if self.outbox.is_empty() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

impl Stream for Replies {
    type Item = Result<Sent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.poll(context);
        self.sending = self.sending.after(polled.is_ready());
        if self.outbox.polled(self.intake.is_midway(), self.sending == Sending::Nothing, context.waker()) {
            self.stalled.watch(&self.outbox, &self.run);
        }
        polled
    }
}

impl Sending {
    /// What may be on its way after another poll, which had a message or not.
    fn after(self, message: bool) -> Self {
        match self {
            _ if message => Self::Collected,
            Self::Collected => Self::Sent,
            Self::Sent | Self::Nothing => Self::Nothing,
        }
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Replies").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
