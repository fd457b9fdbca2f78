//! HTTP/1.1 over a plain socket. The test controls each write.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Request, Response, latin1};
use crate::wait;

/// One connection.
#[derive(Debug)]
pub struct Http1 {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Http1 {
    /// Connects. Every write is sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// When the connection is refused.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Writes bytes unchanged.
    ///
    /// # Errors
    /// When the connection is broken or the peer stops reading.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        wait::within("the peer to read", async { Ok(self.stream.write_all(bytes.as_ref()).await?) }).await
    }

    /// Shuts down the write direction. The peer can still respond.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn finish_writing(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Resets the connection, like a crashing client.
    ///
    /// # Errors
    /// When the socket does not allow it.
    pub fn reset(self) -> Result<()> {
        Ok(self.stream.set_zero_linger()?)
    }

    /// Writes the request and reads the response at the same time, so that an early response to a long body is seen. A
    /// write that fails because of such a response is not an error.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        let wire = request.to_http1();
        let (mut source, mut sink) = self.stream.split();
        let mut writing = std::pin::pin!(async move { sink.write_all(&wire).await });
        let mut reading = std::pin::pin!(read_final(&mut source, &mut self.buffer, &request.method));
        let both = async {
            tokio::select! {
                answer = &mut reading => answer,
                _ = &mut writing => reading.await,
            }
        };
        wait::within("the response", both).await
    }

    /// Reads the next response. `method` is the request's, because responses to HEAD and CONNECT have no body. Skips
    /// interim responses (1xx) except 101.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn response(&mut self, method: &str) -> Result<Response> {
        wait::within("the response", read_final(&mut self.stream, &mut self.buffer, method)).await
    }

    /// Reads only the next head, which may be that of an interim response such as 100.
    ///
    /// # Errors
    /// When there is none.
    pub async fn head(&mut self) -> Result<Response> {
        wait::within("the response", read_head(&mut self.stream, &mut self.buffer)).await
    }

    /// Reads exactly `count` bytes, for tunnels.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn bytes(&mut self, count: usize) -> Result<Bytes> {
        let reading = async {
            while self.buffer.len() < count {
                fill(&mut self.stream, &mut self.buffer).await?;
            }
            Ok(self.buffer.split_to(count).freeze())
        };
        wait::within(&format!("{count} bytes"), reading).await
    }

    /// Waits until the peer has closed or reset the connection, and returns the bytes that it sent before.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn closed(mut self) -> Result<Bytes> {
        let reading = async {
            while fill(&mut self.stream, &mut self.buffer).await.is_ok() {}
            Ok(self.buffer.freeze())
        };
        wait::within("the end of the connection", reading).await
    }
}

/// Sends one GET on a new connection, for admin ports.
///
/// # Errors
/// When there is no complete response.
pub async fn get(address: SocketAddr, path: &str) -> Result<Response> {
    // An admin port may refuse the name of a site.
    let request = Request::get(path).header("host", address.to_string()).header("connection", "close");
    Http1::connect(address).await?.send(&request).await
}

async fn read_final<S: AsyncRead + Unpin>(source: &mut S, buffer: &mut BytesMut, method: &str) -> Result<Response> {
    let mut response = read_head(source, buffer).await?;
    while response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        response = read_head(source, buffer).await?;
    }
    let bodiless = method == "HEAD"
        || matches!(response.status.as_u16(), 101 | 204 | 304)
        || (method == "CONNECT" && response.status.is_success());
    if bodiless {
        return Ok(response);
    }
    if response.header("transfer-encoding").is_some() {
        read_chunks(source, buffer, &mut response).await?;
    } else if let Some(length) = response.header("content-length") {
        let length: usize = length.parse().context("content-length")?;
        while buffer.len() < length {
            fill(source, buffer).await?;
        }
        response.body = buffer.split_to(length).freeze();
    } else {
        while fill(source, buffer).await.is_ok() {}
        response.body = buffer.split().freeze();
    }
    Ok(response)
}

async fn read_head<S: AsyncRead + Unpin>(source: &mut S, buffer: &mut BytesMut) -> Result<Response> {
    let status_line = read_line(source, buffer).await?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let Some(status) = status else { bail!("no status in {status_line:?}") };
    let headers = read_fields(source, buffer).await?;
    Ok(Response { status, headers, body: Bytes::new(), trailers: Vec::new() })
}

async fn read_chunks<S>(source: &mut S, buffer: &mut BytesMut, response: &mut Response) -> Result<()>
where
    S: AsyncRead + Unpin,
{
    let mut body = BytesMut::new();
    loop {
        let line = read_line(source, buffer).await?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).context(line.clone())?;
        if size == 0 {
            break;
        }
        while buffer.len() < size + 2 {
            fill(source, buffer).await?;
        }
        body.extend_from_slice(&buffer.split_to(size));
        buffer.advance(2);
    }
    response.trailers = read_fields(source, buffer).await?;
    response.body = body.freeze();
    Ok(())
}

/// Header or trailer lines, up to the empty one.
async fn read_fields<S>(source: &mut S, buffer: &mut BytesMut) -> Result<Vec<(String, String)>>
where
    S: AsyncRead + Unpin,
{
    let mut fields = Vec::new();
    loop {
        let line = read_line(source, buffer).await?;
        if line.is_empty() {
            return Ok(fields);
        }
        let Some((name, value)) = line.split_once(':') else { bail!("no colon in {line:?}") };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

async fn read_line<S: AsyncRead + Unpin>(source: &mut S, buffer: &mut BytesMut) -> Result<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") {
            let line = latin1(&buffer.split_to(end));
            buffer.advance(2);
            return Ok(line);
        }
        fill(source, buffer).await?;
    }
}

async fn fill<S: AsyncRead + Unpin>(source: &mut S, buffer: &mut BytesMut) -> Result<()> {
    if source.read_buf(buffer).await? == 0 {
        bail!("the connection was closed after {:?}", latin1(buffer));
    }
    Ok(())
}
