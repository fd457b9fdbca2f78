//! PLACEHOLDER: replaced by the real scanner.
use std::sync::Arc;

use super::JsonQuery;
use crate::body::{BodyError, BodyScanner, Candidate};

/// One pass over a JSON document.
#[derive(Debug)]
pub struct JsonScanner {
    query: Arc<JsonQuery>,
}

impl JsonScanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<JsonQuery>) -> Self {
        Self { query }
    }
}

impl BodyScanner for JsonScanner {
    fn push(&mut self, _chunk: &[u8]) -> Result<(), BodyError> {
        let _ = &self.query;
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BodyError> {
        Ok(())
    }
    fn candidate(&self, _index: usize) -> Candidate<'_> {
        Candidate::Missing
    }
    fn is_settled(&self, _index: usize) -> bool {
        false
    }
}
