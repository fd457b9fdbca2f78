//! The scanner: the encoding of the body, and the places of its errors.

use std::sync::Arc;

use super::elements::Elements;
use super::lexer::Lexer;
use super::query::ElementQuery;
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::key::Duplicates;
use crate::reason::Reason;

/// A document may begin with it (XML 1.0, 4.3.3).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One pass over an XML document in UTF-8.
///
/// Memory: see [`Elements`], and 1 KB for a name. Text and values of attributes are kept only where a source looks for a
/// key.
#[derive(Debug)]
pub struct XmlScanner {
    query: Arc<ElementQuery>,
    lexer: Lexer,
    /// The bytes so far of a character that the end of a chunk has cut.
    cut: Vec<u8>,
    /// How many bytes came before the next one, without those in `cut`.
    offset: u64,
    broken: Option<BodyError>,
}

impl XmlScanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<ElementQuery>) -> Self {
        let lexer = Lexer::new(Elements::new(Arc::clone(&query)));
        Self { query, lexer, cut: Vec::new(), offset: 0, broken: None }
    }

    fn scan(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if self.offset == 0 && self.cut.is_empty() && matches!(chunk.first(), Some(0xfe | 0xff)) {
            // The byte order mark of UTF-16 or UTF-32.
            return self.error(Reason::CharsetUnsupported, "expected UTF-8");
        }
        let mut rest = chunk;
        while !self.cut.is_empty()
            && let Some((byte, after)) = rest.split_first()
        {
            rest = after;
            self.cut.push(*byte);
            let cut = std::mem::take(&mut self.cut);
            self.scan_bytes(&cut)?;
        }
        self.scan_bytes(rest)
    }

    /// Scans bytes that begin with a character.
    fn scan_bytes(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return self.scan_text(text),
            Err(error) => error,
        };
        let (valid, rest) = bytes.split_at_checked(error.valid_up_to()).unwrap_or((&[], bytes));
        self.scan_text(std::str::from_utf8(valid).unwrap_or_default())?;
        if error.error_len().is_some() {
            return self.error(Reason::BodyInvalidUtf8, "expected UTF-8");
        }
        self.cut.extend_from_slice(rest);
        Ok(())
    }

    fn scan_text(&mut self, text: &str) -> Result<(), BodyError> {
        let mut rest = text;
        if self.offset == 0 {
            rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
        }
        let result = self.lexer.read(&mut rest);
        self.offset += text.len().saturating_sub(rest.len()) as u64;
        result.or_else(|fault| self.error(fault.reason, fault.expected))
    }

    fn error(&self, reason: Reason, expected: &'static str) -> Result<(), BodyError> {
        Err(BodyError { reason, offset: self.offset, expected })
    }

    /// Keeps the first error, and repeats it.
    fn unless_broken(&mut self, scan: impl FnOnce(&mut Self) -> Result<(), BodyError>) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        scan(self).inspect_err(|error| self.broken = Some(*error))
    }
}

impl BodyScanner for XmlScanner {
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        self.unless_broken(|scanner| scanner.scan(chunk))
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        self.unless_broken(|scanner| {
            if scanner.cut.is_empty() && scanner.lexer.is_complete() {
                Ok(())
            } else {
                scanner.error(Reason::BodyTruncated, "expected the end of the root element")
            }
        })
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.lexer.elements().candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.query.duplicates != Duplicates::Last && self.candidate(index) != Candidate::Missing
    }
}
