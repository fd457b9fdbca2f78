//! One request as a cell received it.

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Still being received.
    Open,
    /// Received completely, including trailers.
    Complete,
    /// Ended by the peer or by a broken connection before its last byte.
    Broken,
}

/// A request that reached a cell.
///
/// Header and trailer values are ISO 8859-1 text, one character per byte, so that every byte is preserved.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in the order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body bytes received so far.
    pub body_bytes: u64,
    /// SHA-256 of the body in hexadecimal, empty until the request is complete.
    pub sha256: String,
    /// Trailers.
    pub trailers: Vec<(String, String)>,
    /// How it ended.
    pub ending: Ending,
}

impl Seen {
    /// Starts the record of a request whose body has not arrived yet.
    pub(super) fn open(head: &Parts) -> Self {
        Self {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
            headers: fields(&head.headers),
            body_bytes: 0,
            sha256: String::new(),
            trailers: Vec::new(),
            ending: Ending::Open,
        }
    }

    /// The response to this request: `{cell, method, path, headers, body_bytes, sha256, trailers}`, with headers and
    /// trailers as pairs.
    #[must_use]
    pub fn describe(&self, cell: &str) -> Value {
        json!({
            "cell": cell,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body_bytes": self.body_bytes,
            "sha256": self.sha256,
            "trailers": self.trailers,
        })
    }

    /// Every value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
    }
}

pub(super) fn fields(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.to_string(), crate::client::latin1(value.as_bytes()))).collect()
}
