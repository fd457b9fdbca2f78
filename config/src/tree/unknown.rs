//! Fields that the schema does not have.

use super::{TreeNode, Value};
use crate::sorted::sorted;

/// Takes out the entries whose names are at these offsets, in ascending order. Returns the offsets of the maps that had
/// them, in ascending order.
///
/// Afterwards a map of fields is short, so that finding a field in it does not depend on the number of mistakes.
pub(in super::super) fn take_out(root: &mut TreeNode, names: &[usize]) -> Vec<usize> {
    let mut maps = Vec::new();
    if !names.is_empty() {
        take_out_of(root, names, &mut maps);
    }
    sorted(maps)
}

fn take_out_of(node: &mut TreeNode, names: &[usize], maps: &mut Vec<usize>) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| take_out_of(item, names, maps)),
        Value::Map(entries) => {
            let before = entries.len();
            entries.retain(|entry| names.binary_search(&entry.at).is_err());
            if entries.len() < before {
                maps.push(node.at);
            }
            entries.iter_mut().for_each(|entry| take_out_of(&mut entry.node, names, maps));
        }
        _ => {}
    }
}
