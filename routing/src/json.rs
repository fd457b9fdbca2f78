//! JSON bodies (RFC 8259): an incremental scanner that looks for RFC 6901 pointers.

mod pointer;
mod scanner;

pub use pointer::{BadPointer, Pointer};
pub use scanner::JsonScanner;

use crate::key::Duplicates;

/// The pointers to look for, and the limits to look with.
#[derive(Debug)]
pub struct JsonQuery {
    pub(crate) pointers: Vec<Pointer>,
    pub(crate) duplicates: Duplicates,
    pub(crate) depth: usize,
    pub(crate) key_bytes: usize,
}

impl JsonQuery {
    /// A query for pointers in order of precedence. `depth` is the deepest nesting allowed, `key_bytes` the longest key.
    #[must_use]
    pub fn new(pointers: Vec<Pointer>, duplicates: Duplicates, depth: usize, key_bytes: usize) -> Self {
        Self { pointers, duplicates, depth, key_bytes }
    }
}
