//! The position in the document in terms of the sources' paths, and the values found for them.

use std::sync::Arc;

use super::attributes::Attributes;
use super::element_path::ElementPath;
use super::namespaces::Namespaces;
use super::query::ElementQuery;
use super::text::ElementText;
use crate::body::Candidate;
use crate::key::{Duplicates, StoredKey};
use crate::reason::Reason;
use crate::value::ValueReader;

/// What all sources have found so far.
#[derive(Debug)]
pub(super) struct ElementSearch {
    query: Arc<ElementQuery>,
    sources: Vec<SourceSearch>,
    /// How many elements are open.
    depth: usize,
    /// The values of attributes of the current tag that may be keys.
    attributes: Vec<AttributeReading>,
}

/// What one source has found so far.
#[derive(Debug)]
struct SourceSearch {
    /// How many of the outermost open elements are those of the path.
    matched: usize,
    /// For each step, whether an element or attribute for it has come in the current element of the step before.
    seen: u32,
    /// The value of the document, and of the current element of each step that stands for any element.
    values: Vec<StoredKey>,
    /// The text of the element at the end of the path, while it is open.
    text: Option<ElementText>,
}

/// The value of an attribute that may be the key of a source.
#[derive(Debug)]
struct AttributeReading {
    attribute: usize,
    source: usize,
    reader: ValueReader,
}

impl ElementSearch {
    pub(super) fn new(query: Arc<ElementQuery>) -> Self {
        let source = || SourceSearch { matched: 0, seen: 0, values: vec![StoredKey::Missing], text: None };
        let sources = query.sources.iter().map(|_| source()).collect();
        Self { query, sources, depth: 0, attributes: Vec::new() }
    }

    /// The value of an attribute of the current tag follows. The namespaces of the tag are not known yet.
    pub(super) fn begin_attribute(&mut self, attribute: usize, local: &str) {
        for (source, ((path, rule), search)) in self.query.sources.iter().zip(&self.sources).enumerate() {
            let is_wanted = path.attribute.as_ref().is_some_and(|test| test.local.as_deref() == Some(local));
            if is_wanted && search.matched == self.depth && path.elements.len() == self.depth + 1 {
                self.attributes.push(AttributeReading { attribute, source, reader: rule.reader() });
            }
        }
    }

    /// The next piece of the value of the current attribute.
    pub(super) fn push_attribute(&mut self, attribute: usize, piece: &str) {
        let readings = self.attributes.iter_mut().rev().take_while(|reading| reading.attribute == attribute);
        readings.for_each(|reading| reading.reader.push(piece.as_bytes()));
    }

    /// An element opens; its tag is complete.
    pub(super) fn open(&mut self, namespace: &str, local: &str, attributes: &Attributes, scope: &Namespaces) {
        self.depth += 1;
        for ((path, rule), search) in self.query.sources.iter().zip(&mut self.sources) {
            if let Some(text) = &mut search.text {
                text.note_element();
            }
            if search.matched + 1 != self.depth {
                continue;
            }
            let Some(step) = path.elements.get(search.matched) else { continue };
            let is_entered = step.matches(namespace, local) && search.enter(step.is_any(), self.query.duplicates);
            if is_entered && search.matched == path.elements.len() && path.attribute.is_none() {
                search.text = Some(ElementText::new(rule));
            }
        }
        for reading in self.attributes.drain(..) {
            let (Some((path, rule)), Some(search)) =
                (self.query.sources.get(reading.source), self.sources.get_mut(reading.source))
            else {
                continue;
            };
            let Ok((namespace, local)) = attributes.expanded(reading.attribute, scope) else { continue };
            let is_wanted = path.attribute.as_ref().is_some_and(|test| test.matches(namespace, local));
            if is_wanted && search.matched == self.depth && search.see(self.query.duplicates) {
                search.store(reading.reader.finish(rule).into());
            }
        }
    }

    /// The next piece of the character data of the innermost element.
    pub(super) fn push_text(&mut self, piece: &str) {
        for search in &mut self.sources {
            if search.matched == self.depth
                && let Some(text) = &mut search.text
            {
                text.push(piece);
            }
        }
    }

    /// Something else than text comes in the innermost element.
    pub(super) fn interrupt_text(&mut self) {
        for search in &mut self.sources {
            if search.matched == self.depth
                && let Some(text) = &mut search.text
            {
                text.interrupt();
            }
        }
    }

    /// The innermost element closes.
    pub(super) fn close(&mut self) {
        for ((path, rule), search) in self.query.sources.iter().zip(&mut self.sources) {
            if search.matched == self.depth && self.depth > 0 {
                if let Some(text) = search.text.take() {
                    search.store(text.finish(rule));
                }
                search.leave(path);
            }
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// The value of a source so far.
    pub(super) fn candidate(&self, index: usize) -> Candidate<'_> {
        let values = self.sources.get(index).map(|search| search.values.as_slice()).unwrap_or_default();
        let value = values.iter().find(|value| value.is_conflict());
        let value = value.or_else(|| values.iter().find(|value| **value != StoredKey::Missing));
        value.map_or(Candidate::Missing, StoredKey::candidate)
    }
}

impl SourceSearch {
    /// The next step of the path fits the element that opens. Returns whether the element counts.
    fn enter(&mut self, is_any: bool, duplicates: Duplicates) -> bool {
        if !is_any && !self.see(duplicates) {
            return false;
        }
        self.matched += 1;
        self.seen &= bit(self.matched) - 1;
        if is_any {
            self.values.push(StoredKey::Missing);
        }
        true
    }

    /// An element or attribute of the next step comes, which may stand only once. Returns whether it counts.
    fn see(&mut self, duplicates: Duplicates) -> bool {
        let is_first = self.seen & bit(self.matched) == 0;
        self.seen |= bit(self.matched);
        match duplicates {
            _ if is_first => true,
            Duplicates::First => false,
            Duplicates::Reject => {
                self.replace(StoredKey::Unusable(Reason::KeyDuplicated));
                false
            }
            Duplicates::Last => {
                self.replace(StoredKey::Missing);
                true
            }
        }
    }

    /// The innermost element of the path closes.
    fn leave(&mut self, path: &ElementPath) {
        self.matched = self.matched.saturating_sub(1);
        let is_any = path.elements.get(self.matched).is_some_and(|step| step.is_any());
        if is_any
            && let Some(value) = self.values.pop()
            && let Some(outer) = self.values.last_mut()
        {
            outer.agree(value);
        }
    }

    /// Stores a value that is complete.
    fn store(&mut self, key: StoredKey) {
        if key != StoredKey::Missing {
            self.replace(key);
        }
    }

    /// Replaces the innermost value. The first conflict gives the reason.
    fn replace(&mut self, key: StoredKey) {
        if let Some(value) = self.values.last_mut()
            && !value.is_conflict()
        {
            *value = key;
        }
    }
}

/// The bit of a step. There are at most [`ElementPath::MAX_STEPS`].
fn bit(step: usize) -> u32 {
    1_u32.checked_shl(u32::try_from(step).unwrap_or(u32::MAX)).unwrap_or_default()
}
