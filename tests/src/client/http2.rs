//! HTTP/2 with prior knowledge. The test controls the order and the time of frames.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Body, Request, Response, latin1};
use crate::wait;

/// The connection's flow-control window for responses.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

/// One request in progress.
#[derive(Debug)]
pub struct Http2Stream {
    sink: SendStream<Bytes>,
    response: ResponseFuture,
}

impl Http2 {
    /// Connects and exchanges settings.
    ///
    /// # Errors
    /// When the connection is refused or the peer does not support HTTP/2.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("{address}"))?;
        socket.set_nodelay(true)?;
        // All responses of a connection share this window. Envoy truncates the body of a refusal if the window is full
        // (docs/envoy.md). Many responses at once on a busy machine fill the default window of 64 KiB.
        let (requests, connection) =
            h2::client::Builder::new().initial_connection_window_size(CONNECTION_WINDOW).handshake(socket).await?;
        let driver = tokio::spawn(async move {
            // Every stream reports the connection's error to the test.
            let _ = connection.await;
        });
        Ok(Self { requests, driver })
    }

    /// Sends only the head. The caller sends the body.
    ///
    /// # Errors
    /// When the head is invalid or the connection is closed.
    pub async fn open(&self, request: &Request) -> Result<Http2Stream> {
        self.start(request, false).await
    }

    /// Sends a request with its body and trailers, and reads the response.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn send(&self, request: &Request) -> Result<Response> {
        let bodiless = matches!(request.body, Body::None) && request.trailers.is_empty();
        let Http2Stream { sink, response } = self.start(request, bodiless).await?;
        let mut sink = Sink(sink);
        let mut writing = std::pin::pin!(async move { if bodiless { Ok(()) } else { sink.body(request).await } });
        let mut reading = std::pin::pin!(receive(response));
        let both = async {
            tokio::select! {
                answer = &mut reading => answer,
                // A body that is rejected midway is not an error: the response shows the reason.
                _ = &mut writing => reading.await,
            }
        };
        wait::within("the response", both).await
    }

    async fn start(&self, request: &Request, end: bool) -> Result<Http2Stream> {
        let mut requests = wait::within("a free stream", async { Ok(self.requests.clone().ready().await?) }).await?;
        let (response, sink) = requests.send_request(request.to_http2_head()?, end)?;
        Ok(Http2Stream { sink, response })
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http2Stream {
    /// Sends bytes as flow control allows.
    ///
    /// # Errors
    /// When the stream is reset or the peer stops reading.
    pub async fn data(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        send_data(&mut self.sink, bytes.into()).await
    }

    /// Sends one last DATA frame, which may be empty, with END_STREAM.
    ///
    /// # Errors
    /// When the stream is reset.
    pub fn finish(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        Ok(self.sink.send_data(bytes.into(), true)?)
    }

    /// Sends trailers, which end the request.
    ///
    /// # Errors
    /// When the stream is reset or a name is invalid.
    pub fn trailers(&mut self, trailers: &[(&str, &str)]) -> Result<()> {
        let owned: Vec<_> = trailers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(self.sink.send_trailers(fields(&owned)?)?)
    }

    /// Resets the stream with CANCEL, like a client that aborts.
    pub fn reset(mut self) {
        self.sink.send_reset(Reason::CANCEL);
    }

    /// Reads the response.
    ///
    /// # Errors
    /// When the stream is reset before the response is complete.
    pub async fn response(self) -> Result<Response> {
        wait::within("the response", receive(self.response)).await
    }

    /// Waits for the response head and returns both directions of the stream, for streaming calls and tunnels.
    ///
    /// # Errors
    /// When the stream is reset.
    pub async fn duplex(self) -> Result<(http::response::Parts, SendStream<Bytes>, RecvStream)> {
        let answer = wait::within("the response", async { Ok(self.response.await?) }).await?;
        let (head, body) = answer.into_parts();
        Ok((head, self.sink, body))
    }
}

struct Sink(SendStream<Bytes>);

impl Sink {
    async fn body(&mut self, request: &Request) -> Result<()> {
        match &request.body {
            Body::None => (),
            Body::Sized(bytes) => send_data(&mut self.0, bytes.clone()).await?,
            Body::Pieces(pieces) => {
                for piece in pieces {
                    send_data(&mut self.0, piece.clone()).await?;
                }
            }
        }
        if request.trailers.is_empty() {
            return Ok(self.0.send_data(Bytes::new(), true)?);
        }
        Ok(self.0.send_trailers(fields(&request.trailers)?)?)
    }
}

async fn send_data(sink: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<()> {
    while !bytes.is_empty() {
        sink.reserve_capacity(bytes.len());
        let granted = std::future::poll_fn(|context| sink.poll_capacity(context));
        let granted = wait::within("the other side to read", async { Ok(granted.await) }).await?;
        let room = granted.context("the stream has ended")??;
        sink.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

async fn receive(response: ResponseFuture) -> Result<Response> {
    let (head, mut incoming) = response.await.context("waiting for the response head")?.into_parts();
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = BytesMut::new();
    let trailers = loop {
        match incoming.data().await {
            Some(Ok(data)) => {
                incoming.flow_control().release_capacity(data.len())?;
                body.extend_from_slice(&data);
            }
            Some(Err(error)) if length == Some(body.len()) && stops_reading_the_request(&error) => {
                break HeaderMap::new();
            }
            Some(Err(error)) => {
                return Err(error).with_context(|| format!("{} after {} bytes of the body", head.status, body.len()));
            }
            None => break incoming.trailers().await?.unwrap_or_default(),
        }
    };
    Ok(Response { status: head.status, headers: text(&head.headers), body: body.freeze(), trailers: text(&trailers) })
}

/// Whether a reset only means that the peer reads no more of the request. A server may send it after an early response:
/// with NO_ERROR (RFC 9113, section 8.1), as Envoy does, or with INTERNAL_ERROR.
fn stops_reading_the_request(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && matches!(error.reason(), Some(Reason::NO_ERROR | Reason::INTERNAL_ERROR))
}

fn text(fields: &HeaderMap) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (name.to_string(), latin1(value.as_bytes()))).collect()
}

fn fields(trailers: &[(String, String)]) -> Result<HeaderMap> {
    trailers.iter().map(|(name, value)| Ok((HeaderName::try_from(name)?, HeaderValue::from_str(value)?))).collect()
}

#[cfg(test)]
mod tests;
