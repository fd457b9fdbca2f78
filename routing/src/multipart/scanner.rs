//! The scanner: parts, one after the other.

use std::borrow::Cow;
use std::sync::Arc;

use super::content::{ContentEnd, ContentReader};
use super::part_head::PartHead;
use crate::ascii::is_utf8_charset;
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::field::{FieldQuery, FormValues};
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::source::hex;
use crate::value::KeyRule;

/// The longest header of a part, in bytes, with its line breaks.
const MAX_HEADER: usize = 8 << 10;

/// The field that names the charset of the others (RFC 7578, 4.6).
const CHARSET_FIELD: &[u8] = b"_charset_";

/// The longest charset that is kept, in bytes. Longer than every one that is accepted.
const MAX_CHARSET: usize = 16;

/// One pass over a multipart body.
#[derive(Debug)]
pub struct MultipartScanner {
    fields: FormValues,
    content: ContentReader,
    state: PartState,
    head: PartHead,
    /// The current line of a part's header.
    line: Vec<u8>,
    /// The bytes of the current header before this line.
    header_bytes: usize,
    charset: Vec<u8>,
    /// The bytes before the current chunk.
    base: u64,
    broken: Option<BodyError>,
}

#[derive(Clone, Copy, Debug)]
enum PartState {
    /// Before the first delimiter, of which so many bytes have been read, its line break included.
    Start(usize),
    /// Behind the boundary, or behind the first byte after it.
    Boundary(Option<u8>),
    /// In the header of a part.
    Header,
    /// In the content of a part.
    Content(PartKind),
    /// Behind the last delimiter. Whether a carriage return is the last byte.
    Epilogue { after_return: bool },
}

#[derive(Clone, Copy, Debug)]
enum PartKind {
    /// A field of a source.
    Wanted,
    /// The field that names the charset.
    Charset,
    Other,
}

/// How much of the chunk has been read, and the state after it.
type PartStep = Result<(usize, PartState), BodyError>;

impl MultipartScanner {
    /// A scanner for one body, whose parts this boundary separates.
    #[must_use]
    pub fn new(query: Arc<FieldQuery>, boundary: &[u8]) -> Self {
        Self {
            fields: FormValues::new(query),
            content: ContentReader::new(boundary),
            state: PartState::Start(0),
            head: PartHead::default(),
            line: Vec::new(),
            header_bytes: 0,
            charset: Vec::new(),
            base: 0,
            broken: None,
        }
    }

    fn scan(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let mut at = 0;
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let (read, state) = match self.state {
                PartState::Start(read) => self.read_start(read, rest, at)?,
                PartState::Boundary(first) => self.read_boundary_end(first, rest, at)?,
                PartState::Header => self.read_header(rest, at)?,
                PartState::Content(kind) => self.read_content(kind, rest, at)?,
                PartState::Epilogue { after_return } => self.read_epilogue(after_return, rest, at)?,
            };
            at += read;
            self.state = state;
        }
        Ok(())
    }

    /// Reads the first delimiter. A line break may come before it; some parsers refuse any other preamble.
    fn read_start(&self, read: usize, rest: &[u8], at: usize) -> PartStep {
        let delimiter = self.content.delimiter();
        let read = if read == 0 && rest.first() != Some(&b'\r') { 2 } else { read };
        let expected = b"\r\n".iter().chain(delimiter).skip(read);
        let matching = expected.zip(rest).take_while(|(expected, byte)| expected == byte).count();
        if matching < rest.len() && read + matching < 2 + delimiter.len() {
            return Err(self.malformed(at + matching, "expected the boundary at the beginning of the body"));
        }
        let is_complete = read + matching == 2 + delimiter.len();
        Ok((matching, if is_complete { PartState::Boundary(None) } else { PartState::Start(read + matching) }))
    }

    /// Reads what follows the boundary: a line break, or `--` after the last part. PHP does not take a line with padding
    /// (RFC 2046, 5.1.1) for a delimiter, and no client sends any.
    fn read_boundary_end(&mut self, first: Option<u8>, rest: &[u8], at: usize) -> PartStep {
        let state = match (first, rest.first()) {
            (None, Some(byte @ (b'\r' | b'-'))) => PartState::Boundary(Some(*byte)),
            (Some(b'\r'), Some(b'\n')) => {
                self.head = PartHead::default();
                self.header_bytes = 0;
                PartState::Header
            }
            (Some(b'-'), Some(b'-')) => PartState::Epilogue { after_return: false },
            _ => return Err(self.malformed(at, "expected CRLF or `--` after the boundary")),
        };
        Ok((1, state))
    }

    /// Reads the header of a part, as far as the next end of a line.
    fn read_header(&mut self, rest: &[u8], at: usize) -> PartStep {
        let room = MAX_HEADER.saturating_sub(self.header_bytes + self.line.len());
        let end = memchr::memchr(b'\n', rest.get(..room).unwrap_or(rest));
        let Some(end) = end else {
            if rest.len() > room {
                return Err(self.malformed(at + room, "expected at most 8 KiB of header in a part"));
            }
            self.line.extend_from_slice(rest);
            return Ok((rest.len(), PartState::Header));
        };
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(rest.get(..end).unwrap_or_default());
        let start = (self.base + at as u64 + end as u64).saturating_sub(line.len() as u64);
        let state = self.read_line(&line, start);
        self.header_bytes += line.len() + 1;
        line.clear();
        self.line = line;
        Ok((end + 1, state?))
    }

    /// Reads a line of a header, which begins at `offset`. The line feed is not part of it.
    fn read_line(&mut self, line: &[u8], offset: u64) -> Result<PartState, BodyError> {
        let error = |reason, expected| BodyError { reason, offset, expected };
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(error(Reason::BodyMalformed, "expected CRLF at the end of each line of a part header"));
        };
        if self.content.is_in(line) {
            return Err(error(Reason::BodyMalformed, "expected a part header without the boundary"));
        }
        if !line.is_empty() {
            self.head.read(line).map_err(|(reason, expected)| error(reason, expected))?;
            return Ok(PartState::Header);
        }
        let head = std::mem::take(&mut self.head);
        match head.name() {
            Some(name) => Ok(PartState::Content(self.begin_part(name, &head))),
            None => Err(error(Reason::BodyMalformed, "expected a Content-Disposition in each part")),
        }
    }

    fn begin_part(&mut self, name: &[u8], head: &PartHead) -> PartKind {
        let duplicates = self.fields.query().duplicates();
        if self.fields.query().has(name) {
            // A browser sends a document of its own type as a file. Parsers that keep files apart find no field then, and
            // no parser finds another value, unless there is a second part of this name.
            let may_be_file = |rule: &KeyRule| rule.nested_format().is_some() && duplicates == Duplicates::Reject;
            let refused = |rule: &KeyRule| {
                head.unreadable().or_else(|| (head.is_file() && !may_be_file(rule)).then_some(Reason::KeyMalformed))
            };
            return if self.fields.occurrence(name, refused) { PartKind::Wanted } else { PartKind::Other };
        }
        let plain = unescaped(name);
        self.fields.other(&plain, &*plain != name, false);
        if name == CHARSET_FIELD { PartKind::Charset } else { PartKind::Other }
    }

    fn read_content(&mut self, kind: PartKind, rest: &[u8], at: usize) -> PartStep {
        let (fields, charset) = (&mut self.fields, &mut self.charset);
        let end = self.content.read(rest, |piece| match kind {
            PartKind::Wanted => fields.push(piece),
            PartKind::Charset => {
                let room = (MAX_CHARSET + 1).saturating_sub(charset.len());
                charset.extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
            PartKind::Other => {}
        });
        match end {
            ContentEnd::Open => Ok((rest.len(), PartState::Content(kind))),
            ContentEnd::Stray(end) => {
                let expected = "expected the boundary only after CRLF, and nowhere in the content of a part";
                Err(self.malformed(at + end, expected))
            }
            ContentEnd::Delimiter(end) => {
                self.end_part(kind, at + end)?;
                Ok((end, PartState::Boundary(None)))
            }
        }
    }

    fn end_part(&mut self, kind: PartKind, at: usize) -> Result<(), BodyError> {
        match kind {
            PartKind::Wanted => self.fields.end(None),
            PartKind::Charset if !is_utf8_charset(&self.charset) => {
                return Err(self.error(Reason::CharsetUnsupported, at, "expected UTF-8 in the field `_charset_`"));
            }
            PartKind::Charset => self.charset.clear(),
            PartKind::Other => {}
        }
        Ok(())
    }

    /// Reads what follows the last part: line breaks only. PHP looks for another delimiter there.
    fn read_epilogue(&self, after_return: bool, rest: &[u8], at: usize) -> PartStep {
        match (after_return, rest.first()) {
            (false, Some(b'\r')) => Ok((1, PartState::Epilogue { after_return: true })),
            (true, Some(b'\n')) => Ok((1, PartState::Epilogue { after_return: false })),
            _ => Err(self.malformed(at, "expected nothing after the last boundary")),
        }
    }

    fn malformed(&self, at: usize, expected: &'static str) -> BodyError {
        self.error(Reason::BodyMalformed, at, expected)
    }

    fn error(&self, reason: Reason, at: usize, expected: &'static str) -> BodyError {
        BodyError { reason, offset: self.base + at as u64, expected }
    }
}

impl BodyScanner for MultipartScanner {
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let scanned = self.scan(chunk);
        self.base += chunk.len() as u64;
        self.broken = scanned.err();
        scanned
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        if self.broken.is_none() && !matches!(self.state, PartState::Epilogue { after_return: false }) {
            self.broken = Some(self.error(Reason::BodyTruncated, 0, "expected the last boundary, with `--` behind it"));
        }
        self.broken.map_or(Ok(()), Err)
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.fields.candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.fields.is_settled(index)
    }
}

/// A name without backslashes and percent-encoding, which some parsers decode. Configured names have neither.
fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| matches!(byte, b'\\' | b'%')) {
        return Cow::Borrowed(name);
    }
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'\\', _) => {}
            (b'%', [high, low, after @ ..]) if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
                decoded.push(high << 4 | low);
                rest = after;
            }
            _ => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}
