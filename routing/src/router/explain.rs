//! What each source held, for people: `cellgate decide` prints it. Not on the way of a live request.

use super::{Reading, Router};
use crate::head::Head;
use crate::reason::Reason;
use crate::source::{Format, Source};

/// One configured source and what it held.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The source.
    pub source: &'a Source,
    /// What it held.
    pub held: Held,
}

/// What a source held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A source before it decided, so this one does not matter.
    NotReached,
    /// It reads the body, and the body was not read (or is of another format).
    NotRead,
    /// Nothing.
    Nothing,
    /// A key.
    Key(String),
    /// Something that cannot be a key.
    Unusable(Reason),
}

impl Router {
    /// What each source holds in a request's head and in its body, if that was read, in order of precedence.
    #[must_use]
    pub fn explain<H: Head + ?Sized>(&self, head: &H, body: Option<&Reading>) -> Vec<Finding<'_>> {
        let config = self.config();
        let mut decided = false;
        let mut findings = Vec::with_capacity(config.sources.len());
        for (source, of_body) in self.sources() {
            let held = match (decided, of_body) {
                (true, _) => Held::NotReached,
                (false, Some((format, index))) => body.map_or(Held::NotRead, |body| in_body(body, format, index)),
                (false, None) => held(source.find(head, config.duplicates, config.limits.key_bytes)),
            };
            decided |= match &held {
                Held::Key(_) => true,
                Held::Unusable(reason) => !self.is_next(*reason),
                Held::NotReached | Held::NotRead | Held::Nothing => false,
            };
            findings.push(Finding { source, held });
        }
        findings
    }
}

fn in_body(body: &Reading, format: Format, index: usize) -> Held {
    if body.scan().format() != format || body.received() == 0 {
        return Held::NotRead;
    }
    held(body.scan().get().candidate(index).found())
}

fn held(found: Option<Result<impl Into<String>, Reason>>) -> Held {
    match found {
        None => Held::Nothing,
        Some(Ok(key)) => Held::Key(key.into()),
        Some(Err(reason)) => Held::Unusable(reason),
    }
}
