//! The parts of lists and maps.

use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

use super::super::super::path::Trail;
use super::super::super::suggest::nearest;
use super::super::{MapEntry, TreeNode, Value};
use super::refusal::unknown;
use super::{NodeReader, Refusal};

/// The items of a list.
pub(super) struct ListAccess<'c, 'de> {
    list: NodeReader<'c, 'de>,
    items: std::iter::Enumerate<std::slice::Iter<'de, TreeNode>>,
}

impl<'c, 'de> ListAccess<'c, 'de> {
    pub(super) fn new(list: NodeReader<'c, 'de>, items: &'de [TreeNode]) -> Self {
        Self { list, items: items.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for ListAccess<'_, 'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let trail = Trail::Item(self.list.trail, index);
        seed.deserialize(NodeReader { node, trail: &trail, findings: self.list.findings }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map whose names are data.
pub(super) struct EntryAccess<'c, 'de> {
    map: NodeReader<'c, 'de>,
    entries: std::slice::Iter<'de, MapEntry>,
    /// The entry whose name was read last.
    current: Option<&'de MapEntry>,
}

impl<'c, 'de> EntryAccess<'c, 'de> {
    pub(super) fn new(map: NodeReader<'c, 'de>, entries: &'de [MapEntry]) -> Self {
        Self { map, entries: entries.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for EntryAccess<'_, 'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let name: StrDeserializer<'de, Refusal> = (*entry.name).into_deserializer();
        seed.deserialize(name).map(Some).map_err(|refusal| self.map.note(entry.at, refusal))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let Some(entry) = self.current else { return Err(Refusal::New("a value without a name".into())) };
        let trail = Trail::Entry(self.map.trail, &entry.name);
        seed.deserialize(NodeReader { node: &entry.node, trail: &trail, findings: self.map.findings })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The fields of a struct. Unknown ones are noted and skipped.
pub(super) struct StructAccess<'c, 'de> {
    map: NodeReader<'c, 'de>,
    entries: std::slice::Iter<'de, MapEntry>,
    fields: &'static [&'static str],
    /// For each field, whether it is in the map or has got a refused value.
    has_value: Vec<bool>,
    /// The value of the field whose name was read last.
    current: &'de TreeNode,
    /// The name of that field.
    name: &'static str,
}

/// The value of a field that is probably misspelt: not absent, but unknown.
static REFUSED: TreeNode = TreeNode { at: 0, value: Value::Refused };

impl<'c, 'de> StructAccess<'c, 'de> {
    pub(super) fn new(map: NodeReader<'c, 'de>, entries: &'de [MapEntry], fields: &'static [&'static str]) -> Self {
        let has_value = fields.iter().map(|field| entries.iter().any(|entry| &*entry.name == *field)).collect();
        Self { map, entries: entries.iter(), fields, has_value, current: &REFUSED, name: "" }
    }

    /// The index of the next field that has a value.
    fn next_field(&mut self) -> Option<u64> {
        loop {
            let entry = self.entries.next()?;
            let index = match self.fields.iter().position(|field| *field == &*entry.name) {
                Some(index) => {
                    self.current = &entry.node;
                    index
                }
                None => {
                    let Some(index) = self.refuse(entry) else { continue };
                    self.current = &REFUSED;
                    index
                }
            };
            self.name = self.fields.get(index).copied().unwrap_or_default();
            return u64::try_from(index).ok();
        }
    }

    /// Notes an unknown field. Returns the index of the absent field that it was probably meant to be.
    fn refuse(&mut self, entry: &MapEntry) -> Option<usize> {
        let near = nearest(&entry.name, self.fields.iter().copied());
        let mut findings = self.map.findings.borrow_mut();
        findings.unknown.push(entry.at);
        let path = || Trail::Entry(self.map.trail, &entry.name).text();
        findings.problems.note(entry.at, path, || unknown("field", &entry.name, near, self.fields));
        let index = self.fields.iter().position(|field| Some(*field) == near)?;
        let has_value = self.has_value.get_mut(index)?;
        if std::mem::replace(has_value, true) { None } else { Some(index) }
    }
}

impl<'de> MapAccess<'de> for StructAccess<'_, 'de> {
    type Error = Refusal;

    /// Gives the field's index, for which serde's derived code is smaller than for its name.
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some(index) = self.next_field() else { return Ok(None) };
        let index: U64Deserializer<Refusal> = index.into_deserializer();
        seed.deserialize(index).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let trail = Trail::Entry(self.map.trail, self.name);
        seed.deserialize(NodeReader { node: self.current, trail: &trail, findings: self.map.findings })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}
