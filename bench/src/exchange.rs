//! One request as it is sent, and the only good answer to it.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use serde_json::Value;

/// What the client speaks, without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// With its head in one write.
    Whole,
    /// In writes of [`PIECE`], with a Content-Length.
    Pieces,
    /// In writes of one chunk of [`PIECE`] each, without a Content-Length.
    Chunked,
}

/// Bytes of a body that comes in pieces that are written at once.
pub(crate) const PIECE: usize = 1024;

/// A request, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The body.
    pub(crate) body: Bytes,
    /// How it is sent.
    pub(crate) delivery: Delivery,
    /// The header that names the cell or the tenant, if one does.
    pub(crate) routing: Option<(&'static str, String)>,
    /// The only good answer.
    pub(crate) expectation: Expectation,
}

/// What the cell must say that it received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The cell that answers.
    pub(crate) cell: String,
    /// The length of the body that reached it.
    pub(crate) body_bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Bytes,
}

impl Protocol {
    /// For the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        }
    }

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

impl Delivery {
    /// For the command line: what comes behind the protocol.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Pieces => "-pieces",
            Self::Chunked => "-chunked",
        }
    }

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Pieces => ", in pieces of 1 KB",
            Self::Chunked => ", in chunks of 1 KB of unknown number",
        }
    }
}

impl Answer {
    /// Status and body, in one line.
    pub(crate) fn summary(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        format!("{} {}", self.status, text.replace(['\n', '\r'], " "))
    }
}

impl Expectation {
    /// Whether this is the answer that is wanted.
    ///
    /// # Errors
    /// When it is not, with what is wrong about it.
    pub(crate) fn check(&self, answer: &Answer) -> Result<()> {
        let Ok(seen) = serde_json::from_slice::<Value>(&answer.body) else {
            bail!("no cell answered, but what stands before it: {}", answer.summary());
        };
        let field = |name: &str| seen.get(name).unwrap_or(&Value::Null);
        let (cell, bytes, hash) = (field("cell"), field("body_bytes"), field("sha256"));
        ensure!(cell.is_string(), "no cell answered, but what stands before it: {}", answer.summary());
        ensure!(answer.status == 200, "a cell answered {}", answer.summary());
        ensure!(*cell == *self.cell, "{} received what was for {}", cell, self.cell);
        ensure!(*bytes == self.body_bytes, "{bytes} of {} bytes arrived", self.body_bytes);
        ensure!(*hash == *self.sha256, "the body arrived changed");
        Ok(())
    }
}
