//! The rest of a body after its request was released.

use super::Decider;
use super::scanner::{FormatScanner, ScannedBody};
use crate::action::PolicyAction;
use crate::body::{BodyError, Candidate};
use crate::decision::{Decision, Outcome};
use crate::encoding::DecodingCost;
use crate::format::Format;
use crate::reason::Reason;

/// Scans the rest of a body whose decision is final, so that no second key and no syntax error reaches the upstream.
///
/// The caller must forward a chunk only after [`Guard::push`] has accepted it.
#[derive(Debug)]
pub struct Guard {
    decider: Decider,
    scanner: FormatScanner,
    /// The source that decided.
    index: usize,
}

impl Guard {
    pub(super) fn new(decider: Decider, scanner: FormatScanner, index: usize) -> Self {
        Self { decider, scanner, index }
    }

    /// The cost of decoding so far, if the body has a Content-Encoding.
    #[must_use]
    pub fn decoded(&self) -> Option<DecodingCost> {
        self.scanner.decoded()
    }

    /// The values that were scanned so far.
    #[must_use]
    pub fn scanned(&self) -> ScannedBody<'_> {
        ScannedBody(&self.scanner)
    }

    /// The routing key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.scanner.get().candidate(self.index).found()?.ok()
    }

    /// Scans the next chunk.
    ///
    /// # Errors
    /// The body has a second key or is malformed. The caller must end the request before the upstream has a complete
    /// body. The decision is always a rejection, because the request cannot change its cell any more.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        let scanned = self.scanner.push(chunk);
        self.check(scanned)
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As for [`Guard::push`].
    pub fn finish(&mut self) -> Result<(), Decision> {
        let scanned = self.scanner.finish();
        self.check(scanned)
    }

    /// The answer to a reason that only the reader of the body can find.
    pub(crate) fn answer(&self, reason: Reason) -> Decision {
        self.decider.answer(reason)
    }

    pub(super) fn decider(&self) -> &Decider {
        &self.decider
    }

    /// The place of the source that decided: the format, and the index among its sources.
    pub(super) fn place(&self) -> (Format, usize) {
        (self.scanner.format(), self.index)
    }

    fn check(&self, scanned: Result<(), BodyError>) -> Result<(), Decision> {
        match (scanned, self.scanner.get().candidate(self.index)) {
            (Err(error), _) => Err(self.reject(error.reason)),
            (Ok(()), Candidate::Unusable(reason)) if reason.is_conflict() => Err(self.reject(reason)),
            (Ok(()), _) => Ok(()),
        }
    }

    fn reject(&self, reason: Reason) -> Decision {
        let status = match self.decider.config().policy.answer(reason) {
            PolicyAction::Reject(status) => status,
            _ => 400,
        };
        Decision { outcome: Outcome::Reject(status), reason }
    }
}
