//! A body on its way through: read until the key is known, then watched to its end.

use super::{Contender, Router};
use crate::answer::Answer;
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::decision::{Decision, Outcome};
use crate::form::FormScanner;
use crate::json::JsonScanner;
use crate::reason::Reason;
use crate::source::Format;

/// A body being read for its key.
#[derive(Debug)]
pub struct Reading {
    router: Router,
    scan: Scan,
    contenders: Vec<Contender>,
    content_length: Option<u64>,
    received: u64,
    broken: Option<BodyError>,
}

/// Watches the rest of a body whose decision is already on its way, so that no other key and no syntax error can
/// follow unseen. Each chunk is to be passed on only after [`Guard::push`] has accepted it.
#[derive(Debug)]
pub struct Guard {
    router: Router,
    scan: Scan,
    /// The source that decided.
    index: usize,
}

/// The scanner of the body's format.
#[derive(Debug)]
pub(super) enum Scan {
    Json(Box<JsonScanner>),
    Form(Box<FormScanner>),
}

impl Reading {
    pub(super) fn new(router: Router, scan: Scan, contenders: Vec<Contender>, content_length: Option<u64>) -> Self {
        Self { router, scan, contenders, content_length, received: 0, broken: None }
    }

    /// The request's Content-Length in bytes, if it has one.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// How many bytes of the body have been scanned.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Where and why the body is malformed, once [`Reading::push`] or [`Reading::finish`] has said that it is.
    #[must_use]
    pub fn broken(&self) -> Option<BodyError> {
        self.broken
    }

    /// Scans the next chunk.
    ///
    /// # Errors
    /// The body is malformed: the decision is final, the rest need not be read.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        self.received = self.received.saturating_add(chunk.len() as u64);
        self.step(|scanner| scanner.push(chunk))
    }

    /// If the first source that may hold the key does hold it, and only a conflict could change that: the decision,
    /// and the guard that must see the rest of the body before anyone else does.
    ///
    /// # Errors
    /// The key is not certain yet: the reading, unchanged.
    pub fn settle(self) -> Result<(Decision, Guard), Self> {
        let Some(index) = self.leader() else { return Err(self) };
        let scanner = self.scan.get();
        if self.broken.is_some() || !scanner.is_settled(index) {
            return Err(self);
        }
        let Some(found) = scanner.candidate(index).found() else { return Err(self) };
        if self.router.is_passed_over(&found) {
            return Err(self);
        }
        // Nothing may be released that is in conflict already: such a body is refused, or read to its end.
        let is_rejected = |reason| matches!(self.router.config().policy.answer(reason), Answer::Reject(_));
        if found.is_err_and(|reason| reason.is_conflict() && !is_rejected(reason)) {
            return Err(self);
        }
        let decision = self.router.conclude(found);
        Ok((decision, Guard { router: self.router, scan: self.scan, index }))
    }

    /// The body is complete: the decision.
    pub fn finish(&mut self) -> Decision {
        if self.received == 0 {
            // A body of no bytes is no body.
            return self.router.pick(&self.contenders, None, None, Reason::BodyAbsent);
        }
        match self.step(|scanner| scanner.finish()) {
            Ok(()) => self.router.pick(&self.contenders, Some(&self.scan), None, Reason::KeyMissing),
            Err(decision) => decision,
        }
    }

    pub(super) fn scan(&self) -> &Scan {
        &self.scan
    }

    fn step(&mut self, step: impl FnOnce(&mut dyn BodyScanner) -> Result<(), BodyError>) -> Result<(), Decision> {
        if self.broken.is_none() {
            self.broken = step(self.scan.get_mut()).err();
        }
        self.broken.map_or(Ok(()), |error| Err(self.router.answer(error.reason)))
    }

    /// The body source that nothing outranks, if there is one.
    fn leader(&self) -> Option<usize> {
        self.contenders.iter().find_map(|contender| match contender {
            Contender::Body { format, index } if *format == self.scan.format() => Some(Some(*index)),
            Contender::Body { .. } => None,
            Contender::Head(found) if self.router.is_passed_over(found) => None,
            Contender::Head(_) => Some(None),
        })?
    }
}

impl Guard {
    /// Scans a chunk that is about to be passed on.
    ///
    /// # Errors
    /// The key is named again, or the body is malformed. The request must end before the upstream has a complete
    /// body; the decision is always a rejection, as the request can no longer change its cell.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        let scanned = self.scan.get_mut().push(chunk);
        self.check(scanned)
    }

    /// The body is about to end.
    ///
    /// # Errors
    /// As for [`Guard::push`].
    pub fn finish(&mut self) -> Result<(), Decision> {
        let scanned = self.scan.get_mut().finish();
        self.check(scanned)
    }

    fn check(&self, scanned: Result<(), BodyError>) -> Result<(), Decision> {
        match (scanned, self.scan.get().candidate(self.index)) {
            (Err(error), _) => Err(self.conflict(error.reason)),
            (Ok(()), Candidate::Unusable(reason)) if reason.is_conflict() => Err(self.conflict(reason)),
            (Ok(()), _) => Ok(()),
        }
    }

    fn conflict(&self, reason: Reason) -> Decision {
        let status = match self.router.config().policy.answer(reason) {
            Answer::Reject(status) => status,
            _ => 400,
        };
        Decision { outcome: Outcome::Reject(status), reason }
    }
}

impl Scan {
    pub(super) fn format(&self) -> Format {
        match self {
            Scan::Json(_) => Format::Json,
            Scan::Form(_) => Format::Form,
        }
    }

    pub(super) fn get(&self) -> &dyn BodyScanner {
        match self {
            Scan::Json(scanner) => scanner.as_ref(),
            Scan::Form(scanner) => scanner.as_ref(),
        }
    }

    fn get_mut(&mut self) -> &mut dyn BodyScanner {
        match self {
            Scan::Json(scanner) => scanner.as_mut(),
            Scan::Form(scanner) => scanner.as_mut(),
        }
    }
}
