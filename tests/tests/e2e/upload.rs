//! A request whose body is sent in parts, over either protocol, with or without a Content-Length.

use anyhow::Result;
use bytes::Bytes;
use cellgate_tests::client::{Http1, Http2, Http2Stream, Request, Response};
use cellgate_tests::stack::Stack;

/// How the request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// HTTP/1.1 with `Content-Length`.
    Http1,
    /// HTTP/1.1 in chunks.
    Http1Chunked,
    /// HTTP/2 with `content-length`.
    Http2,
    /// HTTP/2 without.
    Http2Unsized,
}

impl Framing {
    pub(crate) const ALL: [Framing; 4] = [Framing::Http1, Framing::Http1Chunked, Framing::Http2, Framing::Http2Unsized];

    /// Whether the request has a Content-Length.
    pub(crate) fn has_length(self) -> bool {
        matches!(self, Framing::Http1 | Framing::Http2)
    }
}

/// A request in progress whose head has been sent.
pub(crate) enum Upload {
    Http1 { client: Http1, chunked: bool },
    Http2 { _client: Http2, stream: Http2Stream },
}

impl Upload {
    /// Sends the head of `POST path`, for a JSON body of `length` bytes.
    pub(crate) async fn open(stack: &Stack, framing: Framing, path: &str, length: usize) -> Self {
        Self::open_with(stack, framing, Request::post(path).header("content-type", "application/json"), length).await
    }

    /// Sends the head of any request.
    pub(crate) async fn open_with(stack: &Stack, framing: Framing, request: Request, length: usize) -> Self {
        let request = match framing {
            Framing::Http1 | Framing::Http2 => request.header("content-length", length.to_string()),
            Framing::Http1Chunked => request.header("transfer-encoding", "chunked"),
            Framing::Http2Unsized => request,
        };
        match framing {
            Framing::Http1 | Framing::Http1Chunked => {
                let mut client = stack.connect().await;
                client.write(request.http1_head()).await.unwrap();
                Upload::Http1 { client, chunked: framing == Framing::Http1Chunked }
            }
            Framing::Http2 | Framing::Http2Unsized => {
                let client = stack.connect_h2().await;
                let stream = client.open(&request).await.unwrap();
                Upload::Http2 { _client: client, stream }
            }
        }
    }

    /// Sends a part of the body: in HTTP/1.1 one write, and one chunk if it is chunked. Ignores a write error, because
    /// an early response, which shows the cause, may have closed the connection.
    pub(crate) async fn send(&mut self, part: &[u8]) {
        let sent = match self {
            Upload::Http1 { client, chunked: false } => client.write(part).await,
            Upload::Http1 { client, chunked: true } => {
                let size = format!("{:x}\r\n", part.len());
                client.write([size.as_bytes(), part, b"\r\n"].concat()).await
            }
            Upload::Http2 { stream, .. } => stream.data(Bytes::copy_from_slice(part)).await,
        };
        drop(sent);
    }

    /// Ends the body and reads the response. An early response may have closed the connection already.
    pub(crate) async fn finish(mut self) -> Result<Response> {
        match &mut self {
            Upload::Http1 { client, chunked: true } => drop(client.write("0\r\n\r\n").await),
            Upload::Http1 { .. } => (),
            Upload::Http2 { stream, .. } => drop(stream.finish("")),
        }
        self.response().await
    }

    /// Reads the response to an incomplete body.
    pub(crate) async fn response(self) -> Result<Response> {
        match self {
            Upload::Http1 { mut client, .. } => client.response("POST").await,
            Upload::Http2 { stream, _client } => stream.response().await,
        }
    }
}
