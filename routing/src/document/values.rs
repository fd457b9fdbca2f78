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
    cells: Box<[ValueCell]>,
    conditions: Box<[ConditionState]>,
}

/// The state of the node and the value of the slot that have its index. They have nothing to do with each other, except
/// that they share one allocation.
#[derive(Debug, Default)]
struct ValueCell {
    node: NodeState,
    key: StoredKey,
}

/// The state of a node in the innermost open element, or in the document.
#[derive(Clone, Copy, Debug, Default)]
struct NodeState {
    /// Whether its name has come. An object can only open again where the last duplicate counts, and there a name that
    /// came in an earlier object replaces nothing.
    is_named: bool,
    /// Whether its name is a conflict. The first one gives the reason.
    has_conflict: bool,
    /// The container at the node, while it is open.
    live: LiveContainer,
}

/// A container that pointers go through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum LiveContainer {
    #[default]
    Object,
    /// An array whose elements have nodes by their indices, and the current element's index.
    Indexed(u64),
    /// An array whose elements all have this node.
    Each(usize),
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
            cells: std::iter::repeat_with(ValueCell::default).take(query.nodes().max(query.slots)).collect(),
            conditions: query.conditions.iter().map(|_| ConditionState::default()).collect(),
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
            if let Some(cell) = self.cells.get_mut(end.slot + node.level) {
                cell.key = read(&end.rule);
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
        self.cells.get_mut(node).is_some_and(|cell| std::mem::replace(&mut cell.node.is_named, true))
    }

    /// Whether the name of a node has come.
    pub(super) fn is_named(&self, node: usize) -> bool {
        self.cells.get(node).is_some_and(|cell| cell.node.is_named)
    }

    /// The container that is open at a node.
    #[inline]
    pub(super) fn live(&self, node: usize) -> Option<LiveContainer> {
        self.cells.get(node).map(|cell| cell.node.live)
    }

    /// A container opens at a node, or its next element follows.
    #[inline]
    pub(super) fn set_live(&mut self, node: usize, container: LiveContainer) {
        if let Some(cell) = self.cells.get_mut(node) {
            cell.node.live = container;
        }
    }

    /// Makes a node and all nodes below it ambiguous, for good: later values do not count.
    #[cold]
    pub(super) fn conflict(&mut self, query: &DocumentQuery, index: usize, reason: Reason) {
        let (Some(node), Some(cell)) = (query.node(index), self.cells.get_mut(index)) else { return };
        cell.node.is_named = true;
        if std::mem::replace(&mut cell.node.has_conflict, true) {
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
            if let Some(cell) = self.cells.get_mut(end.slot + node.level) {
                cell.key = key.clone();
            }
        }
    }

    /// An element or a record ends: its values go to the level above, if its conditions hold. `each` is its node.
    pub(super) fn end_element(&mut self, query: &DocumentQuery, each: usize) {
        let Some((node, level)) = query.node(each).and_then(|node| Some((node, node.level.checked_sub(1)?))) else {
            return;
        };
        for end in node.ends_below.iter().filter_map(|end| query.ends.get(*end)) {
            let state = end.condition(node.level).and_then(|condition| self.conditions.get(condition));
            let slots = end.slot + level..=end.slot + node.level;
            let Some([above, cell]) = self.cells.get_mut(slots) else { continue };
            let key = std::mem::take(&mut cell.key);
            match state {
                None | Some(ConditionState::Met) => above.key.agree(key),
                Some(ConditionState::Unmet) => {}
                Some(ConditionState::Unclear(reason)) => above.key.agree(StoredKey::Unusable(*reason)),
            }
        }
        for below in &node.subtree {
            if let Some(cell) = self.cells.get_mut(*below) {
                cell.node = NodeState::default();
            }
        }
        for condition in &node.conditions_below {
            if let Some(state) = self.conditions.get_mut(*condition) {
                *state = ConditionState::default();
            }
        }
    }

    /// The value of the `index`th pointer so far.
    #[inline]
    pub(super) fn candidate(&self, query: &DocumentQuery, index: usize) -> Candidate<'_> {
        let Some(end) = query.ends.get(index) else { return Candidate::Missing };
        let levels = self.cells.get(end.slot..end.slot + end.unconditional_levels).unwrap_or_default();
        match levels {
            [cell] => cell.key.candidate(),
            levels => levels.iter().rev().fold(Candidate::Missing, |inner, cell| cell.key.candidate().agree(inner)),
        }
    }
}
