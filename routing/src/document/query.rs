//! The pointers of a query, compiled into one tree.
//!
//! Every value of a document has one path, and is therefore at most one node of the tree. Following many pointers costs as
//! much as following one.
//!
//! `*` and selectors share one node of their array, the *each* node. Where pointers differ only in their selectors, they
//! share nodes and differ in the conditions of their ends.

use super::loose_name::LooseName;
use super::pointer::{Pointer, PointerToken};
use crate::action::PolicyAction;
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::value::{KeyRule, ValueRule};

/// The deepest nesting a query can allow, in open containers.
pub(crate) const MAX_DEPTH: usize = 1024;

/// The pointers to find, and the limits of the scan.
#[derive(Debug)]
pub struct DocumentQuery {
    pub(crate) duplicates: Duplicates,
    /// The most containers that may be open.
    pub(crate) depth: usize,
    pub(crate) accepted: AcceptedFaults,
    /// The longest name that may matter, in bytes.
    pub(super) name_bytes: usize,
    /// The longest name or text that may matter, in bytes.
    pub(super) text_bytes: usize,
    pub(super) ends: Vec<QueryEnd>,
    pub(super) conditions: Vec<Condition>,
    /// How many values are stored for all ends.
    pub(super) slots: usize,
    /// Whether a node has twins.
    pub(super) has_twins: bool,
    nodes: Vec<QueryNode>,
}

/// What a query needs besides its pointers.
#[derive(Clone, Copy, Debug)]
pub struct QueryOptions {
    /// The rule for names that occur twice in an object.
    pub duplicates: Duplicates,
    /// The deepest nesting allowed, 1024 at most.
    pub depth: usize,
    /// The longest key, in bytes.
    pub key_bytes: usize,
    /// Whether the body is a sequence of documents, each of which holds the key.
    pub records: bool,
    /// The faults of a text that are no errors.
    pub accepted: AcceptedFaults,
}

/// The faults of a text that are no errors. The default is that of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedFaults {
    /// Escapes of half a surrogate pair, where they cannot change the key.
    pub lone_surrogates: bool,
    /// A byte order mark at the beginning.
    pub byte_order_mark: bool,
}

impl AcceptedFaults {
    /// Every fault is an error.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { lone_surrogates: false, byte_order_mark: false };

    /// The faults that a policy accepts.
    pub(crate) fn of(policy: &Policy) -> Self {
        let accepts = |reason| policy.answer(reason) == PolicyAction::Accept;
        Self {
            lone_surrogates: accepts(Reason::BodyLoneSurrogate),
            byte_order_mark: accepts(Reason::BodyByteOrderMark),
        }
    }
}

impl Default for AcceptedFaults {
    fn default() -> Self {
        Self::of(&Policy::default())
    }
}

/// A path that is the beginning of a pointer, or a whole one.
#[derive(Debug, Default)]
pub(crate) struct QueryNode {
    pub(super) children: Vec<QueryChild>,
    /// The node of every element, if `*` or a selector follows.
    pub(super) each: Option<usize>,
    /// The node itself and all nodes below it.
    pub(super) subtree: Vec<usize>,
    /// The pointers that end here.
    pub(super) ends: Vec<usize>,
    /// The pointers that end here or below.
    pub(super) ends_below: Vec<usize>,
    /// The conditions on this value.
    pub(super) conditions: Vec<usize>,
    /// The conditions on values below this one.
    pub(super) conditions_below: Vec<usize>,
    /// The node of the container.
    pub(super) parent: usize,
    /// The other members of the same object that a parser may take for this one.
    pub(super) twins: Vec<usize>,
    /// How many each nodes are on the path, this one included.
    pub(super) level: usize,
    /// The longest text that may matter to an end or a condition, in bytes.
    pub(super) text_bytes: usize,
}

/// A path that is longer by one reference token.
#[derive(Debug)]
pub(crate) struct QueryChild {
    pub(super) name: Box<str>,
    /// The token as an array index, if it is one.
    pub(super) index: Option<u64>,
    pub(super) node: usize,
}

/// The end of a pointer.
#[derive(Debug)]
pub(super) struct QueryEnd {
    pub(super) rule: KeyRule,
    /// The first of its values. There is one for each level, from the document inwards.
    pub(super) slot: usize,
    /// How many levels, from the document inwards, count at once. A value below a condition counts when the condition is
    /// known to hold: at the end of its element.
    pub(super) unconditional_levels: usize,
    /// For each level from 1 on, the condition on its elements.
    conditions: Vec<Option<usize>>,
}

/// A selector: the value of an element's member must be a text.
#[derive(Debug)]
pub(super) struct Condition {
    /// The member's node.
    pub(super) node: usize,
    pub(super) text: Box<str>,
}

impl DocumentQuery {
    /// The node of the whole document.
    pub(crate) const ROOT: usize = 0;

    /// A query for pointers in order of precedence. `depth` is the deepest nesting allowed (1024 at most), `key_bytes`
    /// the longest key.
    #[must_use]
    pub fn new(pointers: Vec<Pointer>, duplicates: Duplicates, depth: usize, key_bytes: usize) -> Self {
        let pointers = pointers.into_iter().map(|pointer| (pointer, ValueRule::default())).collect();
        let accepted = AcceptedFaults::default();
        Self::compile(pointers, QueryOptions { duplicates, depth, key_bytes, records: false, accepted })
    }

    /// A query for pointers with their rules, in order of precedence.
    #[must_use]
    pub fn compile(pointers: Vec<(Pointer, ValueRule)>, options: QueryOptions) -> Self {
        let QueryOptions { duplicates, depth, key_bytes, records, accepted } = options;
        let limits = ScanLimits { duplicates, depth, key_bytes, accepted };
        let rules = pointers.into_iter().map(|(pointer, rule)| (pointer, KeyRule::new(&rule, limits))).collect();
        if records { Self::of_records(rules, limits) } else { Self::with_rules(rules, limits) }
    }

    /// A query of a document.
    pub(crate) fn with_rules(pointers: Vec<(Pointer, KeyRule)>, limits: ScanLimits) -> Self {
        Self::of_levels(0, pointers, limits)
    }

    /// A query of records, each of which is a document. All that hold something must agree.
    pub(crate) fn of_records(pointers: Vec<(Pointer, KeyRule)>, limits: ScanLimits) -> Self {
        Self::of_levels(1, pointers, limits)
    }

    /// A query of a document that is itself an element of so many levels.
    fn of_levels(level: usize, pointers: Vec<(Pointer, KeyRule)>, limits: ScanLimits) -> Self {
        let root = QueryNode { subtree: vec![Self::ROOT], level, ..QueryNode::default() };
        let mut query = Self {
            duplicates: limits.duplicates,
            depth: limits.depth.min(MAX_DEPTH),
            accepted: limits.accepted,
            name_bytes: 0,
            text_bytes: 0,
            ends: Vec::new(),
            conditions: Vec::new(),
            slots: 0,
            has_twins: false,
            nodes: vec![root],
        };
        for (pointer, rule) in pointers {
            query.insert(&pointer, rule);
        }
        query.find_twins();
        let names = query.nodes.iter().flat_map(|node| &node.children);
        query.name_bytes = names.map(|child| LooseName::max_bytes(child.name.len())).max().unwrap_or_default();
        let text_bytes = query.nodes.iter().map(|node| node.text_bytes).max().unwrap_or_default();
        query.text_bytes = text_bytes.max(query.name_bytes);
        query
    }

    pub(super) fn node(&self, node: usize) -> Option<&QueryNode> {
        self.nodes.get(node)
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a pointer's nodes, its conditions and its end.
    fn insert(&mut self, pointer: &Pointer, rule: KeyRule) {
        let end = self.ends.len();
        let mut conditions = vec![None; self.node(Self::ROOT).map_or(0, |root| root.level)];
        let mut path = vec![Self::ROOT];
        for token in pointer.tokens() {
            let next = match token {
                PointerToken::Name(name) => self.named(&path, name, token.index()),
                PointerToken::Each | PointerToken::Selector { .. } => self.each(&path),
            };
            path.push(next);
            match token {
                PointerToken::Name(_) => {}
                PointerToken::Each => conditions.push(None),
                PointerToken::Selector { name, text } => {
                    let member = self.named(&path, name, PointerToken::Name(name.clone()).index());
                    conditions.push(Some(self.condition(&path, member, text)));
                }
            }
        }
        let text_bytes = rule.text_bytes();
        if let Some(node) = path.last().and_then(|last| self.nodes.get_mut(*last)) {
            node.ends.push(end);
            node.text_bytes = node.text_bytes.max(text_bytes);
        }
        for node in path {
            if let Some(node) = self.nodes.get_mut(node) {
                node.ends_below.push(end);
            }
        }
        let slot = self.slots;
        self.slots += 1 + conditions.len();
        let unconditional_levels = 1 + conditions.iter().take_while(|condition| condition.is_none()).count();
        self.ends.push(QueryEnd { rule, slot, unconditional_levels, conditions });
    }

    /// The node of a member of the last node in the path.
    fn named(&mut self, path: &[usize], name: &str, index: Option<u64>) -> usize {
        let parent = path.last().copied().unwrap_or(Self::ROOT);
        if let Some(known) = self.nodes.get(parent).and_then(|node| node.child(name.as_bytes())) {
            return known;
        }
        let node = self.add(path, 0);
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(QueryChild { name: name.into(), index, node });
        }
        node
    }

    /// The each node of the last node in the path.
    fn each(&mut self, path: &[usize]) -> usize {
        let parent = path.last().copied().unwrap_or(Self::ROOT);
        if let Some(known) = self.nodes.get(parent).and_then(|node| node.each) {
            return known;
        }
        let each = self.add(path, 1);
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.each = Some(each);
        }
        each
    }

    /// The condition that a member of the last node in the path is a text.
    fn condition(&mut self, path: &[usize], member: usize, text: &str) -> usize {
        let is_known = |known: &Condition| known.node == member && *known.text == *text;
        if let Some(known) = self.conditions.iter().position(is_known) {
            return known;
        }
        let condition = self.conditions.len();
        self.conditions.push(Condition { node: member, text: text.into() });
        if let Some(node) = self.nodes.get_mut(member) {
            node.conditions.push(condition);
            node.text_bytes = node.text_bytes.max(text.len());
        }
        for node in path {
            if let Some(node) = self.nodes.get_mut(*node) {
                node.conditions_below.push(condition);
            }
        }
        condition
    }

    /// Finds the twins of each node.
    fn find_twins(&mut self) {
        let mut pairs = Vec::new();
        for children in self.nodes.iter().map(|node| &node.children) {
            for (at, one) in children.iter().enumerate() {
                for other in children.iter().skip(at + 1) {
                    let is_alike = |name: &QueryChild, wanted: &QueryChild| {
                        LooseName::new(name.name.as_bytes(), usize::MAX).may_be(wanted.name.as_bytes())
                    };
                    if is_alike(one, other) || is_alike(other, one) {
                        pairs.push((one.node, other.node));
                    }
                }
            }
        }
        self.has_twins = !pairs.is_empty();
        for (one, other) in pairs {
            for (node, twin) in [(one, other), (other, one)] {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.twins.push(twin);
                }
            }
        }
    }

    /// A new node below a path, `deeper` levels below its last node.
    fn add(&mut self, path: &[usize], deeper: usize) -> usize {
        let new = self.nodes.len();
        let parent = path.last().copied().unwrap_or(Self::ROOT);
        let level = self.nodes.get(parent).map_or(0, |parent| parent.level) + deeper;
        self.nodes.push(QueryNode { subtree: vec![new], parent, level, ..QueryNode::default() });
        for above in path {
            if let Some(node) = self.nodes.get_mut(*above) {
                node.subtree.push(new);
            }
        }
        new
    }
}

impl QueryNode {
    /// Whether a pointer ends here, or a condition depends on the value.
    pub(super) fn is_wanted(&self) -> bool {
        !(self.ends.is_empty() && self.conditions.is_empty())
    }

    /// The node of an object's member.
    pub(super) fn child(&self, name: &[u8]) -> Option<usize> {
        self.children.iter().find(|child| child.name.as_bytes() == name).map(|child| child.node)
    }

    /// The node of an object's member that a parser may take this name for.
    #[inline]
    pub(super) fn lookalike(&self, name: LooseName<'_>) -> Option<usize> {
        self.children.iter().find(|child| name.may_be(child.name.as_bytes())).map(|child| child.node)
    }

    /// The node of an array's element, if there is no each node.
    pub(super) fn element(&self, index: u64) -> Option<usize> {
        self.children.iter().find(|child| child.index == Some(index)).map(|child| child.node)
    }

    /// Whether the name of a child is an index.
    pub(super) fn has_indices(&self) -> bool {
        self.children.iter().any(|child| child.index.is_some())
    }
}

impl QueryEnd {
    /// The condition on the elements of a level.
    pub(super) fn condition(&self, level: usize) -> Option<usize> {
        self.conditions.get(level.checked_sub(1)?).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pointers: &[&str]) -> DocumentQuery {
        let pointers = pointers.iter().map(|text| text.parse().unwrap()).collect();
        DocumentQuery::new(pointers, Duplicates::Reject, 64, 256)
    }

    fn ends_of(query: &DocumentQuery) -> Vec<Vec<usize>> {
        query.nodes.iter().map(|node| node.ends.clone()).collect()
    }

    #[test]
    fn pointers_share_nodes() {
        let query = query(&["/a/b", "/a", "/a/b", "", "/a/c"]);
        assert_eq!(ends_of(&query), [vec![3], vec![1], vec![0, 2], vec![4]]);
        assert_eq!(query.node(0).unwrap().subtree, [0, 1, 2, 3]);
        assert_eq!(query.node(1).unwrap().subtree, [1, 2, 3]);
        assert_eq!(query.node(1).unwrap().ends_below, [0, 1, 2, 4]);
        assert_eq!(query.slots, 5);
    }

    #[test]
    fn stars_and_selectors_share_the_each_node() {
        let query = query(&["/*/v", "/[k=a]/v", "/[k=b]/v/*", "/[k=a]/w"]);
        // The root, each, v, k, the elements of v, w.
        assert_eq!(ends_of(&query), [vec![], vec![], vec![0, 1], vec![], vec![2], vec![3]]);
        assert_eq!(query.nodes.iter().map(|node| node.level).collect::<Vec<_>>(), [0, 1, 1, 1, 2, 1]);
        assert_eq!(query.conditions.len(), 2, "equal conditions are one");
        assert_eq!(query.ends.iter().map(|end| end.slot).collect::<Vec<_>>(), [0, 2, 4, 7]);
        assert_eq!(query.ends.iter().map(|end| end.unconditional_levels).collect::<Vec<_>>(), [2, 1, 1, 1]);
    }

    #[test]
    fn siblings_with_names_alike_know_each_other() {
        let query = query(&["/resourceSpans/a", "/resource_spans/a", "/spans/A", "/spans/b", "/spans/a"]);
        let twins: Vec<_> = query.nodes.iter().map(|node| node.twins.clone()).collect();
        assert_eq!(twins, [vec![], vec![3], vec![], vec![1], vec![], vec![], vec![8], vec![], vec![6]]);
    }
}
