//! One request and the response that it must get.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use serde_json::Value;

/// The client's protocol, without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How the client writes a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// In one write together with the head.
    Whole,
    /// In writes of [`PIECE`], with a Content-Length.
    Pieces,
    /// In writes of one chunk of [`PIECE`] each, without a Content-Length.
    Chunked,
}

/// The bytes of one write of a body that is not written whole.
pub(crate) const PIECE: usize = 1024;

/// A request and the response that it must get.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The request target.
    pub(crate) path: &'static str,
    /// The Content-Type.
    pub(crate) media_type: String,
    /// The Content-Encoding, if there is one.
    pub(crate) coding: Option<&'static str>,
    /// The body.
    pub(crate) body: Bytes,
    /// How it is sent.
    pub(crate) delivery: Delivery,
    /// The header with the cell or the tenant, if there is one.
    pub(crate) routing: Option<(&'static str, String)>,
    /// The response that it must get.
    pub(crate) expectation: Expectation,
}

/// The request that the cell must report in its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The cell.
    pub(crate) cell: String,
    /// The length of the body that it received.
    pub(crate) body_bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The cell that echoes the body, as it does in a gRPC call. Over HTTP/1.1 there are none.
    pub(crate) echoed_by: Option<String>,
    /// The body.
    pub(crate) body: Bytes,
}

impl Protocol {
    /// The name for the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        }
    }

    /// The title in the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

impl Delivery {
    /// The suffix of the name, after the protocol.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Pieces => "-pieces",
            Self::Chunked => "-chunked",
        }
    }

    /// The title in the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Pieces => ", in pieces of 1 KB",
            Self::Chunked => ", chunked encoding, 1 KB each",
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
    /// Checks a response.
    ///
    /// # Errors
    /// When the response is not the expected one.
    pub(crate) fn check(&self, answer: &Answer) -> Result<()> {
        if let Some(cell) = &answer.echoed_by {
            ensure!(answer.status == 200, "a cell responded with {}", answer.summary());
            ensure!(*cell == self.cell, "{cell} received a request for {}", self.cell);
            ensure!(cellgate_tests::sha256(&answer.body) == self.sha256, "the cell received a changed body");
            return Ok(());
        }
        let Ok(seen) = serde_json::from_slice::<Value>(&answer.body) else {
            bail!("the response did not come from a cell: {}", answer.summary());
        };
        let field = |name: &str| seen.get(name).unwrap_or(&Value::Null);
        let (cell, bytes, hash) = (field("cell"), field("body_bytes"), field("sha256"));
        ensure!(cell.is_string(), "the response did not come from a cell: {}", answer.summary());
        ensure!(answer.status == 200, "a cell responded with {}", answer.summary());
        ensure!(*cell == *self.cell, "{} received a request for {}", cell, self.cell);
        ensure!(*bytes == self.body_bytes, "the cell received {bytes} of {} body bytes", self.body_bytes);
        ensure!(*hash == *self.sha256, "the cell received a changed body");
        Ok(())
    }
}
