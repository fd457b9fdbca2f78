//! The string that is being read.

use super::utf8::Utf8Scan;

/// The type of a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StringKind {
    #[default]
    Text,
    Bytes,
}

/// What a string is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StringUse {
    /// Nothing that matters.
    #[default]
    None,
    /// The name of a member on a pointer's path.
    Name,
    /// A value that a pointer leads to.
    Value,
}

/// The string that is being read, or the last one.
#[derive(Debug, Default)]
pub(super) struct ItemString {
    pub(super) kind: StringKind,
    pub(super) used_as: StringUse,
    /// Whether the string is open and consists of chunks.
    pub(super) is_chunked: bool,
    /// Set if the string must be UTF-8.
    utf8: Option<Utf8Scan>,
}

impl ItemString {
    pub(super) fn new(kind: StringKind, used_as: StringUse, is_utf8: bool, is_chunked: bool) -> Self {
        Self { kind, used_as, is_chunked, utf8: is_utf8.then(Utf8Scan::default) }
    }

    /// Checks the next piece, which ends the string or a chunk of it if `is_last`. A character must not be cut there.
    ///
    /// # Errors
    /// The string is not UTF-8. The error is how far before the end of the piece the wrong character begins, in bytes.
    pub(super) fn validate(&mut self, piece: &[u8], is_last: bool) -> Result<(), u64> {
        let Some(utf8) = &mut self.utf8 else { return Ok(()) };
        let validated = utf8.push(piece).and_then(|()| if is_last { utf8.end() } else { Ok(()) });
        validated.map_err(|error| error.bytes_before_end as u64)
    }
}
