//! From the value at a place to a key: a part of the value, its case, or a document inside it.

mod literal_text;
mod part;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use part::{BadValueTemplate, ValueTemplate};

use crate::body::BodyScanner;
use crate::format::{BodyFormat, Format, FormatQueries, ScanLimits};
use crate::key;
use crate::reason::Reason;
use crate::source::{Place, Source};

/// The longest value of which a part is the key, in bytes. A bearer token in a header may be this long.
pub(crate) const MAX_VALUE: usize = 8 << 10;

/// How the value at a place becomes a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueRule {
    /// The place in the document that the value holds.
    pub then: Option<Box<Place>>,
    /// The part of the value that is the key. The whole value by default.
    pub part: Option<ValueTemplate>,
    /// The case of the key.
    pub case: Case,
}

/// The case of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// The case of the request.
    #[default]
    Exact,
    /// The ASCII letters of the key become lower case, so that `Acme` and `acme` are one key.
    Lower,
}

/// The value of a source: a key, or why it cannot be one. `None` if the source holds nothing.
pub(crate) type ReadKey<'a> = Option<Result<Cow<'a, str>, Reason>>;

/// A [`ValueRule`] with all that it needs for each request.
#[derive(Clone, Debug)]
pub(crate) struct KeyRule {
    part: Option<ValueTemplate>,
    /// Whether the value is that of `Authorization`.
    is_credentials: bool,
    case: Case,
    key_bytes: usize,
    nested: Option<NestedQuery>,
}

/// The query of a document inside a value.
#[derive(Clone, Debug)]
struct NestedQuery {
    format: Format,
    queries: Arc<FormatQueries>,
}

impl KeyRule {
    /// The rule of a source. `limits` hold for the document inside the value too.
    pub(crate) fn new(rule: &ValueRule, limits: ScanLimits) -> Self {
        let plain = Self { part: rule.part.clone(), case: rule.case, ..Self::whole(limits.key_bytes) };
        match rule.then.as_deref().and_then(|place| Some((place, place.format()?))) {
            None => plain,
            Some((place, format)) => {
                let queries = Arc::new(FormatQueries::new([(place, plain)], limits));
                Self { nested: Some(NestedQuery { format, queries }), ..Self::whole(limits.key_bytes) }
            }
        }
    }

    /// As [`KeyRule::new`], with what the place means for the value.
    pub(crate) fn of(source: &Source, limits: ScanLimits) -> Self {
        let is_credentials = matches!(&source.place, Place::Header(name) if &**name == "authorization");
        Self { is_credentials, ..Self::new(&source.rule, limits) }
    }

    /// The rule for a value that is the key.
    pub(crate) fn whole(key_bytes: usize) -> Self {
        Self { part: None, is_credentials: false, case: Case::Exact, key_bytes, nested: None }
    }

    /// The format of the document that the value holds.
    pub(crate) fn nested_format(&self) -> Option<Format> {
        self.nested.as_ref().map(|nested| nested.format)
    }

    /// Whether [`KeyRule::read`] finds something in every value.
    pub(crate) fn takes_every_value(&self) -> bool {
        self.part.is_none() && self.nested.is_none()
    }

    /// Reads a complete value, decoded. A value that is too long for its part to be found is `key_too_long`, if it begins
    /// like the template.
    #[inline]
    pub(crate) fn read<'a>(&self, value: &'a [u8]) -> ReadKey<'a> {
        match (&self.nested, &self.part, self.case) {
            (None, None, Case::Exact) => Some(key::check(value, self.key_bytes).map(Cow::Borrowed)),
            _ => self.read_by_rule(value),
        }
    }

    fn read_by_rule<'a>(&self, value: &'a [u8]) -> ReadKey<'a> {
        if self.nested.is_some() {
            let mut reader = self.reader();
            reader.push(value);
            return reader.finish(self).map(|found| found.map(Cow::Owned));
        }
        let part = match &self.part {
            None => value,
            Some(template) if value.len() > MAX_VALUE => {
                return template.strip_start(value, self.is_credentials).map(|_| Err(Reason::KeyTooLong));
            }
            Some(template) => match template.capture(value, self.is_credentials)? {
                Ok(part) => part,
                Err(reason) => return Some(Err(reason)),
            },
        };
        Some(key::check(part, self.key_bytes).map(|key| match self.case {
            Case::Lower if key.bytes().any(|byte| byte.is_ascii_uppercase()) => Cow::Owned(key.to_ascii_lowercase()),
            Case::Exact | Case::Lower => Cow::Borrowed(key),
        }))
    }

    /// The reader of a value that arrives in pieces.
    pub(crate) fn reader(&self) -> ValueReader {
        match &self.nested {
            None => ValueReader::Text { bytes: Vec::new(), limit: self.text_bytes() },
            Some(NestedQuery { format, queries }) => match queries.scanner(&BodyFormat::of(*format)) {
                Ok(scanner) => ValueReader::Nested { scanner, is_empty: true, error: None },
                Err(reason) => ValueReader::Unreadable(reason),
            },
        }
    }

    /// Whether the value holds a document.
    pub(crate) fn is_nested(&self) -> bool {
        self.nested.is_some()
    }

    /// The longest text that may matter, in bytes. A reader of a document inside the value keeps what it needs itself.
    pub(crate) fn text_bytes(&self) -> usize {
        match (&self.nested, &self.part) {
            (Some(_), _) => 0,
            (None, Some(_)) => MAX_VALUE,
            (None, None) => self.key_bytes,
        }
    }
}

/// Reads one value, decoded, in pieces of any size. Memory: the longest text that may matter, or the inner scanner's.
#[derive(Debug)]
pub(crate) enum ValueReader {
    /// Keeps the text, and one byte more if it is too long.
    Text { bytes: Vec<u8>, limit: usize },
    /// Scans the document inside the value.
    Nested { scanner: Box<dyn BodyScanner>, is_empty: bool, error: Option<Reason> },
    /// The document inside the value cannot be read.
    Unreadable(Reason),
}

impl ValueReader {
    /// Reads the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        match self {
            ValueReader::Text { bytes, limit } => {
                let room = limit.saturating_add(1).saturating_sub(bytes.len());
                bytes.extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
            ValueReader::Nested { scanner, is_empty, error } => {
                *is_empty &= piece.is_empty();
                if error.is_none() {
                    *error = scanner.push(piece).err().map(|error| error.reason);
                }
            }
            ValueReader::Unreadable(_) => {}
        }
    }

    /// Ends the value. `rule` made the reader.
    pub(crate) fn finish(self, rule: &KeyRule) -> Option<Result<String, Reason>> {
        match self {
            ValueReader::Text { bytes, .. } => rule.read(&bytes).map(|found| found.map(Cow::into_owned)),
            ValueReader::Nested { is_empty: true, .. } => Some(Err(Reason::KeyEmpty)),
            ValueReader::Nested { error: Some(reason), .. } | ValueReader::Unreadable(reason) => Some(Err(reason)),
            ValueReader::Nested { mut scanner, .. } => match scanner.finish() {
                Ok(()) => scanner.candidate(0).found().map(|found| found.map(str::to_owned)),
                Err(error) => Some(Err(error.reason)),
            },
        }
    }
}

impl fmt::Display for ValueRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.then {
            write!(f, ", then {place}")?;
        }
        if let Some(part) = &self.part {
            write!(f, ", value {part}")?;
        }
        match self.case {
            Case::Exact => Ok(()),
            Case::Lower => f.write_str(", case lower"),
        }
    }
}
