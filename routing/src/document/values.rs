//! The values found so far.

use super::query::{DocumentQuery, QueryNode};
use crate::body::Candidate;
use crate::key::StoredKey;
use crate::reason::Reason;
use crate::value::KeyRule;

/// The values of a query's ends, and the state of its nodes and conditions.
///
/// An end below `*` or a selector has a value for each level: that of the document, and that of each element that is
/// open. When an element ends, its value goes to the level above: all elements that hold something must agree. Memory
/// therefore depends on the query only.
#[derive(Debug)]
pub(super) struct QueryValues {
    nodes: Vec<NodeState>,
    keys: Vec<StoredKey>,
    conditions: Vec<ConditionState>,
}

/// The state of a node in the innermost open element, or in the document.
#[derive(Clone, Copy, Debug, Default)]
struct NodeState {
    /// Whether its name has come. An object can only open again where the last duplicate counts, and there a name that
    /// came in an earlier object replaces nothing.
    is_named: bool,
    /// Whether its name is a conflict. The first one gives the reason.
    has_conflict: bool,
}

/// Whether a condition holds in the innermost open element.
#[derive(Clone, Copy, Debug, Default)]
enum ConditionState {
    #[default]
    Unmet,
    Met,
    /// Parsers may differ on it.
    Unclear(Reason),
}

impl QueryValues {
    pub(super) fn new(query: &DocumentQuery) -> Self {
        Self {
            nodes: vec![NodeState::default(); query.nodes()],
            keys: vec![StoredKey::default(); query.slots],
            conditions: vec![ConditionState::default(); query.conditions.len()],
        }
    }

    /// Stores the value at a node: for each end there, what its rule makes of it.
    #[inline]
    pub(super) fn store(
        &mut self,
        query: &DocumentQuery,
        node: &QueryNode,
        mut read: impl FnMut(&KeyRule) -> StoredKey,
    ) {
        for end in node.ends.iter().filter_map(|end| query.ends.get(*end)) {
            if let Some(key) = self.keys.get_mut(end.slot + node.level) {
                *key = read(&end.rule);
            }
        }
    }

    /// Stores whether the conditions at a node hold. `text` is the value, if it is a text; its fault, if it cannot be
    /// read.
    pub(super) fn check(&mut self, query: &DocumentQuery, node: &QueryNode, text: Option<Result<&[u8], Reason>>) {
        for index in &node.conditions {
            let Some(condition) = query.conditions.get(*index) else { continue };
            if let Some(state) = self.conditions.get_mut(*index) {
                *state = match text {
                    Some(Ok(text)) if text == condition.text.as_bytes() => ConditionState::Met,
                    Some(Err(reason)) => ConditionState::Unclear(reason),
                    Some(Ok(_)) | None => ConditionState::Unmet,
                };
            }
        }
    }

    /// The name of a node has come. Returns whether it came before.
    #[inline]
    pub(super) fn name(&mut self, node: usize) -> bool {
        self.nodes.get_mut(node).is_some_and(|state| std::mem::replace(&mut state.is_named, true))
    }

    /// Makes a node and all nodes below it ambiguous, for good: later values do not count.
    #[cold]
    pub(super) fn conflict(&mut self, query: &DocumentQuery, index: usize, reason: Reason) {
        let (Some(node), Some(state)) = (query.node(index), self.nodes.get_mut(index)) else { return };
        state.is_named = true;
        if std::mem::replace(&mut state.has_conflict, true) {
            return;
        }
        self.replace_below(query, node, &StoredKey::Unusable(reason));
        self.check(query, node, Some(Err(reason)));
    }

    /// Forgets the values of a node and of all nodes below it.
    #[cold]
    pub(super) fn forget(&mut self, query: &DocumentQuery, index: usize) {
        let Some(node) = query.node(index) else { return };
        self.replace_below(query, node, &StoredKey::Missing);
        self.check(query, node, None);
    }

    /// No element is open below the node.
    fn replace_below(&mut self, query: &DocumentQuery, node: &QueryNode, key: &StoredKey) {
        for end in node.ends_below.iter().filter_map(|end| query.ends.get(*end)) {
            if let Some(value) = self.keys.get_mut(end.slot + node.level) {
                *value = key.clone();
            }
        }
    }

    /// An element ends: its values go to the level above, if its conditions hold. `each` is its node.
    pub(super) fn end_element(&mut self, query: &DocumentQuery, each: usize) {
        let Some(node) = query.node(each) else { return };
        for end in node.ends_below.iter().filter_map(|end| query.ends.get(*end)) {
            let state = end.condition(node.level).and_then(|condition| self.conditions.get(condition));
            let slots = end.slot + node.level - 1..=end.slot + node.level;
            let Some([above, key]) = self.keys.get_mut(slots) else { continue };
            let key = std::mem::take(key);
            match state {
                None | Some(ConditionState::Met) => above.agree(key),
                Some(ConditionState::Unmet) => {}
                Some(ConditionState::Unclear(reason)) => above.agree(StoredKey::Unusable(*reason)),
            }
        }
        for below in &node.subtree {
            if let Some(state) = self.nodes.get_mut(*below) {
                *state = NodeState::default();
            }
        }
        for condition in &node.conditions_below {
            if let Some(state) = self.conditions.get_mut(*condition) {
                *state = ConditionState::default();
            }
        }
    }

    /// The value of the `index`th pointer so far.
    pub(super) fn candidate(&self, query: &DocumentQuery, index: usize) -> Candidate<'_> {
        let Some(end) = query.ends.get(index) else { return Candidate::Missing };
        let levels = self.keys.get(end.slot..end.slot + end.unconditional_levels()).unwrap_or_default();
        levels.iter().rev().fold(Candidate::Missing, |inner, key| key.candidate().agree(inner))
    }
}
