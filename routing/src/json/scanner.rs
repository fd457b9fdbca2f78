//! The scanner: the grammar between tokens (RFC 8259, 2). Every state can be left at the end of a chunk.

use std::sync::Arc;

use super::cursor::Cursor;
use super::fast::{Bounds, FastPath, ScanPosition};
use super::literal::Literal;
use super::number::{NumberState, NumberText};
use super::stack::Stack;
use super::state::GrammarState;
use super::string::{StringRead, StringScan};
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::document::{AcceptedFaults, Container, DocumentQuery, QueryPath};
use crate::reason::Reason;

/// The UTF-8 byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One pass over a JSON document.
///
/// Memory: a few words for each pointer; room for the longest key, allocated once and only if a name or a key is not
/// plain text in one chunk; 4.5 KB for the structure cache of a body of 1.5 KB or more. A key that is found is
/// copied once. Nothing else is allocated, whatever the body is.
///
/// With `FAST` (the default), bytes that cannot change the result are skipped many at a time. Without it, the scanner is
/// the reference that tests, fuzzing and benchmarks compare with. Results are the same.
#[derive(Debug)]
pub struct JsonScanner<const FAST: bool = true> {
    state: GrammarState,
    stack: Stack,
    path: QueryPath,
    string: StringScan,
    /// A number that may matter.
    number: NumberText,
    fast: FastPath,
    /// How many bytes came before the current chunk.
    base: u64,
    broken: Option<BodyError>,
    /// The most containers that may be open.
    depth_limit: usize,
    accepted: AcceptedFaults,
}

impl JsonScanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<DocumentQuery>) -> Self {
        Self::with_query(query)
    }
}

impl JsonScanner<false> {
    /// A scanner without the fast path, for tests and benchmarks.
    #[must_use]
    pub fn reference(query: Arc<DocumentQuery>) -> Self {
        Self::with_query(query)
    }
}

impl<const FAST: bool> JsonScanner<FAST> {
    fn with_query(query: Arc<DocumentQuery>) -> Self {
        Self {
            depth_limit: query.depth,
            accepted: query.accepted,
            state: GrammarState::Start(0),
            stack: Stack::new(),
            path: QueryPath::new(query),
            string: StringScan::default(),
            number: NumberText::default(),
            fast: FastPath::default(),
            base: 0,
            broken: None,
        }
    }

    fn scan(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let mut cursor = Cursor { chunk, at: 0, base: self.base };
        let mut state = self.state;
        loop {
            if FAST {
                state = self.advance_fast(state, &mut cursor);
            }
            if cursor.at >= chunk.len() {
                break;
            }
            state = match state {
                GrammarState::Start(read) => read_start(read, self.accepted, &mut cursor)?,
                GrammarState::NameText => self.read_name_text(&mut cursor)?,
                GrammarState::StringText => self.read_string_text(&mut cursor)?,
                GrammarState::Number(number) => self.read_number(number, &mut cursor)?,
                GrammarState::Literal(literal, read) => self.read_literal(literal, read, &mut cursor)?,
                between_tokens => self.read_tokens(between_tokens, &mut cursor)?,
            };
        }
        self.state = state;
        self.fast.end_chunk(chunk.len());
        Ok(())
    }

    /// Moves on with the fast path, as far as it can.
    #[inline(always)]
    fn advance_fast(&mut self, state: GrammarState, cursor: &mut Cursor<'_>) -> GrammarState {
        let keeps_text = match state {
            GrammarState::NameText | GrammarState::StringText if !self.string.is_between_characters() => return state,
            GrammarState::NameText => self.is_live(),
            GrammarState::StringText => self.path.has_node(),
            _ if self.is_live() => return state,
            _ => false,
        };
        let received = cursor.base + cursor.chunk.len() as u64;
        let bounds = Bounds { live: self.path.depth(), depth: self.depth_limit, keeps_text, received };
        let place = self.fast.advance(cursor.chunk, ScanPosition { at: cursor.at, state }, bounds, &mut self.stack);
        let skipped = cursor.take_until(place.at);
        if keeps_text {
            self.path.push_text(skipped);
        }
        place.state
    }

    /// Reads tokens, at least one: all that follow in live containers, up to one that is not whole.
    #[inline(always)]
    fn read_tokens(&mut self, mut state: GrammarState, cursor: &mut Cursor<'_>) -> Result<GrammarState, BodyError> {
        loop {
            cursor.skip_whitespace();
            let Some(byte) = cursor.peek() else { return Ok(state) };
            state = self.read_token(state, byte, cursor)?;
            if !state.is_between_tokens() || !self.is_live() {
                return Ok(state);
            }
        }
    }

    /// Reads the token that begins with `byte`, or as much of it as is in the chunk.
    #[inline(always)]
    fn read_token(
        &mut self,
        state: GrammarState,
        byte: u8,
        cursor: &mut Cursor<'_>,
    ) -> Result<GrammarState, BodyError> {
        match (state, byte) {
            (GrammarState::FirstName | GrammarState::Name, b'"') => Ok(self.begin_name(cursor)),
            (GrammarState::FirstName, b'}') => Ok(self.close(cursor)),
            (GrammarState::Colon, b':') => Ok(cursor.take(GrammarState::Value)),
            (GrammarState::MemberEnd, b',') => Ok(cursor.take(GrammarState::Name)),
            (GrammarState::MemberEnd, b'}') => Ok(self.close(cursor)),
            (GrammarState::ElementEnd, b',') => {
                if self.is_live() {
                    self.path.next_element();
                }
                Ok(cursor.take(GrammarState::Value))
            }
            (GrammarState::ElementEnd | GrammarState::FirstElement, b']') => Ok(self.close(cursor)),
            (GrammarState::Value | GrammarState::FirstElement, byte) => self.begin_value(state, byte, cursor),
            _ => Err(cursor.malformed(state.expected())),
        }
    }

    #[inline(always)]
    fn begin_value(
        &mut self,
        state: GrammarState,
        byte: u8,
        cursor: &mut Cursor<'_>,
    ) -> Result<GrammarState, BodyError> {
        match byte {
            b'{' => self.open(Container::Object, cursor),
            b'[' => self.open(Container::Array, cursor),
            b'"' => Ok(self.begin_string(cursor)),
            _ => {
                if let Some(number) = NumberState::starting(byte) {
                    if self.path.has_node() {
                        self.number.clear();
                        self.number.push(&[byte]);
                    }
                    cursor.at += 1;
                    return self.read_number(number, cursor);
                }
                match Literal::starting(byte) {
                    Some(literal) => self.read_literal(literal, 0, cursor),
                    None => Err(cursor.malformed(state.expected())),
                }
            }
        }
    }

    #[inline(always)]
    fn open(&mut self, container: Container, cursor: &mut Cursor<'_>) -> Result<GrammarState, BodyError> {
        if self.stack.depth() >= self.depth_limit {
            return Err(cursor.error(Reason::BodyTooDeep, "expected no more levels of nesting"));
        }
        if self.path.has_node() {
            self.path.open(container);
        }
        self.stack.push(container);
        Ok(cursor.take(match container {
            Container::Array => GrammarState::FirstElement,
            Container::Object => GrammarState::FirstName,
        }))
    }

    #[inline(always)]
    fn close(&mut self, cursor: &mut Cursor<'_>) -> GrammarState {
        if self.is_live() {
            self.path.close();
        }
        self.stack.pop();
        cursor.take(self.after_value())
    }

    /// Takes the opening quote of a name, and the whole name if it is on a pointer's path and simple.
    #[inline(always)]
    fn begin_name(&mut self, cursor: &mut Cursor<'_>) -> GrammarState {
        cursor.at += 1;
        if !self.is_live() {
            return GrammarState::NameText;
        }
        let Some(name) = cursor.take_simple_string::<FAST>() else {
            self.path.begin_name();
            return GrammarState::NameText;
        };
        self.path.member(name);
        // Most documents have no whitespace here.
        if cursor.peek() == Some(b':') { cursor.take(GrammarState::Value) } else { GrammarState::Colon }
    }

    /// Takes the opening quote of a string value, and the whole string if it has a node and is simple.
    #[inline(always)]
    fn begin_string(&mut self, cursor: &mut Cursor<'_>) -> GrammarState {
        cursor.at += 1;
        if !self.path.has_node() {
            return GrammarState::StringText;
        }
        let Some(text) = cursor.take_simple_string::<FAST>() else {
            self.path.begin_text();
            return GrammarState::StringText;
        };
        self.path.text(text);
        self.after_value()
    }

    /// Reads on in a name.
    #[inline(never)]
    fn read_name_text(&mut self, cursor: &mut Cursor<'_>) -> Result<GrammarState, BodyError> {
        let is_live = self.is_live();
        // Parsers read a name with a lone surrogate in different ways: it might be a name on the path.
        let accepts_lone = self.accepted.lone_surrogates && !is_live;
        if !self.read_text(is_live, accepts_lone, cursor)? {
            return Ok(GrammarState::NameText);
        }
        if is_live {
            self.path.end_name();
        }
        Ok(GrammarState::Colon)
    }

    /// Reads on in a string value.
    #[inline(never)]
    fn read_string_text(&mut self, cursor: &mut Cursor<'_>) -> Result<GrammarState, BodyError> {
        let has_node = self.path.has_node();
        if !self.read_text(has_node, self.accepted.lone_surrogates, cursor)? {
            return Ok(GrammarState::StringText);
        }
        if has_node {
            self.path.end_text();
        }
        Ok(self.after_value())
    }

    /// Reads on in a name or string. Returns whether it has ended.
    #[inline(always)]
    fn read_text(&mut self, keeps_text: bool, accepts_lone: bool, cursor: &mut Cursor<'_>) -> Result<bool, BodyError> {
        let path = keeps_text.then_some(&mut self.path);
        let read = self.string.advance(cursor.chunk, cursor.at, cursor.base, path, accepts_lone)?;
        cursor.at = match read {
            StringRead::Closed(at) | StringRead::Open(at) => at,
            StringRead::ChunkEnded => cursor.chunk.len(),
        };
        Ok(matches!(read, StringRead::Closed(_)))
    }

    /// Reads on in a number.
    #[inline(always)]
    fn read_number(&mut self, mut number: NumberState, cursor: &mut Cursor<'_>) -> Result<GrammarState, BodyError> {
        let end = number.advance(cursor.chunk, cursor.at).map_err(|at| {
            cursor.at = at;
            cursor.malformed("expected a digit")
        })?;
        let digits = cursor.take_until(end);
        if self.path.has_node() {
            self.number.push(digits);
        }
        if end == cursor.chunk.len() {
            return Ok(GrammarState::Number(number));
        }
        if self.path.has_node() {
            self.end_number(number);
        }
        Ok(self.after_value())
    }

    #[inline(never)]
    fn end_number(&mut self, number: NumberState) {
        if !self.path.is_wanted() {
            return self.path.leave_value();
        }
        match number.integer(self.number.bytes()) {
            Ok(digits) => self.path.integer(digits),
            Err(reason) => self.path.unusable(reason),
        }
    }

    /// Reads on in a literal, of which `read` bytes have been read.
    #[inline(always)]
    fn read_literal(
        &mut self,
        literal: Literal,
        mut read: u8,
        cursor: &mut Cursor<'_>,
    ) -> Result<GrammarState, BodyError> {
        for letter in literal.text().iter().skip(usize::from(read)) {
            match cursor.peek() {
                None => return Ok(GrammarState::Literal(literal, read)),
                Some(byte) if byte == *letter => {}
                Some(_) => return Err(cursor.malformed(literal.expected())),
            }
            cursor.at += 1;
            read += 1;
        }
        if self.path.has_node() {
            self.path.unusable(literal.reason());
        }
        Ok(self.after_value())
    }

    /// A line of an NDJSON body has ended, before its LF: its document must be complete.
    pub(super) fn end_line(&mut self) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let ended = self.end_record().map_err(|error| match error.reason {
            Reason::BodyTruncated => {
                let expected = "expected the rest of the document before the end of the line";
                BodyError { reason: Reason::BodyMalformed, expected, ..error }
            }
            _ => error,
        });
        self.base += 1;
        self.broken = ended.err();
        ended
    }

    /// An NDJSON body has ended. Its last line needs no LF.
    pub(super) fn end_last_line(&mut self) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let ended = self.end_record();
        self.broken = ended.err();
        ended
    }

    /// Completes the document, and prepares for the next one. A blank line has none.
    fn end_record(&mut self) -> Result<(), BodyError> {
        let is_blank = matches!(self.state, GrammarState::Start(0) | GrammarState::Value) && self.stack.depth() == 0;
        if !is_blank {
            self.complete()?;
            self.path.end_record();
        }
        self.state = GrammarState::Value;
        Ok(())
    }

    /// Whether a pointer goes through the innermost container.
    #[inline(always)]
    fn is_live(&self) -> bool {
        self.path.depth() == self.stack.depth()
    }

    #[inline(always)]
    fn after_value(&self) -> GrammarState {
        self.stack.recent().after_value()
    }

    /// The body is complete. A number at the top level ends with it.
    fn complete(&mut self) -> Result<(), BodyError> {
        let error = |reason, offset, expected| Err(BodyError { reason, offset, expected });
        match self.state {
            GrammarState::End => Ok(()),
            GrammarState::Number(number) if number.is_complete() && self.stack.depth() == 0 => {
                if self.path.has_node() {
                    self.end_number(number);
                }
                self.state = GrammarState::End;
                Ok(())
            }
            GrammarState::Start(1..) => error(Reason::BodyMalformed, 0, GrammarState::Value.expected()),
            _ => error(Reason::BodyTruncated, self.base, "expected more of the document"),
        }
    }
}

impl<const FAST: bool> BodyScanner for JsonScanner<FAST> {
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
        if let Some(error) = self.broken {
            return Err(error);
        }
        let completed = self.complete();
        self.broken = completed.err();
        completed
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.path.candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.path.is_settled(index)
    }
}

/// Reads the first byte, or the next one of what may be a byte order mark. A body that begins like the mark and continues
/// differently is malformed from its first byte on.
fn read_start(read: u8, accepted: AcceptedFaults, cursor: &mut Cursor<'_>) -> Result<GrammarState, BodyError> {
    let error = |reason, expected| Err(BodyError { reason, offset: 0, expected });
    if cursor.peek() == BYTE_ORDER_MARK.get(usize::from(read)).copied() {
        cursor.at += 1;
        return match read {
            0 | 1 => Ok(GrammarState::Start(read + 1)),
            _ if accepted.byte_order_mark => Ok(GrammarState::Value),
            _ => error(Reason::BodyByteOrderMark, "expected no byte order mark"),
        };
    }
    match read {
        0 => Ok(GrammarState::Value),
        _ => error(Reason::BodyMalformed, GrammarState::Value.expected()),
    }
}
