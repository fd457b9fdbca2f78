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

/// Percent-encodes everything but ASCII letters and digits, for a value in a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
