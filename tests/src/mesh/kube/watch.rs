//! A watch: one JSON object per line until the connection closes.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

/// A change of an object.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object was added or modified. This is its new state.
    Is(Value),
    /// The object was deleted. This is its last state.
    Gone(Value),
}

/// An open watch. Dropping it closes it.
#[derive(Debug)]
pub struct Watch {
    path: String,
    lines: Lines<BufReader<TcpStream>>,
}

impl Watch {
    pub(super) async fn open(proxy: SocketAddr, path: &str) -> Result<Self> {
        let mut socket = TcpStream::connect(proxy).await?;
        // HTTP/1.0 has no chunked encoding, so the lines arrive unframed.
        let request = format!("GET {path}?watch=true HTTP/1.0\r\nhost: {proxy}\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut lines = BufReader::new(socket).lines();
        let status = lines.next_line().await?.unwrap_or_default();
        ensure!(status.contains(" 200 "), "the watch of {path}: {status}");
        while lines.next_line().await?.is_some_and(|header| !header.is_empty()) {}
        Ok(Self { path: path.to_owned(), lines })
    }

    /// The next change.
    ///
    /// # Errors
    /// When the API server ends the watch.
    pub async fn next(&mut self) -> Result<Change> {
        let line = self.lines.next_line().await?.with_context(|| format!("the watch of {} has ended", self.path))?;
        let mut event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let object = event["object"].take();
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => Ok(Change::Is(object)),
            Some("DELETED") => Ok(Change::Gone(object)),
            _ => bail!("the watch of {}: {line}", self.path),
        }
    }
}
