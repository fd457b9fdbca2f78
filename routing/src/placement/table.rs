//! A compact map from keys to cells.
//!
//! One arena holds all keys; an open-addressing table of 12-byte entries points into it. With 8 entries for 5 keys that is
//! 19.2 bytes for each key besides its text. A 32-bit tag of the hash avoids comparisons of different keys: a hit reads
//! the arena once, and a miss almost never.

use xxhash_rust::xxh64::xxh64;

use crate::action::CellId;

/// Keys to cells. Immutable once built.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    arena: Box<[u8]>,
    entries: Box<[Entry]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    offset: u32,
    len: u16,
    /// [`EMPTY`] if the entry is free.
    cell: u16,
}

/// Not the index of a cell: there are at most [`super::MAX_CELLS`].
const EMPTY: u16 = u16::MAX;

impl Table {
    /// Builds a table of distinct keys, each at most 65,535 bytes and together at most 4 GiB. It drops other keys; the limits
    /// of a configuration are far below both.
    pub(super) fn new<'a>(keys: impl ExactSizeIterator<Item = (&'a str, CellId)> + Clone) -> Self {
        let mut arena = Vec::with_capacity(keys.clone().map(|(key, _)| key.len()).sum());
        let empty = Entry { tag: 0, offset: 0, len: 0, cell: EMPTY };
        let mut entries = vec![empty; (keys.len() * 8).div_ceil(5)].into_boxed_slice();
        for (key, cell) in keys {
            let (Ok(offset), Ok(len)) = (u32::try_from(arena.len()), u16::try_from(key.len())) else { continue };
            let hash = hash(key);
            if let Some(index) =
                probe(entries.len(), hash).find(|index| entries.get(*index).is_some_and(|entry| entry.cell == EMPTY))
                && let Some(entry) = entries.get_mut(index)
            {
                *entry = Entry { tag: tag(hash), offset, len, cell: cell.0 };
                arena.extend_from_slice(key.as_bytes());
            }
        }
        Self { arena: arena.into(), entries }
    }

    /// The key's cell.
    pub(super) fn get(&self, key: &str) -> Option<CellId> {
        if self.entries.is_empty() {
            return None;
        }
        let hash = hash(key);
        let tag = tag(hash);
        for index in probe(self.entries.len(), hash) {
            let entry = self.entries.get(index)?;
            if entry.cell == EMPTY {
                return None;
            }
            if entry.tag == tag && usize::from(entry.len) == key.len() && self.text(entry) == Some(key.as_bytes()) {
                return Some(CellId(entry.cell));
            }
        }
        None
    }

    /// All keys, in the order in which they were given.
    pub(super) fn keys(&self) -> Vec<&str> {
        let mut entries: Vec<_> = self.entries.iter().filter(|entry| entry.cell != EMPTY).collect();
        entries.sort_unstable_by_key(|entry| entry.offset);
        entries.into_iter().filter_map(|entry| std::str::from_utf8(self.text(entry)?).ok()).collect()
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.arena.len() + size_of_val(&*self.entries)
    }

    fn text(&self, entry: &Entry) -> Option<&[u8]> {
        let start = usize::try_from(entry.offset).ok()?;
        self.arena.get(start..start.checked_add(usize::from(entry.len))?)
    }
}

fn hash(key: &str) -> u64 {
    xxh64(key.as_bytes(), 0)
}

/// The low half of the hash. [`probe`] uses the high bits.
#[expect(clippy::cast_possible_truncation, reason = "the tag is the low half")]
fn tag(hash: u64) -> u32 {
    hash as u32
}

/// Every index once, beginning at that of the hash.
#[expect(clippy::cast_possible_truncation, reason = "hash / 2^64 * len is below len, a usize")]
fn probe(len: usize, hash: u64) -> impl Iterator<Item = usize> {
    let start = ((u128::from(hash) * len as u128) >> 64) as usize;
    (start..len).chain(0..start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other_key_is() {
        for count in [0, 1, 2, 3, 5, 100, 10_000] {
            let keys: Vec<String> = (0..count).map(|number| format!("tenant-{number}")).collect();
            let table = Table::new(keys.iter().enumerate().map(|(n, key)| (key.as_str(), CellId((n % 7) as u16))));
            for (n, key) in keys.iter().enumerate() {
                assert_eq!(table.get(key), Some(CellId((n % 7) as u16)), "{key}");
                assert_eq!(table.get(&format!("{key}x")), None);
            }
            assert_eq!(table.get(""), None);
            assert_eq!(table.keys(), keys);
        }
    }

    #[test]
    fn keys_with_equal_tags_are_compared_by_text() {
        let mut table = Table::new([("a", CellId(1))].into_iter());
        let wanted = tag(hash("b"));
        for entry in &mut table.entries {
            entry.tag = wanted;
        }
        assert_eq!(table.get("b"), None);
    }

    #[test]
    fn a_million_keys_cost_less_than_24_bytes_each_beyond_their_text() {
        let keys: Vec<String> = (0..1_000_000).map(|number| number.to_string()).collect();
        let text: usize = keys.iter().map(String::len).sum();
        let table = Table::new(keys.iter().map(|key| (key.as_str(), CellId(0))));
        assert!(table.heap_bytes() - text <= 24 * keys.len());
        assert!(keys.iter().all(|key| table.get(key).is_some()));
    }
}
