//! The value of each source for `cellgate decide`, and the source that decides for traces. Live requests without a trace use
//! neither.

use super::{BodyReader, Decider, Guard};
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

/// The source that decides, and its key. `None` for the key: its value cannot be one.
pub type KeyOrigin<'a> = (&'a Source, Option<String>);

impl Decider {
    /// The source in a request's head that decides, if no source in the body does.
    #[must_use]
    pub fn head_origin<H: Head + ?Sized>(&self, head: &H) -> Option<KeyOrigin<'_>> {
        let in_head = self.indexed_sources().filter(|(_, _, in_body)| in_body.is_none());
        let mut held = in_head.filter_map(|(source, rule, _)| Some((source, self.find_in_head(source, head, rule)?)));
        let (source, found) = held.find(|(_, found)| !self.passes_over(found))?;
        Some((source, found.ok()))
    }

    fn body_source(&self, place: (Format, usize)) -> Option<&Source> {
        self.indexed_sources().find(|(_, _, in_body)| *in_body == Some(place)).map(|(source, _, _)| source)
    }
}

impl BodyReader {
    /// The source in the body that decides. `None`: one in the head does, or none.
    #[must_use]
    pub fn body_origin(&self) -> Option<KeyOrigin<'_>> {
        if self.received() == 0 {
            return None;
        }
        let (place, key) = self.sources().deciding_in_body(self.decider(), self.scanner())?;
        Some((self.decider().body_source(place)?, key.map(str::to_owned)))
    }
}

impl Guard {
    /// The source in the body that has decided.
    #[must_use]
    pub fn body_origin(&self) -> Option<KeyOrigin<'_>> {
        Some((self.decider().body_source(self.place())?, self.key().map(str::to_owned)))
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
