//! The value of each source, for `cellgate decide`. Live requests do not use it.

use super::{BodyReader, Decider};
use crate::format::Format;
use crate::head::Head;
use crate::reason::Reason;
use crate::source::Source;

/// A configured source and its value.
#[derive(Debug)]
pub struct SourceFinding<'a> {
    /// The source.
    pub source: &'a Source,
    /// Its value.
    pub held: SourceValue,
}

/// The value of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceValue {
    /// An earlier source decided.
    NotReached,
    /// The source is in the body, which was not read or has another format.
    NotRead,
    /// The source holds nothing.
    Nothing,
    /// The source holds a key.
    Key(String),
    /// The source holds a value that cannot be a key.
    Unusable(Reason),
}

impl Decider {
    /// The value of each source in a request's head and in its body, if the body was read. In order of precedence.
    #[must_use]
    pub fn explain<H: Head + ?Sized>(&self, head: &H, body: Option<&BodyReader>) -> Vec<SourceFinding<'_>> {
        let config = self.config();
        let mut decided = false;
        let mut findings = Vec::with_capacity(config.sources.len());
        for (source, rule, in_body) in self.indexed_sources() {
            let held = match (decided, in_body) {
                (true, _) => SourceValue::NotReached,
                (false, Some((format, index))) => {
                    body.map_or(SourceValue::NotRead, |body| body_value(body, format, index))
                }
                (false, None) => value(self.find_in_head(source, head, rule)),
            };
            decided |= match &held {
                SourceValue::Key(_) => true,
                SourceValue::Unusable(reason) => !self.is_passed_over(*reason),
                SourceValue::NotReached | SourceValue::NotRead | SourceValue::Nothing => false,
            };
            findings.push(SourceFinding { source, held });
        }
        findings
    }
}

fn body_value(body: &BodyReader, format: Format, index: usize) -> SourceValue {
    if body.scanner().format() != format || body.received() == 0 {
        return SourceValue::NotRead;
    }
    value(body.scanner().get().candidate(index).found())
}

fn value(found: Option<Result<impl Into<String>, Reason>>) -> SourceValue {
    match found {
        None => SourceValue::Nothing,
        Some(Ok(key)) => SourceValue::Key(key.into()),
        Some(Err(reason)) => SourceValue::Unusable(reason),
    }
}
