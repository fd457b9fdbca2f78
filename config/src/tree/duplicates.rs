//! Names that occur twice in a map: parsers differ on which one counts.

use super::super::path::Trail;
use super::super::problems::Problems;
use super::{MapEntry, TreeNode, Value};
use crate::sorted::sorted;

const TWICE: &str = "this name occurs twice in the map: keep one entry";

/// For an entry in YAML that stands where its twin does.
const SAME_INTEGER: &str =
    "this name and one before it are the same integer: keep one entry, or write both names in quotes";

/// Notes each name that occurs again in its map, and leaves one entry for each name, so that the rest can be read.
///
/// Maps of one name are merged: each problem within them is found, and nothing that one of them defines is missing. Of
/// other values nobody can tell the right one, so the entry that stays is refused.
pub(in super::super) fn refuse_duplicates(root: &mut TreeNode<'_>, problems: &mut Problems) {
    refuse_within(root, &Trail::Root, problems);
}

fn refuse_within(node: &mut TreeNode<'_>, trail: &Trail<'_>, problems: &mut Problems) {
    match &mut node.value {
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                refuse_within(item, &Trail::Item(trail, index), problems);
            }
        }
        Value::Map(entries) => {
            let again = again(entries);
            if !again.is_empty() {
                unite(entries, again, trail, problems);
            }
            for MapEntry { name, node, .. } in entries {
                refuse_within(node, &Trail::Entry(trail, name), problems);
            }
        }
        _ => {}
    }
}

/// The entries whose name has occurred before, in the order of the text: the index, and that of the first entry of this
/// name.
fn again(entries: &[MapEntry<'_>]) -> Vec<(usize, usize)> {
    // Most maps are short: comparing all names costs less than sorting them.
    const SHORT: usize = 16;
    let is_again =
        |(index, entry): (usize, &MapEntry<'_>)| entries.iter().take(index).any(|other| other.name == entry.name);
    if entries.len() <= SHORT && !entries.iter().enumerate().any(is_again) {
        return Vec::new();
    }
    let names = sorted(entries.iter().enumerate().map(|(index, entry)| (&*entry.name, index)).collect::<Vec<_>>());
    let mut again = Vec::new();
    for same in names.chunk_by(|(one, _), (other, _)| one == other) {
        if let [(_, first), rest @ ..] = same {
            again.extend(rest.iter().map(|(_, index)| (*index, *first)));
        }
    }
    sorted(again)
}

/// Unites entries of the same name in the first of them.
fn unite(entries: &mut Vec<MapEntry<'_>>, again: Vec<(usize, usize)>, trail: &Trail<'_>, problems: &mut Problems) {
    for &(index, first) in &again {
        let Some(entry) = entries.get_mut(index) else { continue };
        let (at, name) = (entry.at, entry.name.clone());
        let value = std::mem::replace(&mut entry.node.value, Value::Refused);
        let Some(kept) = entries.get_mut(first) else { continue };
        let message = if kept.at == at { SAME_INTEGER } else { TWICE };
        problems.note(at, &|| Trail::Entry(trail, &name).text(), &|| message.into());
        match (&mut kept.node.value, value) {
            (Value::Map(entries), Value::Map(more)) => entries.extend(more),
            (kept, _) => *kept = Value::Refused,
        }
    }
    let mut again = again.into_iter().map(|(index, _)| index).peekable();
    let mut index = 0;
    entries.retain(|_| {
        let is_again = again.next_if_eq(&index).is_some();
        index += 1;
        !is_again
    });
}
