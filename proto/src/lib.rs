//! The messages between Cellgate's filter and its service.
//!
//! [`sync`] has the messages of `cellgate/sync/v1/sync.proto`, and with the features `client` and `server` the two ends of
//! the call. This crate converts them from and to the plain data of `cellgate_limiting`, whose bounds hold for both.
#![forbid(unsafe_code)]

mod convert;

pub use convert::BadMessage;

use cellgate_limiting::{Answer, Report};
use prost::Message;

/// The package and the name of the service, as in a path of gRPC.
pub const SERVICE: &str = "cellgate.sync.v1.SyncService";

/// The name of the call.
pub const METHOD: &str = "Sync";

/// The most bytes of a message: 128 KiB. A report with all its 1024 keys has 65,600 bytes at most, and an answer 53,341. The
/// rest is for parts that come later. A longer message is refused before it is decoded.
pub const MAX_MESSAGE_BYTES: usize = 128 * 1024;

/// The code of `cellgate/sync/v1/sync.proto`, written by `scripts/generate.sh`.
#[allow(missing_docs, clippy::all, clippy::panic, reason = "generated")]
pub mod sync {
    include!("generated/cellgate.sync.v1.rs");
}

/// The bytes of a report.
#[must_use]
pub fn encode_report(report: &Report) -> Vec<u8> {
    sync::SyncRequest::from(report).encode_to_vec()
}

/// The report in the bytes of a request.
///
/// # Errors
/// The bytes are too many, or are no request, or its values are out of their bounds.
pub fn decode_report(bytes: &[u8]) -> Result<Report, BadMessage> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(BadMessage::Large(bytes.len()));
    }
    let request = sync::SyncRequest::decode(bytes).map_err(|error| BadMessage::Malformed(error.to_string()))?;
    Report::try_from(&request)
}

/// The answer in the bytes of a response.
///
/// # Errors
/// The bytes are too many, or are no response, or its values are out of their bounds.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, BadMessage> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(BadMessage::Large(bytes.len()));
    }
    let response = sync::SyncResponse::decode(bytes).map_err(|error| BadMessage::Malformed(error.to_string()))?;
    Answer::try_from(&response)
}
