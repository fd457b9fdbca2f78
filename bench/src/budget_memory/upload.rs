//! One upload over HTTP/1.1, without a timeout of its own: it may wait for as long as the service lets it.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A body, and how its client behaves.
pub(super) struct Upload {
    pub(super) body: Bytes,
    /// The Content-Encoding.
    pub(super) encoding: Option<&'static str>,
    /// Whether the client sends only half of it.
    pub(super) stalls: bool,
}

/// A response.
pub(super) struct UploadAnswer {
    pub(super) status: u16,
    /// The body.
    pub(super) text: String,
}

impl Upload {
    /// Sends it on a new connection and reads the response at the same time.
    ///
    /// # Errors
    /// When there is no response.
    pub(super) async fn send(self, address: SocketAddr) -> Result<UploadAnswer> {
        let (mut source, mut sink) = TcpStream::connect(address).await?.into_split();
        let writing = tokio::spawn(async move {
            let length = self.body.len();
            let encoding = self.encoding.map(|name| format!("content-encoding: {name}\r\n")).unwrap_or_default();
            let head = format!(
                "POST /api/orders HTTP/1.1\r\nhost: cellgate.test\r\ncontent-type: application/json\r\n{encoding}\
                 content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            sink.write_all(head.as_bytes()).await?;
            let sent = if self.stalls { length / 2 } else { length };
            sink.write_all(self.body.get(..sent).unwrap_or_default()).await?;
            // Returned, because dropping it would end the connection's write direction.
            Ok::<_, std::io::Error>(sink)
        });
        let mut response = Vec::new();
        // After a response to an incomplete request, Envoy may reset the connection.
        let read = source.read_to_end(&mut response).await;
        writing.abort();
        let response = String::from_utf8_lossy(&response).into_owned();
        let (head, text) = response.split_once("\r\n\r\n").with_context(|| format!("no response: {read:?}"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        Ok(UploadAnswer { status, text: text.to_owned() })
    }
}

/// Compresses a body.
///
/// # Errors
/// None in practice: it writes to memory.
pub(super) fn gzip(text: &[u8]) -> Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(1));
    encoder.write_all(text)?;
    Ok(encoder.finish()?.into())
}
