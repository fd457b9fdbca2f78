//! The fields of a form, in either encoding: those to find, and their values.

mod php_name;

use std::sync::Arc;

use crate::body::Candidate;
use crate::format::ScanLimits;
use crate::key::{Duplicates, StoredKey};
use crate::reason::Reason;
use crate::value::{KeyRule, ValueReader};
pub(crate) use php_name::PhpName;

/// The fields to find, and the rule for duplicates.
#[derive(Debug)]
pub struct FieldQuery {
    sources: Vec<FormSource>,
    duplicates: Duplicates,
    /// For each byte, whether the name of a field may begin with it, or a name that may be taken for a field's.
    first_bytes: [bool; 256],
}

/// A field, and how its value becomes a key. Several sources may have the same field.
#[derive(Debug)]
struct FormSource {
    name: Box<str>,
    rule: KeyRule,
}

impl FieldQuery {
    /// A query for fields whose values are keys. `key_bytes` is the length of the longest key.
    #[must_use]
    pub fn new(fields: Vec<Box<str>>, duplicates: Duplicates, key_bytes: usize) -> Self {
        Self::of_sources(fields.into_iter().map(|name| (name, KeyRule::whole(key_bytes))), duplicates)
    }

    /// A query for fields with their rules.
    pub(crate) fn with_rules(fields: Vec<(Box<str>, KeyRule)>, limits: ScanLimits) -> Self {
        Self::of_sources(fields.into_iter(), limits.duplicates)
    }

    fn of_sources(fields: impl Iterator<Item = (Box<str>, KeyRule)>, duplicates: Duplicates) -> Self {
        let sources: Vec<_> = fields.map(|(name, rule)| FormSource { name, rule }).collect();
        let may_begin = |first| sources.iter().any(|source| PhpName::may_begin(first, source.name.as_bytes()));
        Self { first_bytes: std::array::from_fn(|first| may_begin(first as u8)), sources, duplicates }
    }

    /// The rule for duplicates.
    pub(crate) fn duplicates(&self) -> Duplicates {
        self.duplicates
    }

    /// The length of the longest name, in bytes.
    pub(crate) fn name_bytes(&self) -> usize {
        self.sources.iter().map(|source| source.name.len()).max().unwrap_or_default()
    }

    /// Whether a name that begins with this byte, decoded, may be a field's, or be taken for one
    /// ([`FormValues::other`]). Most names differ from all fields' names here.
    #[inline]
    pub(crate) fn may_begin(&self, first: u8) -> bool {
        self.first_bytes.get(usize::from(first)).copied().unwrap_or(true)
    }

    /// Whether a source has the field with this name.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.sources.iter().any(|source| source.name.as_bytes() == name)
    }
}

/// The values of the fields of one form.
#[derive(Debug)]
pub(crate) struct FormValues {
    query: Arc<FieldQuery>,
    /// By source.
    values: Vec<FormValue>,
    /// The readers of the current value, with the indices of their sources.
    readers: Vec<(usize, ValueReader)>,
}

#[derive(Clone, Debug, Default)]
struct FormValue {
    /// Whether the field has occurred, with a key or without.
    occurs: bool,
    key: StoredKey,
}

impl FormValues {
    pub(crate) fn new(query: Arc<FieldQuery>) -> Self {
        let values = vec![FormValue::default(); query.sources.len()];
        Self { query, values, readers: Vec::new() }
    }

    pub(crate) fn query(&self) -> &FieldQuery {
        &self.query
    }

    /// Begins a value of the field with this name. Returns whether a source needs the value.
    pub(crate) fn begin(&mut self, name: &[u8]) -> bool {
        self.occurrence(name, |_| None)
    }

    /// As [`FormValues::begin`], for a value that a source may not read: `refused` gives the reason.
    pub(crate) fn occurrence(&mut self, name: &[u8], refused: impl Fn(&KeyRule) -> Option<Reason>) -> bool {
        for (index, (source, value)) in self.query.sources.iter().zip(&mut self.values).enumerate() {
            if source.name.as_bytes() != name || !value.occurs_again(self.query.duplicates) {
                continue;
            }
            match refused(&source.rule) {
                Some(reason) => value.key = StoredKey::Unusable(reason),
                None => self.readers.push((index, source.rule.reader())),
            }
        }
        !self.readers.is_empty()
    }

    /// A name occurs that no source has, here without its escapes. A parser that ignores case, PHP, or a parser that
    /// decodes escapes (`is_escaped`) may take it for a field's: the key is then ambiguous. `is_cut`: the name goes on.
    pub(crate) fn other(&mut self, name: &[u8], is_escaped: bool, is_cut: bool) {
        let duplicates = self.query.duplicates;
        let php_name = PhpName { name, is_cut };
        for (source, value) in self.query.sources.iter().zip(&mut self.values) {
            let wanted = source.name.as_bytes();
            // With `first` or `last`, the operator says how the upstreams read names.
            let is_variant =
                (is_escaped && wanted == name) || (duplicates == Duplicates::Reject && php_name.may_be(wanted));
            if is_variant && value.occurs_as_variant(duplicates) {
                value.key = StoredKey::Unusable(Reason::KeyAmbiguous);
            }
        }
    }

    /// Reads a piece of the current value, decoded.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        for (_, reader) in &mut self.readers {
            reader.push(piece);
        }
    }

    /// Ends the current value, which is unusable if there is a reason.
    pub(crate) fn end(&mut self, unusable: Option<Reason>) {
        for (index, reader) in self.readers.drain(..) {
            if let (Some(source), Some(value)) = (self.query.sources.get(index), self.values.get_mut(index)) {
                value.key = match unusable {
                    Some(reason) => StoredKey::Unusable(reason),
                    None => reader.finish(&source.rule).into(),
                };
            }
        }
    }

    /// As [`crate::body::BodyScanner::candidate`].
    pub(crate) fn candidate(&self, index: usize) -> Candidate<'_> {
        self.values.get(index).map_or(Candidate::Missing, |value| value.key.candidate())
    }

    /// As [`crate::body::BodyScanner::is_settled`].
    pub(crate) fn is_settled(&self, index: usize) -> bool {
        self.query.duplicates != Duplicates::Last && self.candidate(index) != Candidate::Missing
    }
}

impl FormValue {
    /// The field occurs. Returns whether its value counts.
    fn occurs_again(&mut self, duplicates: Duplicates) -> bool {
        let is_repeated = std::mem::replace(&mut self.occurs, true);
        if is_repeated && duplicates == Duplicates::Reject {
            // The first conflict gives the reason.
            if !self.key.is_conflict() {
                self.key = StoredKey::Unusable(Reason::KeyDuplicated);
            }
            return false;
        }
        !is_repeated || duplicates == Duplicates::Last
    }

    /// A name occurs that may be the field's. Returns whether this counts.
    fn occurs_as_variant(&mut self, duplicates: Duplicates) -> bool {
        let is_repeated = std::mem::replace(&mut self.occurs, true);
        (!is_repeated || duplicates != Duplicates::First)
            && !(self.key.is_conflict() && duplicates == Duplicates::Reject)
    }
}
