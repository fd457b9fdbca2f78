//! Clients that send exactly the bytes of a test, over HTTP/1.1 and HTTP/2.

mod http1;
mod http2;
mod request;
mod response;

pub use http1::{Http1, get};
pub use http2::{Http2, Http2Stream};
pub use request::{Body, HOST, Request};
pub use response::Response;

/// Bytes as ISO 8859-1 text: one character per byte, so that every byte is preserved and can be compared.
#[must_use]
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
