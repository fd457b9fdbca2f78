//! Content codings: a compressed body is decoded for the decision (RFC 9110, 8.4).
//!
//! ```text
//! bytes from Envoy ──► [gzip | deflate | br | zstd] ──► [one more] ──► scanner
//!                      │
//!                      └─ each layer has one output buffer, and the limits hold for each layer
//! ```
//!
//! The scanner of a body does not know that its text was encoded. The upstream receives the original bytes.
//!
//! Results do not depend on how the body is cut into chunks: the ratio grants each started [block](limits::BLOCK) of the body
//! an allowance, and a layer gives out all that its input so far decodes to. The exception is a damaged body in br or zstd: the
//! libraries keep back some of the text before the fault, so it is refused at every cut, but not always for the same reason.

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "gzip")]
mod checksum;
mod codec;
mod content_coding;
pub(crate) mod decoder;
#[cfg(feature = "gzip")]
pub(crate) mod flate;
#[cfg(feature = "gzip")]
mod gzip;
mod limits;
pub(crate) mod step;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

pub use content_coding::{CodingSet, ContentCoding, ContentCodings, is_encoded};
pub(crate) use decoder::BodyDecoder;
pub(crate) use limits::DecodingLimits;
pub use limits::{Clock, DecodingCost};
