//! Lists, and maps whose names are data, such as keys and cells.

use super::RawField;
use crate::tree::{FromNode, NodeReader};

/// The entries of a map, in the order of the tree, which has no duplicate names.
#[derive(Debug)]
pub(in super::super) struct RawTable<'a, T>(pub(in super::super) Vec<(&'a str, RawField<T>)>);

impl<T> Default for RawTable<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T: FromNode<'a>> FromNode<'a> for RawTable<'a, T> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let mut entries = Vec::new();
        node.entries(&mut |name, value| entries.push((name, RawField::read(value))))?;
        Some(Self(entries))
    }
}

impl<'a, T: FromNode<'a>> FromNode<'a> for Vec<RawField<T>> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let mut items = Vec::new();
        node.items(&mut |item| items.push(RawField::read(item)))?;
        Some(items)
    }
}
