//! The contract of a body scanner: one pass over a body of one format, on behalf of every source of that format.
//!
//! A new format (multipart, protobuf, …) is one type that implements [`BodyScanner`] and one variant of
//! [`crate::source::Format`]; nothing else changes.

use crate::reason::Reason;

/// What a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// Nothing so far.
    Missing,
    /// A complete, well-formed key.
    Found(&'a str),
    /// Something that is present and cannot be a key.
    Unusable(Reason),
}

impl<'a> Candidate<'a> {
    /// The key or why there is none, if the source holds anything.
    pub(crate) fn found(self) -> Option<Result<&'a str, Reason>> {
        match self {
            Candidate::Missing => None,
            Candidate::Found(key) => Some(Ok(key)),
            Candidate::Unusable(reason) => Some(Err(reason)),
        }
    }
}

/// A body broke its format's grammar. Final: the scanner must not be pushed to again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// The reason for the policy table.
    pub reason: Reason,
    /// How many bytes of the body come before the offending one.
    pub offset: u64,
    /// What was expected, for a person: `"expected ',' or '}'"`.
    pub expected: &'static str,
}

/// One pass over a body, in chunks of any size.
///
/// Results never depend on how the body is cut into chunks. Memory is bounded by configuration, never by the body.
pub trait BodyScanner {
    /// Scans the next bytes.
    ///
    /// # Errors
    /// The bytes so far cannot be the beginning of a well-formed body.
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError>;

    /// The body is complete.
    ///
    /// # Errors
    /// The body is not a whole document.
    fn finish(&mut self) -> Result<(), BodyError>;

    /// What the `index`th source of this format holds so far. Indices beyond the last hold nothing.
    fn candidate(&self, index: usize) -> Candidate<'_>;

    /// Whether the candidate can change only by becoming [`Candidate::Unusable`] with a conflict ([`Reason::is_conflict`]):
    /// the moment from which a guarded release is sound. Never true while a later duplicate would win.
    fn is_settled(&self, index: usize) -> bool;
}
