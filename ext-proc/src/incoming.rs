//! Accepted connections, and patience when there can be none.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_stream::Stream;

/// How long to wait when accepting fails for want of something, file descriptors most likely. It would fail again at
/// once, and trying without a pause would take the time of those that could end and so help.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of a listener. Never ends, and never yields an error.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpListener,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether the last attempt failed: told once, not ten times a second.
    failing: bool,
}

impl Incoming {
    /// Accepts from a bound listener.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, pause: None, failing: false }
    }
}

impl Stream for Incoming {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok((connection, _)) => {
                    self.failing = false;
                    // A small answer must not wait for the acknowledgement of the one before.
                    let _slower = connection.set_nodelay(true);
                    return Poll::Ready(Some(Ok(connection)));
                }
                Err(error) if is_its_own(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%error, "cannot accept connections; trying until it works");
                    }
                    self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
        }
    }
}

/// Whether an error concerns one connection, which was gone before it was accepted, and not the next.
fn is_its_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
