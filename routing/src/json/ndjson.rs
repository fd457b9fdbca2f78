//! NDJSON bodies: JSON documents (RFC 8259), one on each line.
//!
//! A line ends with LF; a CR before it is whitespace. The last line needs no LF. Blank lines are ignored, as the NDJSON
//! specification lets parsers do. A document must be on one line, and a line holds one document: anything else is
//! malformed. LF cannot be inside a JSON string, so every LF ends a line.

use std::sync::Arc;

use super::fast::line_end;
use super::scanner::JsonScanner;
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::document::DocumentQuery;

/// One pass over an NDJSON body. The records must agree: see [`DocumentQuery`]. Memory is that of a [`JsonScanner`].
///
/// With `FAST` (the default), its documents are read with the fast path of the JSON scanner.
#[derive(Debug)]
pub struct NdjsonScanner<const FAST: bool = true> {
    documents: JsonScanner<FAST>,
}

impl NdjsonScanner {
    /// A scanner for one body. The query must be one of records.
    #[must_use]
    pub fn new(query: Arc<DocumentQuery>) -> Self {
        Self { documents: JsonScanner::new(query) }
    }
}

impl NdjsonScanner<false> {
    /// A scanner without the fast path, for tests and benchmarks.
    #[must_use]
    pub fn reference(query: Arc<DocumentQuery>) -> Self {
        Self { documents: JsonScanner::reference(query) }
    }
}

impl<const FAST: bool> BodyScanner for NdjsonScanner<FAST> {
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let mut rest = chunk;
        loop {
            let end = if FAST { line_end(rest) } else { rest.iter().position(|byte| *byte == b'\n') };
            let Some((line, after)) = end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?))) else {
                return self.documents.push(rest);
            };
            self.documents.push(line)?;
            self.documents.end_line()?;
            rest = after;
        }
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        self.documents.end_last_line()
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.documents.candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.documents.is_settled(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{AcceptedFaults, QueryOptions};
    use crate::key::Duplicates;
    use crate::reason::Reason;
    use crate::value::ValueRule;

    const OPTIONS: QueryOptions = QueryOptions {
        duplicates: Duplicates::Reject,
        depth: 8,
        key_bytes: 16,
        records: true,
        accepted: AcceptedFaults { lone_surrogates: true, byte_order_mark: false },
    };

    /// Whether a body is well formed, and the value of a pointer.
    type Scanned = (Result<(), (Reason, u64)>, Option<Result<String, Reason>>);

    /// Scans for `/id`, whole and in every pair of chunks.
    fn scan(body: &str) -> Scanned {
        let query = DocumentQuery::compile(vec![("/id".parse().unwrap(), ValueRule::default())], OPTIONS);
        let query = Arc::new(query);
        let run = |scanner: &mut dyn BodyScanner, cut| {
            let (first, second) = body.as_bytes().split_at(cut);
            let ended = scanner.push(first).and_then(|()| scanner.push(second)).and_then(|()| scanner.finish());
            let held = scanner.candidate(0).found().map(|found| found.map(str::to_owned));
            (ended.map_err(|error| (error.reason, error.offset)), held)
        };
        let whole = run(&mut NdjsonScanner::new(Arc::clone(&query)), 0);
        for cut in 0..=body.len() {
            assert_eq!(run(&mut NdjsonScanner::new(Arc::clone(&query)), cut), whole, "{body:?} cut at {cut}");
            assert_eq!(run(&mut NdjsonScanner::reference(Arc::clone(&query)), cut), whole, "{body:?} cut at {cut}");
        }
        whole
    }

    fn held(body: &str) -> Option<Result<String, Reason>> {
        let (ended, held) = scan(body);
        assert_eq!(ended, Ok(()), "{body:?}");
        held
    }

    #[test]
    fn records_that_hold_something_must_agree() {
        let acme = || Some(Ok("acme".to_owned()));
        assert_eq!(held("{\"id\":\"acme\"}\n{\"id\":\"acme\"}\n"), acme());
        assert_eq!(held("{\"id\":\"acme\"}\r\n\r\n \t\n{}\n7\n[1]\n{\"id\":\"acme\"}"), acme());
        assert_eq!(held("\n\n{\"id\":\"acme\"}"), acme());
        assert_eq!(held("{\"id\":\"acme\"}\n{\"id\":\"globex\"}\n"), Some(Err(Reason::KeyConflict)));
        assert_eq!(held("{\"id\":\"acme\"}\n{\"id\":null}"), Some(Err(Reason::KeyConflict)));
        assert_eq!(held("{\"id\":null}\n{\"id\":null}"), Some(Err(Reason::KeyNull)));
        assert_eq!(held("{\"id\":\"acme\"}\n{\"id\":1,\"id\":2}\n"), Some(Err(Reason::KeyDuplicated)));
        assert_eq!(held("{\"id\":\"acme\"}\n{\"ID\":1}\n"), Some(Err(Reason::KeyAmbiguous)));
    }

    #[test]
    fn a_body_without_records_holds_nothing() {
        for body in ["", "\n", "\r\n \n", "1\n2\n3"] {
            assert_eq!(held(body), None, "{body:?}");
        }
    }

    #[test]
    fn each_line_holds_one_whole_document() {
        for (body, reason, offset) in [
            ("{\"id\":\n1}", Reason::BodyMalformed, 6),
            ("{}\n[1,\r\n2]", Reason::BodyMalformed, 7),
            ("{} {}\n", Reason::BodyMalformed, 3),
            ("{}\n1 2\n", Reason::BodyMalformed, 5),
            ("\"a\nb\"\n", Reason::BodyMalformed, 2),
            ("-\n", Reason::BodyMalformed, 1),
            ("{}\n{\"id\":1", Reason::BodyTruncated, 10),
            ("{}\nx", Reason::BodyMalformed, 3),
            ("{}\n\u{feff}{}", Reason::BodyMalformed, 3),
            ("\u{feff}{}", Reason::BodyByteOrderMark, 0),
            ("{},\n{}", Reason::BodyMalformed, 2),
            ("\u{1e}{}\n", Reason::BodyMalformed, 0),
        ] {
            assert_eq!(scan(body).0, Err((reason, offset)), "{body:?}");
        }
    }

    #[test]
    fn an_error_is_final() {
        let query = DocumentQuery::compile(Vec::new(), OPTIONS);
        let mut scanner = NdjsonScanner::new(Arc::new(query));
        let error = scanner.push(b"{\n").unwrap_err();
        assert_eq!((scanner.push(b"}\n"), scanner.finish()), (Err(error), Err(error)));
    }
}
