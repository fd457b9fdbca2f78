//! The limits of descriptors as a tree by domain and entries, so that a look-up does not depend on their number.

use std::collections::BTreeMap;

use super::{DescriptorLimit, EntryValues};

/// The limits of descriptors. A node is a place in `nodes`.
#[derive(Debug, Default)]
pub(crate) struct DescriptorTree {
    domains: BTreeMap<Box<[u8]>, usize>,
    nodes: Vec<Node>,
}

/// The limits whose first entries are the same.
#[derive(Debug, Default)]
struct Node {
    /// The limit that has no further entry, by its place in the configuration.
    limit: Option<usize>,
    /// The next entries, by key.
    entries: BTreeMap<Box<[u8]>, ValueNodes>,
}

/// The nodes of one key, by value.
#[derive(Debug, Default)]
struct ValueNodes {
    one: BTreeMap<Box<[u8]>, usize>,
    /// The longest first.
    prefixes: Vec<(Box<[u8]>, usize)>,
    any: Option<usize>,
}

impl DescriptorTree {
    /// Of two limits with the same domain and key, the first one counts.
    pub(crate) fn new(limits: &[DescriptorLimit]) -> Self {
        let mut tree = Self::default();
        for (index, limit) in limits.iter().enumerate() {
            tree.insert(index, limit);
        }
        tree
    }

    /// The limit that applies to a descriptor, by its place in the configuration.
    pub(crate) fn find<'a>(&self, domain: &[u8], entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<usize> {
        let mut node = self.nodes.get(*self.domains.get(domain)?)?;
        for (key, value) in entries {
            node = self.nodes.get(node.entries.get(key)?.find(value)?)?;
        }
        node.limit
    }

    fn insert(&mut self, index: usize, limit: &DescriptorLimit) {
        let next = self.nodes.len();
        let mut place = *self.domains.entry(limit.domain.as_bytes().into()).or_insert(next);
        self.add(place);
        for part in &limit.key {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(place) else { return };
            place = node.entries.entry(part.key.as_bytes().into()).or_default().place(&part.values, next);
            self.add(place);
        }
        if let Some(node) = self.nodes.get_mut(place) {
            node.limit = node.limit.or(Some(index));
        }
    }

    /// Adds the node of a place, if it is the next one.
    fn add(&mut self, place: usize) {
        if place == self.nodes.len() {
            self.nodes.push(Node::default());
        }
    }
}

impl ValueNodes {
    fn find(&self, value: &[u8]) -> Option<usize> {
        let prefix = || self.prefixes.iter().find(|(prefix, _)| value.starts_with(prefix)).map(|(_, node)| *node);
        self.one.get(value).copied().or_else(prefix).or(self.any)
    }

    /// The node of these values: `next` if they have none yet.
    fn place(&mut self, values: &EntryValues, next: usize) -> usize {
        match values {
            EntryValues::Any => *self.any.get_or_insert(next),
            EntryValues::One(value) => *self.one.entry(value.as_bytes().into()).or_insert(next),
            EntryValues::Prefix { prefix, .. } => {
                if let Some((_, node)) = self.prefixes.iter().find(|(known, _)| **known == *prefix.as_bytes()) {
                    return *node;
                }
                let after = self.prefixes.partition_point(|(known, _)| known.len() >= prefix.len());
                self.prefixes.insert(after, (prefix.as_bytes().into(), next));
                next
            }
        }
    }
}
