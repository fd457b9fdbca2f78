//! An error that ends the reading of a configuration: its text is not in the format.

use super::text::Position;

/// The first error in a text.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) position: Position,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn at(offset: usize, message: String) -> Self {
        Self { position: Position::Offset(offset), message }
    }
}
