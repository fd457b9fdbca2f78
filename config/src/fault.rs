//! The first error in a text or in its shape.

use super::path::{item_segment, name_segment, prepend};
use super::text::Position;

/// An error that ends the reading of a configuration. On its way up to the root, each value adds its step to the path.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    /// `None` until a value on the way up adds its own.
    pub(super) position: Option<Position>,
    /// The path below the value that added the last step.
    pub(super) path: String,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { position: None, path: String::new(), message: message.into() }
    }

    /// Sets the position, unless a deeper value has set it.
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.position.get_or_insert(Position::Offset(offset));
        self
    }

    /// The fault is in the entry with this name.
    pub(super) fn in_entry(mut self, name: &str) -> Self {
        prepend(&mut self.path, &name_segment(name));
        self
    }

    /// The fault is in the item at this index.
    pub(super) fn in_item(mut self, index: usize) -> Self {
        prepend(&mut self.path, &item_segment(index));
        self
    }
}
