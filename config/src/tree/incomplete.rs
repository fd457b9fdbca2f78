//! Maps that have unknown fields.

use super::{MapEntry, TreeNode};
use crate::sorted::sorted;

/// The known fields of each map that has unknown ones. A map has few known fields, so finding one does not depend on the
/// number of mistakes.
#[derive(Debug, Default)]
pub(in super::super) struct IncompleteMaps<'a> {
    /// The offset of each map, and its index in `known`.
    offsets: Vec<(usize, usize)>,
    known: Vec<Vec<&'a MapEntry<'a>>>,
}

impl<'a> IncompleteMaps<'a> {
    pub(super) fn add(&mut self, offset: usize, known: Vec<&'a MapEntry<'a>>) {
        self.offsets.push((offset, self.known.len()));
        self.known.push(known);
    }

    /// The same maps, ready to be found.
    pub(in super::super) fn sorted(self) -> Self {
        Self { offsets: sorted(self.offsets), ..self }
    }

    /// The known fields of a map, if it has unknown ones too.
    pub(in super::super) fn known_fields(&self, map: &TreeNode<'_>) -> Option<&[&'a MapEntry<'a>]> {
        let index = self.offsets.partition_point(|(offset, _)| *offset < map.at);
        let (_, index) = self.offsets.get(index).filter(|(offset, _)| *offset == map.at)?;
        self.known.get(*index).map(Vec::as_slice)
    }
}
