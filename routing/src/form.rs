//! `application/x-www-form-urlencoded` bodies (WHATWG URL, 5.1).
//!
//! The scanner buffers each name up to the longest length that can match, and decodes it at its end. The value of a
//! configured field is decoded as it arrives. An invalid `%` escape makes a value unusable, because parsers differ on its
//! meaning. A name with one does not match a configured name.

mod percent_decoder;

use std::sync::Arc;

use crate::body::{BodyError, BodyScanner, Candidate};
pub use crate::field::FieldQuery;
use crate::field::FormValues;
use crate::source::{Plus, decode, decode_valid};
use percent_decoder::PercentDecoder;

/// The most bytes that encode one byte.
const MAX_ENCODED: usize = 3;

/// One pass over a form body.
#[derive(Debug)]
pub struct FormScanner {
    fields: FormValues,
    part: PairPart,
    /// The beginning of the current name, still encoded, if a chunk has cut it. Without the bytes beyond the longest
    /// length that can match.
    name: Vec<u8>,
    name_bytes: usize,
}

#[derive(Debug)]
enum PairPart {
    Name,
    /// The value of a configured field.
    Value(PercentDecoder),
    /// The value of another field.
    Skip,
}

impl FormScanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<FieldQuery>) -> Self {
        // One byte more may be the NUL that ends the name in C.
        let name_bytes = (query.name_bytes() + 1) * MAX_ENCODED;
        Self { fields: FormValues::new(query), part: PairPart::Name, name: Vec::new(), name_bytes }
    }

    /// Reads a part of a name, and ends the name if it is complete. One byte more than can match is kept, to show that the
    /// name is too long.
    fn read_name(&mut self, text: &[u8], is_complete: bool) {
        if is_complete && self.name.is_empty() {
            return self.end_name(text);
        }
        let room = (self.name_bytes + 1).saturating_sub(self.name.len());
        self.name.extend_from_slice(text.get(..room).unwrap_or(text));
        if is_complete {
            let name = std::mem::take(&mut self.name);
            self.end_name(&name);
            self.name = name;
            self.name.clear();
        }
    }

    fn end_name(&mut self, name: &[u8]) {
        self.part = PairPart::Skip;
        if name.len() > self.name_bytes {
            return self.end_odd_name(name);
        }
        match decode(name, Plus::Space) {
            Ok(name) if !self.fields.query().has(&name) => self.fields.other(&name, false, false),
            Ok(name) => {
                if self.fields.begin(&name) {
                    self.part = PairPart::Value(PercentDecoder::default());
                }
            }
            Err(_) => self.end_odd_name(name),
        }
    }

    /// Ends a name that is not kept whole, or has an invalid escape.
    #[cold]
    fn end_odd_name(&mut self, name: &[u8]) {
        let kept = name.get(..self.name_bytes).filter(|kept| kept.len() < name.len());
        let decoded = decode_valid(kept.map_or(name, without_cut_escape), Plus::Space);
        self.fields.other(&decoded, false, kept.is_some());
    }

    fn read_value(&mut self, text: &[u8]) {
        if let PairPart::Value(decoder) = &mut self.part {
            decoder.push(text, |piece| self.fields.push(piece));
        }
    }

    fn end_value(&mut self) {
        if let PairPart::Value(decoder) = std::mem::replace(&mut self.part, PairPart::Name) {
            self.fields.end(decoder.finish());
        }
    }
}

impl BodyScanner for FormScanner {
    fn push(&mut self, mut chunk: &[u8]) -> Result<(), BodyError> {
        while let Some(first) = chunk.first() {
            // A pair whose name cannot matter is passed over as a whole.
            let begins_pair = matches!(self.part, PairPart::Name) && self.name.is_empty();
            if begins_pair && !matches!(first, b'%' | b'+') && !self.fields.query().may_begin(*first) {
                self.part = PairPart::Skip;
            }
            let in_name = matches!(self.part, PairPart::Name);
            let end = if in_name { memchr::memchr2(b'=', b'&', chunk) } else { memchr::memchr(b'&', chunk) };
            let (text, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            let stop = rest.first().copied();
            if in_name {
                // An empty pair is ignored. A field without `=` has an empty value.
                let is_empty_pair = stop == Some(b'&') && text.is_empty() && self.name.is_empty();
                if !is_empty_pair {
                    self.read_name(text, stop.is_some());
                }
            } else {
                self.read_value(text);
            }
            if stop == Some(b'&') {
                self.end_value();
            }
            chunk = rest.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        if matches!(self.part, PairPart::Name) && !self.name.is_empty() {
            self.read_name(&[], true);
        }
        self.end_value();
        Ok(())
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.fields.candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.fields.is_settled(index)
    }
}

/// The beginning of a name, without an escape that it does not have the end of.
fn without_cut_escape(name: &[u8]) -> &[u8] {
    let last = name.len().saturating_sub(2);
    let percent = name.iter().skip(last).position(|byte| *byte == b'%');
    percent.and_then(|at| name.get(..last + at)).unwrap_or(name)
}

#[cfg(test)]
mod tests;
