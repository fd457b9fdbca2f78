//! The values of the sources in one message, and what all messages so far agree on.

use super::query::{MessageQuery, QueryField};
use crate::body::Candidate;
use crate::key::{Duplicates, StoredKey};
use crate::reason::Reason;
use crate::value::ValueReader;

/// The values of all protobuf sources.
#[derive(Debug)]
pub(super) struct FieldValues(Vec<FieldValue>);

#[derive(Debug, Default)]
struct FieldValue {
    /// The fields in the current scope: the message, or the occurrence of the innermost repeated field.
    seen: SeenField,
    current: StoredKey,
    /// What all scopes before agree on.
    agreed: StoredKey,
    /// The reader of a string that is arriving.
    reader: Option<ValueReader>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SeenField {
    #[default]
    Nothing,
    /// One value, or those that the rule for duplicates allows.
    Value,
    /// A field with a wire type that its type never has: some decoders ignore it, others fail. Or a duplicate.
    Disputed,
}

impl FieldValues {
    pub(super) fn new(query: &MessageQuery) -> Self {
        Self((0..query.source_count()).map(|_| FieldValue::default()).collect())
    }

    /// The value so far.
    pub(super) fn candidate(&self, source: usize) -> Candidate<'_> {
        self.0.get(source).map_or(Candidate::Missing, |value| match &value.agreed {
            StoredKey::Missing => value.current.candidate(),
            agreed => agreed.candidate(),
        })
    }

    /// Whether only a conflict can change the value. Within a scope, a later duplicate may win; scopes must agree.
    pub(super) fn is_settled(&self, source: usize, duplicates: Duplicates) -> bool {
        self.0.get(source).is_some_and(|value| {
            value.agreed != StoredKey::Missing
                || (duplicates != Duplicates::Last && value.current != StoredKey::Missing)
        })
    }

    /// Stores an integer.
    pub(super) fn number(&mut self, query: &MessageQuery, field: &QueryField, digits: &str) {
        for (source, value) in self.of(field) {
            if value.begin(query.duplicates())
                && let Some(rule) = query.rule(source)
            {
                value.current = rule.read(digits.as_bytes()).into();
            }
            value.end_field(query, field, source);
        }
    }

    /// Begins a string.
    pub(super) fn begin_text(&mut self, query: &MessageQuery, field: &QueryField) {
        for (source, value) in self.of(field) {
            value.reader =
                if value.begin(query.duplicates()) { query.rule(source).map(|rule| rule.reader()) } else { None };
        }
    }

    /// The next piece of a string.
    pub(super) fn text(&mut self, field: &QueryField, piece: &[u8]) {
        for (_, value) in self.of(field) {
            if let Some(reader) = &mut value.reader {
                reader.push(piece);
            }
        }
    }

    /// Ends a string.
    pub(super) fn end_text(&mut self, query: &MessageQuery, field: &QueryField) {
        for (source, value) in self.of(field) {
            if let (Some(reader), Some(rule)) = (value.reader.take(), query.rule(source)) {
                value.current = reader.finish(rule).into();
            }
            value.end_field(query, field, source);
        }
    }

    /// A field on the path has a wire type that its type never has.
    pub(super) fn mistyped(&mut self, query: &MessageQuery, field: &QueryField) {
        for (source, value) in self.of(field) {
            let reason = match value.seen {
                SeenField::Nothing => Reason::KeyMalformed,
                SeenField::Value | SeenField::Disputed => Reason::KeyDuplicated,
            };
            value.seen = SeenField::Disputed;
            value.current = StoredKey::Unusable(reason);
            if query.has_scope_inside(field, source) {
                value.end_scope();
            }
        }
    }

    /// A message on the path ends.
    pub(super) fn leave(&mut self, query: &MessageQuery, field: &QueryField) {
        for (source, value) in self.of(field) {
            value.end_field(query, field, source);
        }
    }

    fn of(&mut self, field: &QueryField) -> impl Iterator<Item = (usize, &mut FieldValue)> {
        let sources = &field.sources;
        self.0.iter_mut().enumerate().filter(move |(source, _)| sources.contains(source))
    }
}

impl FieldValue {
    /// A value begins. Returns whether it counts.
    fn begin(&mut self, duplicates: Duplicates) -> bool {
        let seen = std::mem::replace(&mut self.seen, SeenField::Value);
        match (seen, duplicates) {
            (SeenField::Nothing, _) | (SeenField::Value, Duplicates::Last) => true,
            (SeenField::Value, Duplicates::First) => false,
            (SeenField::Disputed, _) | (SeenField::Value, Duplicates::Reject) => {
                self.seen = SeenField::Disputed;
                self.current = StoredKey::Unusable(Reason::KeyDuplicated);
                false
            }
        }
    }

    fn end_field(&mut self, query: &MessageQuery, field: &QueryField, source: usize) {
        if query.is_scope(field, source) {
            self.end_scope();
        }
    }

    fn end_scope(&mut self) {
        self.seen = SeenField::Nothing;
        self.agreed.agree(std::mem::take(&mut self.current));
    }
}
