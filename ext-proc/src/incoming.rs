//! The accept loop's stream of connections. It waits when the system runs out of resources.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;
use tokio_stream::Stream;

use crate::listen::Listener;
use crate::socket::Socket;

/// The pause after a failed `accept`, most likely for lack of file descriptors. Retrying at once would fail again and take
/// time from the connections whose end would help.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of a listener. The stream never ends and never returns an error.
#[derive(Debug)]
pub(crate) struct Incoming {
    listener: Listener,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether the last attempt failed, so that repeated failures are logged once.
    failing: bool,
}

impl Incoming {
    /// Accepts from a bound listener.
    #[must_use]
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, pause: None, failing: false }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Socket>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok(socket) => {
                    self.failing = false;
                    return Poll::Ready(Some(Ok(socket)));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(event = "accept_failed", %error, "cannot accept connections; retrying until it works");
                    }
                    self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
        }
    }
}

/// Whether the error belongs to a connection that ended before it was accepted. The next `accept` may succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
