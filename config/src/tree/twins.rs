//! Names in YAML that the parser takes for one name, of which it gives only the last: `16` and `0x10`, or `7` twice.

use std::collections::BTreeSet;

use super::{MapEntry, TreeNode, Value};

/// The offsets of all names in a tree, in ascending order.
pub(super) struct NameOffsets(Vec<usize>);

impl NameOffsets {
    pub(super) fn of(root: &TreeNode<'_>) -> Self {
        let mut offsets = Vec::new();
        collect(root, &mut offsets);
        offsets.sort_unstable();
        Self(offsets)
    }

    fn contains(&self, offset: usize) -> bool {
        self.0.binary_search(&offset).is_ok()
    }
}

fn collect(node: &TreeNode<'_>, offsets: &mut Vec<usize>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| collect(item, offsets)),
        Value::Map(entries) => {
            for entry in entries {
                offsets.push(entry.at);
                collect(&entry.node, offsets);
            }
        }
        _ => {}
    }
}

/// Puts a refused entry of the same name and offset before each entry that has a twin which the parser dropped. That is an
/// entry that is not among the first of their names, although no entry of the same spelling precedes it.
pub(super) fn restore_twins(node: &mut TreeNode<'_>, first: &NameOffsets) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| restore_twins(item, first)),
        Value::Map(entries) => {
            let (mut restored, mut names) = (Vec::with_capacity(entries.len()), BTreeSet::new());
            for mut entry in std::mem::take(entries) {
                let is_new = names.insert(entry.name.clone());
                if first.contains(entry.at) {
                    restore_twins(&mut entry.node, first);
                } else if is_new {
                    let node = TreeNode { at: entry.node.at, value: Value::Refused };
                    restored.push(MapEntry { at: entry.at, name: entry.name.clone(), node });
                }
                restored.push(entry);
            }
            *entries = restored;
        }
        _ => {}
    }
}
