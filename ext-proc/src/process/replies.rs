//! Our half of a stream: replies in order, and an end that is never OK by accident.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame};
use tonic::Status;

use crate::metrics::OpenStream;
use crate::process::outbox::Outbox;

/// How a stream ends: `Ok` only if its request has all it needs.
pub(super) type End = Result<(), Status>;

/// What answers a stream, into an outbox. It must be pending only when it waits for something else than the outbox, or
/// when that is full: it is polled again once the outbox is empty.
pub(super) type Run = Pin<Box<dyn Future<Output = End> + Send>>;

/// The body of our response. It lives until the last byte is handed over, and so does the count of open streams.
///
/// It is the stream's only task as well: whoever sends what we say also lets us read. A peer that takes nothing gets
/// nothing read. If it panics, the connection resets the stream, which is no OK either.
pub struct Replies {
    outbox: Arc<Outbox>,
    state: State,
    _open: OpenStream,
}

enum State {
    Running(Run),
    Ending(End),
    Ended,
}

impl Replies {
    /// What `run` puts into the outbox, and then its end.
    pub(super) fn new(outbox: Arc<Outbox>, run: Run, open: OpenStream) -> Self {
        Self { outbox, state: State::Running(run), _open: open }
    }
}

impl Body for Replies {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let ended = !matches!(self.state, State::Running(_));
            match self.outbox.pop(ended) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(Frame::data(frame)))),
                Ok(None) => {}
                Err(status) => self.state = State::Ending(Err(status)),
            }
            match &mut self.state {
                State::Running(run) => match run.as_mut().poll(context) {
                    Poll::Ready(end) => self.state = State::Ending(end),
                    Poll::Pending => match self.outbox.pop(true) {
                        Ok(Some(frame)) => return Poll::Ready(Some(Ok(Frame::data(frame)))),
                        Ok(None) => return Poll::Pending,
                        Err(status) => self.state = State::Ending(Err(status)),
                    },
                },
                State::Ending(_) => {
                    let State::Ending(end) = std::mem::replace(&mut self.state, State::Ended) else { continue };
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers(&end)))));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

impl fmt::Debug for Replies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Replies").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

fn trailers(end: &End) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    let ok = Status::ok("");
    let status = end.as_ref().err().unwrap_or(&ok);
    if status.add_header(&mut trailers).is_err() {
        // Only ever for a message that no header can hold; ours are text. Without a status, gRPC takes it for an error.
        trailers.clear();
    }
    trailers
}

#[cfg(test)]
mod tests;
