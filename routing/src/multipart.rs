//! `multipart/form-data` bodies (RFC 7578, RFC 2046).
//!
//! Parsers of this format differ more than those of any other, and most accept more than the RFCs allow. The scanner
//! reads the forms that all senders write, and refuses the rest: whatever two parsers may split differently is
//! malformed, and a part that only some of them take for the wanted field makes its key unusable.
//!
//! - [`content`] finds the end of a part. Content is passed on as it arrives and is never held.
//! - [`part_head`] reads the header of a part, with [`parameter`].
//! - [`boundary()`] reads the boundary from the Content-Type.

mod boundary;
mod content;
mod parameter;
mod part_head;
mod scanner;

pub use crate::field::FieldQuery;
pub use boundary::boundary;
pub use scanner::MultipartScanner;

#[cfg(test)]
mod tests;
