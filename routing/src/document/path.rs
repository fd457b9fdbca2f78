//! The position in the document in terms of the query's pointers, and the values found for them.

use std::sync::Arc;

use super::Container;
use super::pointer::Pointer;
use super::query::{DocumentQuery, QueryNode};
use crate::body::Candidate;
use crate::key::{Duplicates, StoredKey};
use crate::reason::Reason;

/// The open containers that pointers go through, from the root inwards: the *live* ones.
///
/// A container is live if its parent is live and a pointer goes on below it. The live containers are therefore the
/// outermost ones, and their number shows whether the innermost open container is live.
#[derive(Debug)]
pub(crate) struct QueryPath {
    query: Arc<DocumentQuery>,
    values: Vec<NodeValue>,
    live: [LiveContainer; Pointer::MAX_TOKENS],
    depth: usize,
    /// The node of the value that comes next or is being read, if it has one.
    here: Option<usize>,
}

/// The state of one node of the query.
#[derive(Clone, Debug, Default)]
struct NodeValue {
    /// Whether its name has come. This is never reset: an object can only open again where the last duplicate counts,
    /// and there a name that came in an earlier object replaces nothing.
    is_named: bool,
    key: StoredKey,
}

/// A live container.
#[derive(Clone, Copy, Debug, Default)]
struct LiveContainer {
    node: usize,
    /// The current element's index, in an array.
    index: u64,
}

impl QueryPath {
    pub(crate) fn new(query: Arc<DocumentQuery>) -> Self {
        let values = vec![NodeValue::default(); query.nodes()];
        // A live container is reached by fewer tokens than its longest pointer has.
        let live = [LiveContainer::default(); Pointer::MAX_TOKENS];
        Self { query, values, live, depth: 0, here: Some(DocumentQuery::ROOT) }
    }

    pub(crate) fn query(&self) -> &DocumentQuery {
        &self.query
    }

    /// How many containers are live.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the value that comes next has a node. Without one, it is only validated.
    #[inline]
    pub(crate) fn has_node(&self) -> bool {
        self.here.is_some()
    }

    /// Whether a pointer ends at the value that comes next.
    pub(crate) fn is_wanted(&self) -> bool {
        self.here.and_then(|here| self.query.node(here)).is_some_and(|node| node.is_end)
    }

    /// A scalar at which a pointer ends is complete: stores its key, or why it cannot be one.
    pub(crate) fn store(&mut self, key: Result<&str, Reason>) {
        let Some(value) = self.here.take().and_then(|here| self.values.get_mut(here)) else { return };
        value.key = match key {
            Ok(key) => StoredKey::Found(key.into()),
            Err(reason) => StoredKey::Unusable(reason),
        };
    }

    /// A scalar at which no pointer ends is complete.
    pub(crate) fn leave_value(&mut self) {
        self.here = None;
    }

    /// The value that comes next opens a container.
    pub(crate) fn open(&mut self, container: Container) {
        let Some(here) = self.here else { return };
        if self.is_wanted() {
            self.store(Err(match container {
                Container::Object => Reason::KeyObject,
                Container::Array => Reason::KeyArray,
            }));
        }
        self.here = None;
        let Some(node) = self.query.node(here) else { return };
        let is_live = match container {
            Container::Object => !node.children.is_empty(),
            Container::Array => node.has_elements(),
        };
        if !is_live {
            return;
        }
        let Some(live) = self.live.get_mut(self.depth) else { return };
        *live = LiveContainer { node: here, index: 0 };
        self.depth += 1;
        if container == Container::Array {
            self.here = node.element(0);
        }
    }

    /// The innermost live container closes.
    pub(crate) fn close(&mut self) {
        self.here = None;
        self.depth = self.depth.saturating_sub(1);
    }

    /// The next element of the innermost live array follows.
    pub(crate) fn next_element(&mut self) {
        let Some(container) = self.depth.checked_sub(1).and_then(|top| self.live.get_mut(top)) else { return };
        container.index = container.index.saturating_add(1);
        self.here = self.query.node(container.node).and_then(|node| node.element(container.index));
    }

    /// A member of the innermost live object follows; `name` is unescaped.
    pub(crate) fn member(&mut self, name: &[u8]) {
        self.here = None;
        let Some(child) = self.innermost().and_then(|node| node.child(name)) else { return self.lookalike(name) };
        let Some(value) = self.values.get_mut(child) else { return };
        let is_duplicate = std::mem::replace(&mut value.is_named, true);
        match (is_duplicate, self.query.duplicates) {
            (false, _) => self.here = Some(child),
            // The first member counts, even if the pointer leads to nothing in it.
            (true, Duplicates::First) => {}
            (true, Duplicates::Reject) => self.conflict(child, Reason::KeyDuplicated),
            (true, Duplicates::Last) => {
                self.replace_below(child, &StoredKey::Missing);
                self.here = Some(child);
            }
        }
    }

    /// A member's name is not one that a pointer has. To parsers that fold case (Go's `encoding/json`, .NET's), it may
    /// be the same, and they would read another document: the key is then ambiguous.
    #[inline]
    fn lookalike(&mut self, name: &[u8]) {
        if self.query.duplicates != Duplicates::Reject {
            return;
        }
        let Some(child) = self.innermost().and_then(|node| node.lookalike(name)) else { return };
        if let Some(value) = self.values.get_mut(child) {
            value.is_named = true;
        }
        self.conflict(child, Reason::KeyAmbiguous);
    }

    /// Makes a node and all nodes below it ambiguous, for good. The first conflict gives the reason.
    fn conflict(&mut self, node: usize, reason: Reason) {
        let key = self.values.get(node).map(|value| &value.key);
        if !matches!(key, Some(StoredKey::Unusable(reason)) if reason.is_conflict()) {
            self.replace_below(node, &StoredKey::Unusable(reason));
        }
    }

    /// The value of the `index`th pointer so far.
    pub(crate) fn candidate(&self, index: usize) -> Candidate<'_> {
        let value = self.query.end(index).and_then(|node| self.values.get(node));
        value.map_or(Candidate::Missing, |value| value.key.candidate())
    }

    fn innermost(&self) -> Option<&QueryNode> {
        let container = self.live.get(self.depth.checked_sub(1)?)?;
        self.query.node(container.node)
    }

    /// Replaces the values of a node and of all nodes below it.
    fn replace_below(&mut self, node: usize, key: &StoredKey) {
        for below in self.query.node(node).map(|node| node.subtree.as_slice()).unwrap_or_default() {
            if let Some(value) = self.values.get_mut(*below) {
                value.key = key.clone();
            }
        }
    }
}
