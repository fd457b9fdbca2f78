//! A body that is read until the key is known.

use super::Decider;
use super::guard::Guard;
use super::scanner::{FormatScanner, ScannedBody};
use super::sources::ActiveSources;
use crate::action::PolicyAction;
use crate::body::BodyError;
use crate::decision::Decision;
use crate::encoding::DecodingCost;
use crate::reason::Reason;

/// Reads a body to find the key.
#[derive(Debug)]
pub struct BodyReader {
    decider: Decider,
    scanner: FormatScanner,
    sources: ActiveSources,
    content_length: Option<u64>,
    received: u64,
    error: Option<BodyError>,
}

impl BodyReader {
    pub(super) fn new(
        decider: Decider,
        scanner: FormatScanner,
        sources: ActiveSources,
        content_length: Option<u64>,
    ) -> Self {
        Self { decider, scanner, sources, content_length, received: 0, error: None }
    }

    /// The request's Content-Length in bytes, if it has one.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The number of bytes that have arrived, as they arrived: encoded.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The syntax error, once [`BodyReader::push`] or [`BodyReader::finish`] has found one.
    #[must_use]
    pub fn broken(&self) -> Option<BodyError> {
        self.error
    }

    /// The cost of decoding so far, if the body has a Content-Encoding.
    #[must_use]
    pub fn decoded(&self) -> Option<DecodingCost> {
        self.scanner.decoded()
    }

    /// Scans the next chunk.
    ///
    /// # Errors
    /// The body is malformed. The decision is final; the caller need not read the rest.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        self.received = self.received.saturating_add(chunk.len() as u64);
        self.scan(|scanner| scanner.push(chunk))
    }

    /// Returns the decision and a guard for the rest of the body, if the key is known and only a conflict in the rest
    /// can change the decision.
    ///
    /// # Errors
    /// The key is not certain yet. Returns the reading unchanged.
    pub fn settle(self) -> Result<(Decision, Guard), Self> {
        match self.settled() {
            Some((decision, index)) => Ok((decision, Guard::new(self.decider, self.scanner, index))),
            None => Err(self),
        }
    }

    /// The decision if it is settled, and the index of the source that decides.
    fn settled(&self) -> Option<(Decision, usize)> {
        let index = self.sources.first_in_body(&self.decider, self.scanner.format())?;
        let scanner = self.scanner.get();
        if self.error.is_some() || !scanner.is_settled(index) {
            return None;
        }
        let found = scanner.candidate(index).found()?;
        if self.decider.passes_over(&found) {
            return None;
        }
        // A body with a conflict is never released: it is refused, or read to its end.
        let is_rejected = |reason| matches!(self.decider.config().policy.answer(reason), PolicyAction::Reject(_));
        if found.is_err_and(|reason| reason.is_conflict() && !is_rejected(reason)) {
            return None;
        }
        // The reason for an absent key is not used: the source holds something.
        Some((self.decider.decide(found.into(), || Reason::KeyMissing), index))
    }

    /// Ends the body and returns the decision.
    pub fn finish(&mut self) -> Decision {
        if self.received == 0 {
            // An empty body counts as no body.
            return self.decider.decide(self.sources.find_key(&self.decider, None), || Reason::BodyAbsent);
        }
        match self.scan(|scanner| scanner.finish()) {
            Ok(()) => {
                let search = self.sources.find_key(&self.decider, Some(&self.scanner));
                self.decider.decide(search, || Reason::KeyMissing)
            }
            Err(decision) => decision,
        }
    }

    /// The values that were scanned so far.
    #[must_use]
    pub fn scanned(&self) -> ScannedBody<'_> {
        ScannedBody(&self.scanner)
    }

    /// The routing key of a body that is decided, if it has one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        let body = (self.received > 0).then_some(&self.scanner);
        self.sources.find_key(&self.decider, body).key()
    }

    /// The answer to a reason that only the reader of the body can find.
    pub(crate) fn answer(&self, reason: Reason) -> Decision {
        self.decider.answer(reason)
    }

    /// The configured limit of a body that the filter holds.
    pub(crate) fn inspect_bytes(&self) -> u64 {
        self.decider.config().limits.inspect_bytes
    }

    pub(super) fn decider(&self) -> &Decider {
        &self.decider
    }

    pub(super) fn sources(&self) -> &ActiveSources {
        &self.sources
    }

    pub(super) fn scanner(&self) -> &FormatScanner {
        &self.scanner
    }

    /// Takes a step of the scanner, unless an earlier one has failed.
    fn scan(&mut self, step: impl FnOnce(&mut FormatScanner) -> Result<(), BodyError>) -> Result<(), Decision> {
        if self.error.is_none() {
            self.error = step(&mut self.scanner).err();
        }
        self.error.map_or(Ok(()), |error| Err(self.decider.answer(error.reason)))
    }
}
