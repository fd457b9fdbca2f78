//! The sources of one request, and the search for its key in them.

use super::Decider;
use super::scanner::FormatScanner;
use crate::format::Format;
use crate::head::Head;
use crate::reason::Reason;
use crate::source::Found;

/// The sources that may yield a request's key, in order of precedence.
#[derive(Debug)]
pub(super) struct ActiveSources(Vec<ActiveSource>);

#[derive(Debug)]
enum ActiveSource {
    /// The source with this index among those of the format.
    Body { format: Format, index: usize },
    /// A head source and the key it holds, or why its value cannot be a key.
    Head(Found),
}

/// The result of the search for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySearch<'a> {
    /// A source holds this key.
    Key(&'a str),
    /// A source holds a value that cannot be a key.
    Unusable(Reason),
    /// The policy `next` passed over at least one source, and no other source holds anything. The reason is the first.
    PassedOver(Reason),
    /// No source holds anything.
    Nothing,
}

impl<'a> KeySearch<'a> {
    /// The key, if there is a valid one.
    pub(super) fn key(self) -> Option<&'a str> {
        match self {
            KeySearch::Key(key) => Some(key),
            KeySearch::Unusable(_) | KeySearch::PassedOver(_) | KeySearch::Nothing => None,
        }
    }

    /// The result, when a reason before all sources was passed over.
    pub(super) fn after(self, reason: Reason) -> Self {
        match self {
            KeySearch::PassedOver(_) | KeySearch::Nothing => KeySearch::PassedOver(reason),
            KeySearch::Key(_) | KeySearch::Unusable(_) => self,
        }
    }
}

impl<'a> From<Result<&'a str, Reason>> for KeySearch<'a> {
    fn from(found: Result<&'a str, Reason>) -> Self {
        found.map_or_else(KeySearch::Unusable, KeySearch::Key)
    }
}

impl ActiveSources {
    /// The body sources, and the head sources that hold something. A head source that decides is the last one.
    pub(super) fn of_head<H: Head + ?Sized>(decider: &Decider, head: &H) -> Self {
        let config = decider.config();
        let mut sources = Vec::with_capacity(config.sources.len());
        for (source, rule, in_body) in decider.indexed_sources() {
            if let Some((format, index)) = in_body {
                sources.push(ActiveSource::Body { format, index });
            } else if let Some(found) = decider.find_in_head(source, head, rule) {
                let decides = !decider.passes_over(&found);
                sources.push(ActiveSource::Head(found));
                if decides {
                    break;
                }
            }
        }
        Self(sources)
    }

    pub(super) fn has_body_source(&self) -> bool {
        self.0.iter().any(|source| matches!(source, ActiveSource::Body { .. }))
    }

    /// Whether a source reads this format.
    pub(super) fn read(&self, wanted: Format) -> bool {
        self.0.iter().any(|source| matches!(source, ActiveSource::Body { format, .. } if *format == wanted))
    }

    /// The index of the body source that no other source can outrank, if there is one.
    pub(super) fn first_in_body(&self, decider: &Decider, read: Format) -> Option<usize> {
        for source in &self.0 {
            match source {
                ActiveSource::Body { format, index } if *format == read => return Some(*index),
                ActiveSource::Body { .. } => {}
                ActiveSource::Head(found) if decider.passes_over(found) => {}
                ActiveSource::Head(_) => return None,
            }
        }
        None
    }

    /// The place in the body of the value that decides, and its key if it is one. `None`: a value in the head decides, or none.
    pub(super) fn deciding_in_body<'a>(
        &'a self,
        decider: &Decider,
        body: &'a FormatScanner,
    ) -> Option<((Format, usize), Option<&'a str>)> {
        for source in &self.0 {
            match (source, source.value(Some(body))) {
                (_, None) => {}
                (_, Some(found)) if decider.passes_over(&found) => {}
                (ActiveSource::Body { format, index }, Some(found)) => return Some(((*format, *index), found.ok())),
                (ActiveSource::Head(_), Some(_)) => return None,
            }
        }
        None
    }

    /// The first key or unusable value that the policy does not pass over. `body` is the scanned body, if it was read.
    #[inline(always)]
    pub(super) fn find_key<'a>(&'a self, decider: &Decider, body: Option<&'a FormatScanner>) -> KeySearch<'a> {
        let mut passed_over = None;
        for source in &self.0 {
            match source.value(body) {
                None => {}
                Some(Err(reason)) if decider.is_passed_over(reason) => passed_over = passed_over.or(Some(reason)),
                Some(found) => return found.into(),
            }
        }
        passed_over.map_or(KeySearch::Nothing, KeySearch::PassedOver)
    }
}

impl ActiveSource {
    #[inline(always)]
    fn value<'a>(&'a self, body: Option<&'a FormatScanner>) -> Option<Result<&'a str, Reason>> {
        match (self, body) {
            (ActiveSource::Head(found), _) => Some(found.as_deref().map_err(|reason| *reason)),
            (ActiveSource::Body { format, index }, Some(scanner)) if *format == scanner.format() => {
                scanner.get().candidate(*index).found()
            }
            (ActiveSource::Body { .. }, _) => None,
        }
    }
}
