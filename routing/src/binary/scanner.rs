//! The scanner: items, one after the other. It can stop at every byte.

use std::marker::PhantomData;
use std::sync::Arc;

use super::counts::{After, ItemCounts};
use super::item::{Item, ItemFormat, Scalar};
use super::string::{ItemString, StringKind, StringUse};
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::document::{Container, DocumentQuery, QueryPath};
use crate::reason::Reason;

/// One pass over a document.
///
/// Memory: a few words for each pointer and each open container; room for the longest name on a pointer's path, if one is
/// cut; that of the value being read. A length in the document allocates nothing.
#[derive(Debug)]
pub struct BinaryScanner<F> {
    state: ScanState,
    containers: ItemCounts,
    path: QueryPath,
    string: ItemString,
    /// Whether a tag stands before the item that is being read or comes next.
    is_tagged: bool,
    /// How many bytes came before the current chunk.
    base: u64,
    broken: Option<BodyError>,
    /// The most containers that may be open.
    depth_limit: usize,
    format: PhantomData<F>,
}

/// The bytes that come next.
#[derive(Clone, Copy, Debug)]
enum ScanState {
    /// A head.
    Head,
    /// The rest of a head: this many bytes of its number, and the number so far.
    Argument { first: u8, left: u8, number: u64 },
    /// This many bytes of a string. `is_begun` if some bytes of it, or of a chunk of it, came before.
    Content { left: u64, is_begun: bool },
    /// This many bytes that do not matter, at least one.
    Skip { left: u64 },
    /// None.
    End,
}

impl<F: ItemFormat> BinaryScanner<F> {
    /// A scanner for one body.
    #[must_use]
    pub fn new(query: Arc<DocumentQuery>) -> Self {
        Self {
            state: ScanState::Head,
            containers: ItemCounts::default(),
            depth_limit: query.depth,
            path: QueryPath::new(query),
            string: ItemString::default(),
            is_tagged: false,
            base: 0,
            broken: None,
            format: PhantomData,
        }
    }

    fn scan(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let end = self.base.saturating_add(chunk.len() as u64);
        let mut rest = chunk;
        loop {
            rest = self.skip_items(rest);
            let Some((byte, after)) = rest.split_first() else { return Ok(()) };
            let offset = end - rest.len() as u64;
            self.state = match self.state {
                ScanState::Head => {
                    rest = after;
                    self.read_first(*byte, offset)?
                }
                ScanState::Argument { first, left, number } => {
                    rest = after;
                    let number = number << 8 | u64::from(*byte);
                    match left {
                        ..=1 => self.begin(first, number, offset)?,
                        _ => ScanState::Argument { first, left: left - 1, number },
                    }
                }
                ScanState::Content { left, is_begun } => {
                    let (piece, after) = split(rest, left);
                    rest = after;
                    self.read_content(piece, left, is_begun, offset)?
                }
                ScanState::Skip { left } => {
                    let (piece, after) = split(rest, left);
                    rest = after;
                    match left - piece.len() as u64 {
                        0 => self.end_item(),
                        left => ScanState::Skip { left },
                    }
                }
                ScanState::End => return malformed(offset, "expected the end of the body after the document"),
            };
        }
    }

    /// Passes over whole scalars and strings in a container that no pointer goes through. Returns what follows them. It
    /// changes the speed and never the result.
    fn skip_items<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while matches!(self.state, ScanState::Head)
            && !(self.is_tagged || self.string.is_chunked || self.is_live())
            && let Some(after) = skip_item::<F>(rest)
        {
            rest = after;
            self.state = self.end_item();
        }
        rest
    }

    fn read_first(&mut self, first: u8, offset: u64) -> Result<ScanState, BodyError> {
        match F::argument_bytes(first) {
            Ok(0) => self.begin(first, 0, offset),
            Ok(left) => Ok(ScanState::Argument { first, left, number: 0 }),
            Err(expected) => malformed(offset, expected),
        }
    }

    /// Begins the item whose head is complete. `offset` is that of the head's last byte.
    fn begin(&mut self, first: u8, number: u64, offset: u64) -> Result<ScanState, BodyError> {
        let item = F::item(first, number).or_else(|expected| malformed(offset, expected))?;
        if self.string.is_chunked {
            return self.begin_chunk(item, offset);
        }
        match item {
            Item::Scalar(scalar) => {
                self.read_scalar(scalar);
                Ok(self.end_item())
            }
            Item::Text(length) => self.begin_string(StringKind::Text, length, offset),
            Item::Bytes(length) => self.begin_string(StringKind::Bytes, length, offset),
            Item::Extension(left) => {
                self.read_unusable(Reason::KeyMalformed);
                Ok(ScanState::Skip { left })
            }
            Item::Array(length) => self.open(Container::Array, length, offset),
            Item::Map(length) => self.open(Container::Object, length, offset),
            Item::Tag => {
                self.is_tagged = true;
                Ok(ScanState::Head)
            }
            Item::Break if self.containers.may_break() && !self.is_tagged => {
                self.close();
                Ok(self.end_item())
            }
            Item::Break => malformed(offset, "expected an item, not a break"),
        }
    }

    /// A string of unknown length goes on or ends.
    fn begin_chunk(&mut self, item: Item, offset: u64) -> Result<ScanState, BodyError> {
        match (item, self.string.kind) {
            (Item::Text(Some(left)), StringKind::Text) | (Item::Bytes(Some(left)), StringKind::Bytes) => match left {
                0 => Ok(ScanState::Head),
                left => Ok(ScanState::Content { left, is_begun: true }),
            },
            (Item::Break, _) => Ok(self.end_string()),
            _ => malformed(offset, "expected a chunk of the string, with a length, or a break"),
        }
    }

    fn begin_string(&mut self, kind: StringKind, length: Option<u64>, offset: u64) -> Result<ScanState, BodyError> {
        let used_as = self.string_use();
        let is_text = kind == StringKind::Text && (F::TEXT_IS_UTF8 || used_as == StringUse::Name);
        self.string = ItemString::new(kind, used_as, is_text, length.is_none());
        match length {
            None => {
                self.begin_pieces();
                Ok(ScanState::Head)
            }
            Some(0) => self.read_content(&[], 0, false, offset),
            Some(left) => Ok(ScanState::Content { left, is_begun: false }),
        }
    }

    /// Reads the next bytes of a string: `piece`, which begins at `offset`, of the `left` ones.
    fn read_content(&mut self, piece: &[u8], left: u64, is_begun: bool, offset: u64) -> Result<ScanState, BodyError> {
        let left = left - piece.len() as u64;
        self.string.validate(piece, left == 0).or_else(|before_end| {
            let end = offset.saturating_add(piece.len() as u64);
            error(Reason::BodyInvalidUtf8, end.saturating_sub(before_end), "expected UTF-8")
        })?;
        if left == 0 && !is_begun {
            match self.string.used_as {
                StringUse::Name => self.read_name(piece),
                StringUse::Value if self.string.kind == StringKind::Text => self.path.text(piece),
                StringUse::Value => {
                    self.path.begin_bytes();
                    self.path.push_text(piece);
                    self.path.end_text();
                }
                StringUse::None => {}
            }
            return Ok(self.end_item());
        }
        if !is_begun {
            self.begin_pieces();
        }
        match self.string.used_as {
            StringUse::Name | StringUse::Value => self.path.push_text(piece),
            StringUse::None => {}
        }
        Ok(match left {
            0 if self.string.is_chunked => ScanState::Head,
            0 => self.end_string(),
            left => ScanState::Content { left, is_begun: true },
        })
    }

    fn begin_pieces(&mut self) {
        match self.string.used_as {
            StringUse::Name => self.path.begin_name(),
            StringUse::Value if self.string.kind == StringKind::Text => self.path.begin_text(),
            StringUse::Value => self.path.begin_bytes(),
            StringUse::None => {}
        }
    }

    /// A string that came in pieces is complete.
    fn end_string(&mut self) -> ScanState {
        self.string.is_chunked = false;
        match self.string.used_as {
            StringUse::Name if self.is_tagged => self.path.unknown_name(),
            StringUse::Name if self.string.kind == StringKind::Text => self.path.end_name(),
            StringUse::Name => self.path.end_other_name(),
            StringUse::Value => self.path.end_text(),
            StringUse::None => {}
        }
        self.end_item()
    }

    /// What the string that begins is for. The path is done with a value that is for nothing.
    fn string_use(&mut self) -> StringUse {
        if self.containers.is_name_next() {
            return if self.is_live() { StringUse::Name } else { StringUse::None };
        }
        if self.path.is_wanted() && !self.is_tagged {
            return StringUse::Value;
        }
        self.read_unusable(Reason::KeyMalformed);
        StringUse::None
    }

    /// A name on a pointer's path is complete, and came in one piece.
    fn read_name(&mut self, name: &[u8]) {
        match self.string.kind {
            // Decoders replace some tagged values by others: any name is possible.
            _ if self.is_tagged => self.path.unknown_name(),
            StringKind::Text => self.path.member(name),
            StringKind::Bytes => self.path.other_name(name),
        }
    }

    /// Reads a scalar, as a name or as a value.
    fn read_scalar(&mut self, scalar: Scalar) {
        if self.containers.is_name_next() {
            match (self.is_live(), self.is_tagged) {
                (false, _) => {}
                (true, true) => self.path.unknown_name(),
                (true, false) => match scalar.text() {
                    Some(text) => self.path.other_name(text.as_bytes()),
                    None => self.path.float_name(),
                },
            }
        } else if self.path.has_node() {
            match scalar.unusable().or(self.is_tagged.then_some(Reason::KeyMalformed)) {
                None => self.path.integer(&scalar.text().unwrap_or_default()),
                Some(reason) => self.path.unusable(reason),
            }
        }
    }

    /// An item that can be neither a name on a pointer's path nor a key begins. As a name, it may become any text: readers in
    /// JavaScript make `id` of the array `["id"]`, and Ruby's symbols are extensions.
    fn read_unusable(&mut self, reason: Reason) {
        if self.containers.is_name_next() {
            if self.is_live() {
                self.path.unknown_name();
            }
        } else if self.path.has_node() {
            self.path.unusable(reason);
        }
    }

    fn open(&mut self, container: Container, length: Option<u64>, offset: u64) -> Result<ScanState, BodyError> {
        if self.containers.depth() >= self.depth_limit {
            return error(Reason::BodyTooDeep, offset, "expected no more levels of nesting");
        }
        if self.containers.is_name_next() {
            self.read_unusable(Reason::KeyMalformed);
        } else if self.path.has_node() {
            self.path.open(container);
        }
        self.containers.open(container, length);
        self.is_tagged = false;
        if self.containers.is_full() {
            self.close();
            return Ok(self.end_item());
        }
        Ok(ScanState::Head)
    }

    fn close(&mut self) {
        if self.is_live() {
            self.path.close();
        }
        self.containers.close();
    }

    /// An item is complete, and with it every container of which it was the last one.
    fn end_item(&mut self) -> ScanState {
        self.is_tagged = false;
        loop {
            match self.containers.end_item() {
                After::Document => return ScanState::End,
                After::ContainerEnd => self.close(),
                After::Element if self.is_live() => {
                    self.path.next_element();
                    return ScanState::Head;
                }
                After::Element | After::Member | After::MemberValue => return ScanState::Head,
            }
        }
    }

    /// Whether a pointer goes through the innermost container.
    fn is_live(&self) -> bool {
        self.path.depth() == self.containers.depth()
    }
}

impl<F: ItemFormat> BodyScanner for BinaryScanner<F> {
    fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let scanned = self.scan(chunk);
        self.base = self.base.saturating_add(chunk.len() as u64);
        self.broken = scanned.err();
        scanned
    }

    fn finish(&mut self) -> Result<(), BodyError> {
        if self.broken.is_none() && !matches!(self.state, ScanState::End) {
            let (reason, expected) = (Reason::BodyTruncated, "expected more of the document");
            self.broken = Some(BodyError { reason, offset: self.base, expected });
        }
        self.broken.map_or(Ok(()), Err)
    }

    fn candidate(&self, index: usize) -> Candidate<'_> {
        self.path.candidate(index)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.path.is_settled(index)
    }
}

/// What follows the item at the beginning of these bytes, if it is a whole scalar or a whole string.
#[inline(always)]
fn skip_item<F: ItemFormat>(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    let (argument, rest) = rest.split_at_checked(usize::from(F::argument_bytes(*first).ok()?))?;
    let number = argument.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (length, is_utf8) = match F::item(*first, number).ok()? {
        Item::Scalar(_) => return Some(rest),
        Item::Text(length) => (length?, F::TEXT_IS_UTF8),
        Item::Bytes(length) => (length?, false),
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    (!is_utf8 || std::str::from_utf8(content).is_ok()).then_some(after)
}

fn split(bytes: &[u8], at: u64) -> (&[u8], &[u8]) {
    usize::try_from(at).ok().and_then(|at| bytes.split_at_checked(at)).unwrap_or((bytes, &[]))
}

fn malformed<T>(offset: u64, expected: &'static str) -> Result<T, BodyError> {
    error(Reason::BodyMalformed, offset, expected)
}

fn error<T>(reason: Reason, offset: u64, expected: &'static str) -> Result<T, BodyError> {
    Err(BodyError { reason, offset, expected })
}
