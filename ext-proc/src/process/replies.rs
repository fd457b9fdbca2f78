//! Our half of a stream: replies in order, and an end that is never OK by accident.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingResponse;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

use crate::metrics::OpenStream;

/// Messages between a machine and the connection. Small: they are the bytes that no budget counts.
const QUEUE: usize = 2;

/// How a stream ends: `Ok` only if its request has all it needs.
pub(super) type End = Result<(), Status>;

/// What the connection sends. It lives until the last byte is handed over, and so does the count of open streams.
#[derive(Debug)]
pub struct Replies {
    queue: mpsc::Receiver<ProcessingResponse>,
    end: Option<oneshot::Receiver<End>>,
    _open: OpenStream,
}

/// A queue of replies, the way to end them, and what the connection reads.
///
/// The end is not in the queue, so that it waits for nobody to read; it is told once the queue is empty and closed.
pub(super) fn channel(open: OpenStream) -> (mpsc::Sender<ProcessingResponse>, oneshot::Sender<End>, Replies) {
    let (replies, queue) = mpsc::channel(QUEUE);
    let (end, ended) = oneshot::channel();
    (replies, end, Replies { queue, end: Some(ended), _open: open })
}

impl Stream for Replies {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(reply) = ready!(self.queue.poll_recv(context)) {
            return Poll::Ready(Some(Ok(reply)));
        }
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(end).poll(context));
        self.end = None;
        Poll::Ready(match ended {
            Ok(Ok(())) => None,
            Ok(Err(status)) => Some(Err(status)),
            // The task that answers ended in a panic. After an OK, Envoy would let the request pass.
            Err(_) => Some(Err(Status::internal("the request's task failed"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;
    use tonic::Code;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn the_end_follows_the_replies() {
        let metrics = Metrics::new().unwrap();
        for (said, code) in [(Ok(()), None), (Err(Status::aborted("")), Some(Code::Aborted))] {
            let (queue, end, mut replies) = channel(metrics.stream());
            queue.try_send(ProcessingResponse::default()).unwrap();
            end.send(said).unwrap();
            drop(queue);
            assert!(replies.next().await.unwrap().is_ok());
            assert_eq!(replies.next().await.map(|end| end.unwrap_err().code()), code);
            assert!(replies.next().await.is_none());
            assert_eq!(metrics.open_streams(), 1);
        }
        assert_eq!(metrics.open_streams(), 0);
    }

    #[tokio::test]
    async fn a_task_that_fails_ends_with_an_error() {
        let (queue, end, mut replies) = channel(Metrics::new().unwrap().stream());
        drop((queue, end));
        assert_eq!(replies.next().await.unwrap().unwrap_err().code(), Code::Internal);
        assert!(replies.next().await.is_none());
    }
}
