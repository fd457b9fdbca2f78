//! `application/x-www-form-urlencoded` bodies (WHATWG URL, 5.1).
//!
//! The scanner buffers each name, and the value of each configured field, up to the longest length that can match. It
//! decodes them at their end. An invalid `%` escape makes a value unusable, because parsers differ on its meaning. A name
//! with one does not match a configured name.

use std::sync::Arc;

use crate::body::{BodyError, BodyScanner, Candidate};
use crate::format::ScanLimits;
use crate::key::{self, Duplicates};
use crate::reason::Reason;
use crate::source::{Plus, decode};
use crate::value::KeyRule;

/// The most bytes that encode one byte.
const MAX_ENCODED: usize = 3;

/// The fields to find, and the limits.
#[derive(Debug)]
pub struct FieldQuery {
    fields: Vec<Box<str>>,
    duplicates: Duplicates,
    key_bytes: usize,
    name_bytes: usize,
}

impl FieldQuery {
    /// A query for distinct fields. `key_bytes` is the length of the longest key.
    #[must_use]
    pub fn new(fields: Vec<Box<str>>, duplicates: Duplicates, key_bytes: usize) -> Self {
        let name_bytes = fields.iter().map(|name| name.len()).max().unwrap_or_default();
        Self { fields, duplicates, key_bytes, name_bytes }
    }

    /// A query for fields with their rules.
    pub(crate) fn with_rules(fields: Vec<(Box<str>, KeyRule)>, limits: ScanLimits) -> Self {
        let fields = fields.into_iter().map(|(name, _)| name).collect();
        Self::new(fields, limits.duplicates, limits.key_bytes)
    }
}

/// One pass over a form body.
#[derive(Debug)]
pub struct FormScanner {
    query: Arc<FieldQuery>,
    found: Vec<Option<Result<String, Reason>>>,
    part: PairPart,
    /// The current name or value, still encoded, without the bytes beyond the longest length that can match.
    raw: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum PairPart {
    Name,
    /// The value of the configured field with this index.
    Value(usize),
    /// The value of another field.
    Skip,
}

impl FormScanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<FieldQuery>) -> Self {
        let found = vec![None; query.fields.len()];
        Self { query, found, part: PairPart::Name, raw: Vec::new() }
    }

    /// Buffers bytes of the current part, at most one more than can match. That byte shows that the part is too long.
    fn keep(&mut self, bytes: &[u8]) {
        let decoded = match self.part {
            PairPart::Name => self.query.name_bytes,
            PairPart::Value(_) => self.query.key_bytes,
            PairPart::Skip => return,
        };
        let room = (decoded * MAX_ENCODED + 1).saturating_sub(self.raw.len());
        self.raw.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn end_name(&mut self) {
        let wanted = decode(&self.raw, Plus::Space)
            .ok()
            .and_then(|name| self.query.fields.iter().position(|field| field.as_bytes() == &*name));
        self.raw.clear();
        self.part = match wanted {
            None => PairPart::Skip,
            Some(index) => match (self.found.get_mut(index), self.query.duplicates) {
                (Some(found @ Some(_)), Duplicates::Reject) => {
                    *found = Some(Err(Reason::KeyDuplicated));
                    PairPart::Skip
                }
                (Some(Some(_)), Duplicates::First) => PairPart::Skip,
                _ => PairPart::Value(index),
            },
        };
    }

    fn end_value(&mut self) {
        if let PairPart::Value(index) = self.part {
            let limit = self.query.key_bytes;
            let value = if self.raw.len() > limit * MAX_ENCODED {
                Err(Reason::KeyTooLong)
            } else {
                decode(&self.raw, Plus::Space).and_then(|value| key::check(&value, limit).map(str::to_owned))
            };
            if let Some(found) = self.found.get_mut(index) {
                *found = Some(value);
            }
        }
        self.raw.clear();
        self.part = PairPart::Name;
    }

    /// Ends a pair. A field without `=` has an empty value. An empty pair is ignored.
    fn end_pair(&mut self) {
        if matches!(self.part, PairPart::Name) && !self.raw.is_empty() {
            self.end_name();
        }
        self.end_value();
    }
}

impl BodyScanner for FormScanner {
    fn push(&mut self, mut chunk: &[u8]) -> Result<(), BodyError> {
        while !chunk.is_empty() {
            let in_name = matches!(self.part, PairPart::Name);
            let end = chunk.iter().position(|byte| *byte == b'&' || (in_name && *byte == b'='));
            let (text, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            self.keep(text);
            match rest.split_first() {
                None => break,
                Some((b'=', after)) => {
                    self.end_name();
                    chunk = after;
                }
                Some((_, after)) => {
                    self.end_pair();
                    chunk = after;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        self.end_pair();
        Ok(())
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        match self.found.get(index) {
            Some(Some(Ok(key))) => Candidate::Found(key),
            Some(Some(Err(reason))) => Candidate::Unusable(*reason),
            _ => Candidate::Missing,
        }
    }

    fn is_settled(&self, index: usize) -> bool {
        self.query.duplicates != Duplicates::Last && matches!(self.found.get(index), Some(Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(body: &str, duplicates: Duplicates, cut: usize) -> Option<Result<String, Reason>> {
        let query = FieldQuery::new(vec!["other".into(), "tenant id".into()], duplicates, 8);
        let mut scanner = FormScanner::new(Arc::new(query));
        for chunk in body.as_bytes().chunks(cut) {
            scanner.push(chunk).unwrap();
        }
        scanner.finish().unwrap();
        match scanner.candidate(1) {
            Candidate::Missing => None,
            Candidate::Found(key) => Some(Ok(key.to_owned())),
            Candidate::Unusable(reason) => Some(Err(reason)),
        }
    }

    #[test]
    fn the_result_does_not_depend_on_chunk_boundaries() {
        let cases: &[(&str, Option<Result<&str, Reason>>)] = &[
            ("tenant+id=acme", Some(Ok("acme"))),
            ("a=b&&tenant%20id=%61c%C3%A5+1&c", Some(Ok("acå 1"))),
            ("tenant id=a=b", Some(Ok("a=b"))),
            ("tenant+id", Some(Err(Reason::KeyEmpty))),
            ("tenant+id=&x=1", Some(Err(Reason::KeyEmpty))),
            ("tenant+id=a&tenant%20id=a", Some(Err(Reason::KeyDuplicated))),
            ("tenant+id=%zz", Some(Err(Reason::KeyMalformed))),
            ("tenant+id=%ff", Some(Err(Reason::KeyInvalidUtf8))),
            ("tenant+id=%0a", Some(Err(Reason::KeyControlCharacter))),
            ("tenant+id=123456789", Some(Err(Reason::KeyTooLong))),
            ("tenant+id=%31%32%33%34%35%36%37%38", Some(Ok("12345678"))),
            ("x=tenant+id=acme", None),
            ("tenant+id%=acme", None),
            ("=&==&&", None),
            ("", None),
        ];
        for (body, expected) in cases {
            for cut in 1..=body.len().max(1) {
                let expected = expected.map(|found| found.map(str::to_owned));
                assert_eq!(scan(body, Duplicates::Reject, cut), expected, "{body} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_configured_rule_picks_a_duplicate() {
        let body = "tenant+id=a&tenant+id=b&tenant+id=c";
        assert_eq!(scan(body, Duplicates::First, 3), Some(Ok("a".to_owned())));
        assert_eq!(scan(body, Duplicates::Last, 3), Some(Ok("c".to_owned())));
    }

    #[test]
    fn the_buffer_is_bounded() {
        let mut scanner = FormScanner::new(Arc::new(FieldQuery::new(vec!["t".into()], Duplicates::Reject, 8)));
        for _ in 0..1000 {
            scanner.push(&[b'n'; 1000]).unwrap();
        }
        scanner.push(b"&t=").unwrap();
        for _ in 0..1000 {
            scanner.push(&[b'v'; 1000]).unwrap();
        }
        assert!(scanner.raw.capacity() < 100);
        scanner.finish().unwrap();
        assert_eq!(scanner.candidate(0), Candidate::Unusable(Reason::KeyTooLong));
    }
}
