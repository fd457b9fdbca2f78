//! Byte and frame echoes: upgraded connections and gRPC calls.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Version};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};

use super::ledger::Entry;
use super::service::is_whole;

/// Sends every byte of an upgraded connection back until the peer closes it.
pub(super) async fn echo_bytes(request: Request<Incoming>) {
    if let Ok(connection) = hyper::upgrade::on(request).await {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(connection));
        // A tunnel may end with a reset.
        let _ = tokio::io::copy(&mut read, &mut write).await;
    }
}

/// A response body that echoes the request body as it arrives, with the trailer `grpc-status: 0`.
#[derive(Debug)]
pub(super) struct GrpcEcho {
    incoming: Incoming,
    version: Version,
    entry: Entry,
    received: u64,
    hash: Sha256,
    ended: bool,
}

impl GrpcEcho {
    pub(super) fn new(incoming: Incoming, version: Version, entry: Entry) -> Self {
        Self { incoming, version, entry, received: 0, hash: Sha256::new(), ended: false }
    }

    fn end(&mut self) -> Frame<Bytes> {
        self.ended = true;
        let sha256 = crate::hex(&std::mem::take(&mut self.hash).finalize());
        self.entry.complete(sha256, Vec::new());
        Frame::trailers(HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]))
    }
}

impl Body for GrpcEcho {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
            Some(Ok(frame)) if frame.is_data() => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None if !is_whole(&self.incoming, self.version) => return Poll::Ready(None),
            Some(Ok(_)) | None => self.end(),
        };
        if let Some(data) = frame.data_ref() {
            self.hash.update(data);
            self.received += data.len() as u64;
        }
        let received = self.received;
        self.entry.progress(received);
        Poll::Ready(Some(Ok(frame)))
    }
}
