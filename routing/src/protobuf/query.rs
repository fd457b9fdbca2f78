//! The paths of all protobuf sources, as a tree of fields.

use super::field_path::{FieldPath, ScalarType};
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::value::KeyRule;

/// The fields to find in a message, and the limits.
#[derive(Debug)]
pub struct MessageQuery {
    /// The first is the message itself.
    fields: Vec<QueryField>,
    sources: Vec<FieldSource>,
    limits: ScanLimits,
}

/// A field on the path of a source.
#[derive(Debug)]
pub(super) struct QueryField {
    number: u32,
    /// The number of fields on the path to it, with itself. The message itself has none.
    depth: usize,
    pub(super) is_repeated: bool,
    pub(super) content: FieldContent,
    /// The sources whose path has the field.
    pub(super) sources: Vec<usize>,
}

/// What a field on a path must hold.
#[derive(Debug)]
pub(super) enum FieldContent {
    /// A message with these fields, among others.
    Message(Vec<FieldIndex>),
    /// The key.
    Scalar(ScalarType),
}

/// The index of a [`QueryField`].
pub(super) type FieldIndex = usize;

/// The message itself.
pub(super) const MESSAGE: FieldIndex = 0;

#[derive(Debug)]
struct FieldSource {
    rule: KeyRule,
    /// The depth of the innermost repeated field: values in two occurrences of it are not duplicates. 0 is the message.
    scope: usize,
}

impl MessageQuery {
    /// A query for paths of which no two clash ([`FieldPath::check_beside`]). A path that clashes with an earlier one finds
    /// nothing.
    pub(crate) fn with_rules(paths: Vec<(FieldPath, KeyRule)>, limits: ScanLimits) -> Self {
        let root = QueryField {
            number: 0,
            depth: 0,
            is_repeated: false,
            content: FieldContent::Message(Vec::new()),
            sources: (0..paths.len()).collect(),
        };
        let mut query = Self { fields: vec![root], sources: Vec::with_capacity(paths.len()), limits };
        for (path, rule) in paths {
            let source = query.sources.len();
            let scope = path.steps().iter().rposition(|step| step.is_repeated).map_or(0, |index| index + 1);
            query.sources.push(FieldSource { rule, scope });
            query.add(&path, source);
        }
        query
    }

    pub(super) fn field(&self, index: FieldIndex) -> Option<&QueryField> {
        self.fields.get(index)
    }

    /// The field with this number in a message.
    pub(super) fn child(&self, message: FieldIndex, number: u32) -> Option<FieldIndex> {
        let FieldContent::Message(children) = &self.field(message)?.content else { return None };
        children.iter().copied().find(|child| self.field(*child).is_some_and(|field| field.number == number))
    }

    /// The rule of a source.
    pub(super) fn rule(&self, source: usize) -> Option<&KeyRule> {
        self.sources.get(source).map(|source| &source.rule)
    }

    /// Whether an occurrence of this field is the whole scope of the source's values.
    pub(super) fn is_scope(&self, field: &QueryField, source: usize) -> bool {
        self.sources.get(source).is_some_and(|source| source.scope == field.depth)
    }

    /// Whether the scope of the source's values is this field or one inside it.
    pub(super) fn has_scope_inside(&self, field: &QueryField, source: usize) -> bool {
        self.sources.get(source).is_some_and(|source| source.scope >= field.depth)
    }

    pub(super) fn source_count(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn duplicates(&self) -> Duplicates {
        self.limits.duplicates
    }

    /// The deepest nesting of messages on a path and of groups.
    pub(super) fn depth(&self) -> usize {
        self.limits.depth
    }

    fn add(&mut self, path: &FieldPath, source: usize) {
        let mut parent = MESSAGE;
        let last = path.steps().len().saturating_sub(1);
        for (index, step) in path.steps().iter().enumerate() {
            let content =
                if index == last { FieldContent::Scalar(path.scalar()) } else { FieldContent::Message(vec![]) };
            parent = match self.child(parent, step.number) {
                Some(child) => child,
                None => {
                    let child = self.fields.len();
                    if let Some(QueryField { content: FieldContent::Message(children), .. }) =
                        self.fields.get_mut(parent)
                    {
                        children.push(child);
                    }
                    self.fields.push(QueryField {
                        number: step.number,
                        depth: index + 1,
                        is_repeated: step.is_repeated,
                        content,
                        sources: Vec::new(),
                    });
                    child
                }
            };
            if let Some(field) = self.fields.get_mut(parent) {
                field.sources.push(source);
            }
        }
    }
}
