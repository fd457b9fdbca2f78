//! The grammar between tokens (RFC 8259, 2): one match per token, and every state can be left at the end of a chunk.

use std::sync::Arc;

use super::fast::skip::Skip;
use super::fast::strings::{Window, skip_to_ink};
use super::fast::structure_cache::Memory;
use super::fast::tokens::NEAR;
use super::literal::Word;
use super::number::{INTEGER_BYTES, Number};
use super::path::Path;
use super::query::JsonQuery;
use super::stack::{Container, Stack};
use super::state::State;
use super::string::StringScan;
use super::text::Text;
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::key::{self, Duplicates};
use crate::reason::Reason;

/// The UTF-8 byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One pass over a JSON document.
///
/// Memory: a few words for each pointer; room for the longest key, asked for once and only if a chunk cuts something
/// that matters; 4.5 KB to remember what repeats, for bodies of which 1.5 KB have come. A key that is found is copied
/// once. Scanning allocates nothing else, whatever the body is.
#[derive(Debug)]
pub struct JsonScanner {
    state: State,
    stack: Stack,
    path: Path,
    string: StringScan,
    /// What repeats in a body that is long enough for it.
    memory: Option<Box<Memory>>,
    /// A name, string or number that may matter and does not lie plain in one chunk.
    text: Text,
    /// How many bytes came before the current chunk.
    base: u64,
    broken: Option<BodyError>,
    /// The most containers that may be open.
    limit: usize,
}

/// The place in the current chunk.
struct Cursor<'a> {
    chunk: &'a [u8],
    at: usize,
    base: u64,
    window: Window,
}

impl JsonScanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<JsonQuery>) -> Self {
        Self {
            limit: query.depth,
            state: State::Start(0),
            stack: Stack::new(),
            path: Path::new(query),
            string: StringScan::default(),
            memory: None,
            text: Text::default(),
            base: 0,
            broken: None,
        }
    }

    fn scan(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let mut cursor = Cursor { chunk, at: 0, base: self.base, window: Window::new() };
        let mut state = self.state;
        while cursor.at < chunk.len() {
            state = match state {
                State::NameText => self.name_text(&mut cursor)?,
                State::StringText => self.string_text(&mut cursor)?,
                State::Number(number) => self.number(number, &mut cursor)?,
                State::Word(word, read) => self.word(word, read, &mut cursor)?,
                State::Start(read) => start(read, &mut cursor)?,
                between => {
                    let between = if self.is_live() { between } else { self.skip(between, &mut cursor) };
                    let Some(byte) = cursor.next_ink() else {
                        state = between;
                        break;
                    };
                    self.token(between, byte, &mut cursor)?
                }
            };
        }
        self.state = state;
        if let Some(memory) = &mut self.memory {
            memory.end_chunk(chunk.len());
        }
        Ok(())
    }

    /// Off the pointers' paths, whatever is plain goes by at once.
    #[inline(always)]
    fn skip(&mut self, state: State, cursor: &mut Cursor<'_>) -> State {
        let (chunk, floor) = (cursor.chunk, self.path.depth());
        let rest = chunk.len() - cursor.at;
        if rest < NEAR || !Skip::begins(state, &self.stack) {
            return state;
        }
        let body = cursor.base + chunk.len() as u64;
        let memory = Memory::for_rest(&mut self.memory, rest, chunk.len(), body, floor);
        let skip = Skip { chunk, floor, limit: self.limit, memory };
        let (at, state) = skip.read(cursor.at, state, &mut self.stack);
        cursor.at = at;
        state
    }

    /// Between tokens: `byte` is the next one that is no white space, still to be taken.
    #[inline(always)]
    fn token(&mut self, state: State, byte: u8, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        match (state, byte) {
            (State::FirstName | State::Name, b'"') => self.name(cursor),
            (State::FirstName, b'}') => Ok(self.close(cursor)),
            (State::Colon, b':') => Ok(cursor.take(State::Value)),
            (State::MemberEnd, b',') => Ok(cursor.take(State::Name)),
            (State::MemberEnd, b'}') => Ok(self.close(cursor)),
            (State::ElementEnd, b',') => {
                if self.is_live() {
                    self.path.next_element();
                }
                Ok(cursor.take(State::Value))
            }
            (State::ElementEnd | State::FirstElement, b']') => Ok(self.close(cursor)),
            (State::Value | State::FirstElement, byte) => self.value(state, byte, cursor),
            _ => Err(cursor.malformed(state.expected())),
        }
    }

    /// A value begins, or the array ends.
    #[inline(always)]
    fn value(&mut self, state: State, byte: u8, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        match byte {
            b'{' => self.open(Container::Object, cursor),
            b'[' => self.open(Container::Array, cursor),
            _ => self.scalar(state, byte, cursor),
        }
    }

    /// A scalar value begins.
    #[inline(always)]
    fn scalar(&mut self, state: State, byte: u8, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        match byte {
            b'"' => self.string(cursor),
            _ => {
                if let Some(number) = Number::starting(byte) {
                    if self.path.is_here() {
                        self.restart_text(INTEGER_BYTES);
                        self.text.extend(&[byte]);
                    }
                    cursor.at += 1;
                    return self.number(number, cursor);
                }
                match Word::starting(byte) {
                    Some(word) => self.word(word, 0, cursor),
                    None => Err(cursor.malformed(state.expected())),
                }
            }
        }
    }

    #[inline(always)]
    fn open(&mut self, container: Container, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        if self.stack.depth() >= self.limit {
            return Err(cursor.error(Reason::BodyTooDeep, "expected no more levels of nesting"));
        }
        if self.path.is_here() {
            self.path.open(container);
        }
        self.stack.push(container);
        Ok(cursor.take(match container {
            Container::Array => State::FirstElement,
            Container::Object => State::FirstName,
        }))
    }

    #[inline(always)]
    fn close(&mut self, cursor: &mut Cursor<'_>) -> State {
        if self.is_live() {
            self.path.close();
        }
        self.stack.pop();
        cursor.take(self.after_value())
    }

    /// An opening quote of a name.
    #[inline(always)]
    fn name(&mut self, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        match cursor.plain_string() {
            Some(name) => {
                if self.is_live() {
                    self.path.member(name);
                }
                if cursor.chunk.get(cursor.at) == Some(&b':') {
                    return Ok(cursor.take(State::Value));
                }
                Ok(State::Colon)
            }
            None => {
                if self.is_live() {
                    self.restart_text(self.path.query().name_bytes);
                }
                self.name_text(cursor)
            }
        }
    }

    /// The rest of a name.
    #[inline(never)]
    fn name_text(&mut self, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        let is_live = self.is_live();
        let text = is_live.then_some(&mut self.text);
        let Some(end) = self.string.advance(cursor.chunk, cursor.at, cursor.base, text)? else {
            return Ok(cursor.leave(State::NameText));
        };
        cursor.at = end;
        if is_live {
            self.path.member(self.text.bytes());
        }
        Ok(State::Colon)
    }

    /// An opening quote of a value.
    #[inline(always)]
    fn string(&mut self, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        match cursor.plain_string() {
            Some(text) => {
                if self.path.is_here() {
                    self.hold_string(Some(text));
                }
                Ok(self.after_value())
            }
            None => {
                if self.path.is_here() {
                    self.restart_text(self.path.query().key_bytes);
                }
                self.string_text(cursor)
            }
        }
    }

    /// The rest of a string that is a value.
    #[inline(never)]
    fn string_text(&mut self, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        let is_here = self.path.is_here();
        let text = is_here.then_some(&mut self.text);
        let Some(end) = self.string.advance(cursor.chunk, cursor.at, cursor.base, text)? else {
            return Ok(cursor.leave(State::StringText));
        };
        cursor.at = end;
        if is_here {
            self.hold_string(None);
        }
        Ok(self.after_value())
    }

    /// A string value is complete: `plain`, or the text that was kept.
    #[inline(never)]
    fn hold_string(&mut self, plain: Option<&[u8]>) {
        if !self.path.is_wanted() {
            return self.path.pass();
        }
        let limit = self.path.query().key_bytes;
        self.path.hold(key::check(plain.unwrap_or(self.text.bytes()), limit));
    }

    /// The rest of a number.
    #[inline(always)]
    fn number(&mut self, mut number: Number, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        let start = cursor.at;
        let end = number.advance(cursor.chunk, start).map_err(|at| {
            cursor.at = at;
            cursor.malformed("expected a digit")
        })?;
        cursor.at = end;
        if self.path.is_here() {
            self.text.extend(cursor.chunk.get(start..end).unwrap_or_default());
        }
        if end == cursor.chunk.len() {
            return Ok(State::Number(number));
        }
        if self.path.is_here() {
            self.hold_number(number);
        }
        Ok(self.after_value())
    }

    #[inline(never)]
    fn hold_number(&mut self, number: Number) {
        if !self.path.is_wanted() {
            return self.path.pass();
        }
        let limit = self.path.query().key_bytes;
        let integer = number.integer(self.text.bytes());
        self.path.hold(integer.and_then(|text| key::check(text.as_bytes(), limit)));
    }

    /// The rest of `true`, `false` or `null`.
    #[inline(always)]
    fn word(&mut self, word: Word, mut read: u8, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
        for letter in word.text().iter().skip(usize::from(read)) {
            match cursor.chunk.get(cursor.at) {
                None => return Ok(State::Word(word, read)),
                Some(byte) if byte == letter => {}
                Some(_) => return Err(cursor.malformed(word.expected())),
            }
            cursor.at += 1;
            read += 1;
        }
        if self.path.is_here() {
            if self.path.is_wanted() {
                self.path.hold(Err(word.reason()));
            } else {
                self.path.pass();
            }
        }
        Ok(self.after_value())
    }

    /// A text that may matter begins.
    #[inline(never)]
    fn restart_text(&mut self, limit: usize) {
        let query = self.path.query();
        self.text.restart(limit, query.key_bytes.max(query.name_bytes).max(INTEGER_BYTES));
    }

    /// Whether a pointer goes through the innermost container.
    #[inline(always)]
    fn is_live(&self) -> bool {
        self.path.depth() == self.stack.depth()
    }

    #[inline(always)]
    fn after_value(&self) -> State {
        self.stack.open().after_value()
    }

    /// A number at the top level ends with the body.
    fn complete(&mut self) -> Result<(), BodyError> {
        let error = |reason, offset, expected| Err(BodyError { reason, offset, expected });
        match self.state {
            State::End => Ok(()),
            State::Number(number) if number.is_complete() && self.stack.depth() == 0 => {
                if self.path.is_here() {
                    self.hold_number(number);
                }
                self.state = State::End;
                Ok(())
            }
            State::Start(1..) => error(Reason::BodyMalformed, 0, State::Value.expected()),
            _ => error(Reason::BodyTruncated, self.base, "expected more of the document"),
        }
    }
}

impl BodyScanner for JsonScanner {
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
        self.path.query().duplicates != Duplicates::Last && self.candidate(index) != Candidate::Missing
    }
}

impl Cursor<'_> {
    /// The next byte that is no white space, not taken yet.
    #[inline(always)]
    fn next_ink(&mut self) -> Option<u8> {
        self.at = skip_to_ink(self.chunk, self.at);
        self.chunk.get(self.at).copied()
    }

    /// Takes one byte.
    #[inline(always)]
    fn take(&mut self, next: State) -> State {
        self.at += 1;
        next
    }

    /// Takes the rest of the chunk.
    fn leave(&mut self, state: State) -> State {
        self.at = self.chunk.len();
        state
    }

    /// Takes an opening quote and, if it is plain, the string.
    #[inline(always)]
    fn plain_string(&mut self) -> Option<&[u8]> {
        self.at += 1;
        let start = self.at;
        let end = self.window.plain_end(self.chunk, start)?;
        self.at = end + 1;
        self.chunk.get(start..end)
    }

    fn malformed(&self, expected: &'static str) -> BodyError {
        self.error(Reason::BodyMalformed, expected)
    }

    #[cold]
    fn error(&self, reason: Reason, expected: &'static str) -> BodyError {
        BodyError { reason, offset: self.base + self.at as u64, expected }
    }
}

/// Takes the first byte, and decides what to think of a byte order mark. Whatever starts like one, and is none, is
/// wrong from its first byte on.
fn start(read: u8, cursor: &mut Cursor<'_>) -> Result<State, BodyError> {
    let byte = cursor.chunk.get(cursor.at).copied();
    if byte == MARK.get(usize::from(read)).copied() {
        cursor.at += 1;
        return match read {
            0 | 1 => Ok(State::Start(read + 1)),
            _ => {
                Err(BodyError { reason: Reason::BodyByteOrderMark, offset: 0, expected: "expected no byte order mark" })
            }
        };
    }
    match read {
        0 => Ok(State::Value),
        _ => Err(BodyError { reason: Reason::BodyMalformed, offset: 0, expected: State::Value.expected() }),
    }
}
