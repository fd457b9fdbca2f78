//! The requests to the paths of the admin port that need a token.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use cellgate_ext_proc::limits::{Forgotten, KeyUsage, LimitList};
use http_body_util::Full;
use hyper::{Method, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http_client::{RequestLimits, Response, ResponseError, Server};

/// The list of 32 limits with a thousand plans has less.
const MAX_BYTES: usize = 1 << 20;

const ADVICE: &str = "Use the address of the service's admin port (--admin); in Kubernetes, forward it with \
                      `kubectl -n NAMESPACE port-forward deploy/cellgate-ext-proc 9902`";

/// The admin port of a service.
#[derive(Debug)]
pub(crate) struct AdminPort {
    /// Its address.
    pub(crate) server: Server,
    /// The token that it asks for.
    pub(crate) token: Option<String>,
    /// How long to wait for an answer.
    pub(crate) time: Duration,
}

/// A part of a limit's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPart {
    /// The value of requests.
    Value(String),
    /// The requests whose value cannot be used.
    Unusable,
}

/// There is no document to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitsError {
    /// The server does not respond.
    #[error("{url}: {source}. {ADVICE}")]
    Unreachable {
        /// The URL of the request, without the values.
        url: String,
        /// The cause.
        source: ResponseError,
    },
    /// The service wants another token, or none is set there.
    #[error("{url}: status {status}: {text}. With this command, use --token-file FILE")]
    Token {
        /// The URL of the request, without the values.
        url: String,
        /// The status of the response.
        status: u16,
        /// The service's sentence.
        text: String,
    },
    /// Its store does not answer.
    #[error("{url}: status {status}: {text}")]
    Refused {
        /// The URL of the request, without the values.
        url: String,
        /// The status of the response.
        status: u16,
        /// The service's sentence.
        text: String,
    },
    /// The service has no such limit, or the values are no key of it.
    #[error("{url}: {text}")]
    BadKey {
        /// The URL of the request, without the values.
        url: String,
        /// The service's sentence.
        text: String,
    },
    /// Another status.
    #[error(
        "{url}: status {status}, so this is not Cellgate's admin port, or Cellgate is too old for this command. {ADVICE}"
    )]
    Status {
        /// The URL of the request, without the values.
        url: String,
        /// The status of the response.
        status: u16,
    },
    /// The response is another document.
    #[error("{url}: not the document of a Cellgate service: {source}. {ADVICE}")]
    NotDocument {
        /// The URL of the request, without the values.
        url: String,
        /// The cause.
        source: serde_json::Error,
    },
}

/// A document of the service.
#[derive(Debug)]
pub(crate) struct Answer<D> {
    /// The document as it came, with fields that this version does not know.
    pub(crate) document: Value,
    /// The fields that this version knows.
    pub(crate) known: D,
}

/// The limits and the store.
///
/// # Errors
/// The service cannot be reached in time, refuses, or is no Cellgate service.
pub(crate) async fn fetch_list(port: &AdminPort) -> Result<Answer<LimitList>, LimitsError> {
    port.ask(Method::GET, "/limits", "").await
}

/// Asks for the use of a key.
///
/// # Errors
/// As [`fetch_list`], and the key is none of the limit.
pub(crate) async fn fetch_key(port: &AdminPort, limit: &str, key: &[KeyPart]) -> Result<Answer<KeyUsage>, LimitsError> {
    port.ask(Method::GET, &format!("/limits/{}", encoded(limit)), &query(key)).await
}

/// Forgets what a key has in use.
///
/// # Errors
/// As [`fetch_key`].
pub(crate) async fn reset(port: &AdminPort, limit: &str, key: &[KeyPart]) -> Result<Answer<Forgotten>, LimitsError> {
    port.ask(Method::POST, &format!("/limits/{}/reset", encoded(limit)), &query(key)).await
}

impl AdminPort {
    /// Sends a request and reads the document that answers it.
    pub(super) async fn ask<D: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &str,
    ) -> Result<Answer<D>, LimitsError> {
        let url = self.server.url(path);
        let response = match self.send(method, path, query).await {
            Ok(response) => response,
            Err(source) => return Err(LimitsError::Unreachable { url, source }),
        };
        match response.status {
            200 => read(&response.body).map_err(|source| LimitsError::NotDocument { url, source }),
            status @ (401 | 403) if is_sentence(&response) => {
                Err(LimitsError::Token { url, status, text: sentence(&response) })
            }
            503 if is_sentence(&response) => {
                Err(LimitsError::Refused { url, status: response.status, text: sentence(&response) })
            }
            400 | 404 if is_sentence(&response) => Err(LimitsError::BadKey { url, text: sentence(&response) }),
            status => Err(LimitsError::Status { url, status }),
        }
    }

    async fn send(&self, method: Method, path: &str, query: &str) -> Result<Response, ResponseError> {
        let target = format!("{}{query}", self.server.target(path));
        let mut request = Request::builder().method(method).uri(target).header("host", self.server.authority());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::<Bytes>::default()).map_err(ResponseError::Request)?;
        self.server.send(request, RequestLimits { time: self.time, bytes: MAX_BYTES }).await
    }
}

fn read<D: DeserializeOwned>(body: &[u8]) -> serde_json::Result<Answer<D>> {
    Ok(Answer { document: serde_json::from_slice(body)?, known: serde_json::from_slice(body)? })
}

/// `?value=…&unusable=true`, in the order of the parts.
fn query(key: &[KeyPart]) -> String {
    let mut query = String::new();
    for part in key {
        query.push(if query.is_empty() { '?' } else { '&' });
        match part {
            KeyPart::Value(value) => {
                query.push_str("value=");
                query.push_str(&encoded(value));
            }
            KeyPart::Unusable => query.push_str("unusable=true"),
        }
    }
    query
}

/// Percent-encodes all but the unreserved characters (RFC 3986, 2.3).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ok = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Whether the service explains its status. Other servers answer 404 with nothing, or with a page.
fn is_sentence(response: &Response) -> bool {
    let is_page = response.body.first() == Some(&b'<');
    !response.body.is_empty() && !is_page
}

/// The service's sentence. A server that is not Cellgate must not control the terminal.
fn sentence(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    text.trim_end().chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_parts_in_order_and_encoded() {
        let key = [KeyPart::Value("a b&c=ü".into()), KeyPart::Unusable, KeyPart::Value("+".into())];
        assert_eq!(query(&key), "?value=a%20b%26c%3D%C3%BC&unusable=true&value=%2B");
        assert_eq!(query(&[]), "");
    }
}
