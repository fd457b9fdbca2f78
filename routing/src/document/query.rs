//! The pointers of a query, compiled into one tree.
//!
//! Every value of a document has one path, and is therefore at most one node of the tree. Following many pointers costs as
//! much as following one.

use super::pointer::Pointer;
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::value::KeyRule;

/// The deepest nesting a query can allow, in open containers.
pub(crate) const MAX_DEPTH: usize = 1024;

/// The most bytes of a letter that folds to an ASCII letter (the Kelvin sign).
const MAX_FOLDED_BYTES: usize = 3;

/// The pointers to find, and the limits of the scan.
#[derive(Debug)]
pub struct DocumentQuery {
    pub(crate) duplicates: Duplicates,
    /// The most containers that may be open.
    pub(crate) depth: usize,
    pub(crate) key_bytes: usize,
    /// The longest name that may matter, in bytes.
    pub(crate) name_bytes: usize,
    nodes: Vec<QueryNode>,
    /// The node at which each pointer ends.
    ends: Vec<usize>,
}

/// A path that is the beginning of a pointer, or a whole one.
#[derive(Debug, Default)]
pub(crate) struct QueryNode {
    /// Whether a pointer ends here.
    pub(crate) is_end: bool,
    pub(crate) children: Vec<QueryChild>,
    /// The node itself and all nodes below it.
    pub(crate) subtree: Vec<usize>,
}

/// A path that is longer by one reference token.
#[derive(Debug)]
pub(crate) struct QueryChild {
    pub(crate) name: Box<str>,
    /// The token as an array index, if it is one.
    pub(crate) index: Option<u64>,
    pub(crate) node: usize,
}

impl DocumentQuery {
    /// The node of the whole document.
    pub(crate) const ROOT: usize = 0;

    /// A query for pointers in order of precedence. `depth` is the deepest nesting allowed (1024 at most), `key_bytes`
    /// the longest key.
    #[must_use]
    pub fn new(pointers: Vec<Pointer>, duplicates: Duplicates, depth: usize, key_bytes: usize) -> Self {
        let tokens = pointers.iter().flat_map(Pointer::tokens);
        let name_bytes = tokens.map(|token| token.len() * MAX_FOLDED_BYTES).max().unwrap_or_default();
        let root = QueryNode { subtree: vec![Self::ROOT], ..QueryNode::default() };
        let mut query = Self {
            duplicates,
            depth: depth.min(MAX_DEPTH),
            key_bytes,
            name_bytes,
            nodes: vec![root],
            ends: Vec::new(),
        };
        query.ends = pointers.iter().map(|pointer| query.insert(pointer)).collect();
        query
    }

    /// A query for pointers with their rules.
    pub(crate) fn with_rules(pointers: Vec<(Pointer, KeyRule)>, limits: ScanLimits) -> Self {
        let pointers = pointers.into_iter().map(|(pointer, _)| pointer).collect();
        Self::new(pointers, limits.duplicates, limits.depth, limits.key_bytes)
    }

    pub(crate) fn node(&self, node: usize) -> Option<&QueryNode> {
        self.nodes.get(node)
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The node at which the `index`th pointer ends.
    pub(crate) fn end(&self, index: usize) -> Option<usize> {
        self.ends.get(index).copied()
    }

    fn insert(&mut self, pointer: &Pointer) -> usize {
        let mut path = vec![Self::ROOT];
        let mut at = Self::ROOT;
        for token in pointer.tokens() {
            let known = self.nodes.get(at).and_then(|node| node.child(token.as_bytes()));
            at = known.unwrap_or_else(|| self.add(&path, token));
            path.push(at);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.is_end = true;
        }
        at
    }

    fn add(&mut self, path: &[usize], token: &str) -> usize {
        let new = self.nodes.len();
        self.nodes.push(QueryNode { subtree: vec![new], ..QueryNode::default() });
        for above in path {
            if let Some(node) = self.nodes.get_mut(*above) {
                node.subtree.push(new);
            }
        }
        if let Some(parent) = path.last().and_then(|parent| self.nodes.get_mut(*parent)) {
            parent.children.push(QueryChild { name: token.into(), index: array_index(token), node: new });
        }
        new
    }
}

impl QueryNode {
    /// The node of an object's member.
    pub(crate) fn child(&self, name: &[u8]) -> Option<usize> {
        self.children.iter().find(|child| child.name.as_bytes() == name).map(|child| child.node)
    }

    /// The node of an object's member whose name differs from this name only in case.
    pub(crate) fn lookalike(&self, name: &[u8]) -> Option<usize> {
        self.children.iter().find(|child| folds_to(name, child.name.as_bytes())).map(|child| child.node)
    }

    /// The node of an array's element.
    pub(crate) fn element(&self, index: u64) -> Option<usize> {
        self.children.iter().find(|child| child.index == Some(index)).map(|child| child.node)
    }

    /// Whether a pointer goes on if this node is an array.
    pub(crate) fn has_elements(&self) -> bool {
        self.children.iter().any(|child| child.index.is_some())
    }
}

/// Whether two names are equal to a parser that folds case. Besides ASCII letters, these are the two letters that Unicode's
/// simple folding maps to one: `ſ` (long s) and `K` (the Kelvin sign).
fn folds_to(mut name: &[u8], mut wanted: &[u8]) -> bool {
    while let Some((letter, rest)) = wanted.split_first() {
        let folded = match letter.to_ascii_lowercase() {
            b's' => name.strip_prefix("\u{17f}".as_bytes()),
            b'k' => name.strip_prefix("\u{212a}".as_bytes()),
            _ => None,
        };
        let plain = || name.split_first().filter(|(byte, _)| byte.eq_ignore_ascii_case(letter)).map(|(_, rest)| rest);
        let Some(after) = folded.or_else(plain) else { return false };
        (name, wanted) = (after, rest);
    }
    name.is_empty()
}

/// RFC 6901, 4: digits without leading zeros. (`-` names the element after the last, which never exists.)
fn array_index(token: &str) -> Option<u64> {
    let is_index = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pointers: &[&str]) -> DocumentQuery {
        let pointers = pointers.iter().map(|text| text.parse().unwrap()).collect();
        DocumentQuery::new(pointers, Duplicates::Reject, 64, 256)
    }

    #[test]
    fn pointers_share_nodes() {
        let query = query(&["/a/b", "/a", "/a/b", "", "/a/c"]);
        assert_eq!(query.nodes(), 4);
        assert_eq!(
            (0..6).map(|index| query.end(index)).collect::<Vec<_>>(),
            [Some(2), Some(1), Some(2), Some(0), Some(3), None]
        );
        assert_eq!(query.node(0).unwrap().subtree, [0, 1, 2, 3]);
        assert_eq!(query.node(1).unwrap().subtree, [1, 2, 3]);
    }

    #[test]
    fn names_fold_as_in_parsers_that_fold_case() {
        for (name, wanted) in [("ID", "id"), ("id", "Id"), ("ta\u{17f}\u{212a}", "task"), ("\u{212a}", "K"), ("", "")] {
            assert!(folds_to(name.as_bytes(), wanted.as_bytes()), "{name}");
        }
        for (name, wanted) in [("id", "ids"), ("ids", "id"), ("\u{17f}", "x"), ("i-d", "i_d"), ("É", "é")] {
            assert!(!folds_to(name.as_bytes(), wanted.as_bytes()), "{name}");
        }
    }

    #[test]
    fn only_plain_decimals_are_array_indices() {
        for (token, index) in [("0", Some(0)), ("10", Some(10)), ("18446744073709551615", Some(u64::MAX))] {
            assert_eq!(array_index(token), index);
        }
        for token in ["", "00", "01", "-", "-1", "+1", "1 ", "a", "18446744073709551616"] {
            assert_eq!(array_index(token), None, "{token}");
        }
    }
}
