//! Body scanners: one pass over a body of one format, for all sources of that format.
//!
//! A new format needs a type that implements [`BodyScanner`], and a variant of [`crate::Format`].

use crate::reason::Reason;

/// The value of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// Nothing so far.
    Missing,
    /// A complete, well-formed key.
    Found(&'a str),
    /// A value that cannot be a key.
    Unusable(Reason),
}

impl<'a> Candidate<'a> {
    /// The value that this one and that of another element, record or message become together. All that hold something
    /// must agree.
    pub(crate) fn agree(self, other: Self) -> Self {
        match (self, other) {
            (_, Candidate::Missing) => self,
            (Candidate::Missing, _) => other,
            (Candidate::Unusable(reason), _) if reason.is_conflict() => self,
            (_, Candidate::Unusable(reason)) if reason.is_conflict() => other,
            (one, another) if one == another => self,
            _ => Candidate::Unusable(Reason::KeyConflict),
        }
    }

    /// The key, or the reason why the value cannot be one. `None` if the source holds nothing.
    pub(crate) fn found(self) -> Option<Result<&'a str, Reason>> {
        match self {
            Candidate::Missing => None,
            Candidate::Found(key) => Some(Ok(key)),
            Candidate::Unusable(reason) => Some(Err(reason)),
        }
    }
}

/// A syntax error of a body. The caller must not push to the scanner again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// The reason, for the policy.
    pub reason: Reason,
    /// The number of bytes before the wrong one.
    pub offset: u64,
    /// The message: `"expected ',' or '}'"`.
    pub expected: &'static str,
}

/// One pass over a body, in chunks of any size.
///
/// Results do not depend on the chunk boundaries. The configuration bounds the memory; the body does not.
pub trait BodyScanner: Send + Sync {
    /// Scans the next bytes.
    ///
    /// # Errors
    /// The bytes so far are not the beginning of a well-formed body.
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError>;

    /// Ends the body.
    ///
    /// # Errors
    /// The body is not a complete document.
    fn finish(&mut self) -> Result<(), BodyError>;

    /// The value so far of the source with this index among those of the format. A larger index holds nothing.
    fn candidate(&self, index: usize) -> Candidate<'_>;

    /// Whether the value can change only to [`Candidate::Unusable`] with a conflict ([`Reason::is_conflict`]). From then on a
    /// guarded release is safe. Never true if a later duplicate wins.
    fn is_settled(&self, index: usize) -> bool;
}

/// Without the scanner's state: code that prints it would be a part of the filter's module.
impl std::fmt::Debug for dyn BodyScanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyScanner")
    }
}
