//! One message, read as it arrives: its fields on a path are entered, and all others are skipped.

use super::field_path::ScalarType;
use super::query::{FieldContent, FieldIndex, MESSAGE, MessageQuery};
use super::skip::other_fields;
use super::values::FieldValues;
use super::varint::{Varint, VarintLimit};
use super::wire::{END_GROUP, I32, I64, LEN, START_GROUP, VARINT};
use crate::body::BodyError;
use crate::reason::Reason;

/// Reads one message in pieces of any size. Memory: what is open, at most `limits.depth` deep.
#[derive(Debug)]
pub(super) struct MessageReader {
    /// What is open. The first is the message itself.
    open: Vec<Open>,
    state: ReadState,
    /// The bytes of the message so far.
    offset: u64,
}

/// A part of the message that is open.
#[derive(Debug)]
struct Open {
    kind: OpenKind,
    /// The offset of its end, or of the end of what it is in. `None`: not known yet.
    end: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenKind {
    /// A message on a path.
    Message(FieldIndex),
    /// The elements of a packed field on a path.
    Packed(FieldIndex, ScalarType),
    /// A group, which is not on a path, with its field number.
    Group(u32),
}

#[derive(Debug)]
enum ReadState {
    Tag(Varint),
    Varint { varint: Varint, field: Option<FieldIndex> },
    Fixed { bits: u64, read: u32, size: u32, field: Option<FieldIndex> },
    Length { varint: Varint, field: Option<FieldIndex> },
    Text { left: u64, field: FieldIndex },
    Skip { left: u64 },
}

impl MessageReader {
    /// A message of this length in bytes, if it is known.
    pub(super) fn new(length: Option<u64>) -> Self {
        let message = Open { kind: OpenKind::Message(MESSAGE), end: length };
        Self { open: vec![message], state: ReadState::Tag(Varint::default()), offset: 0 }
    }

    /// Reads the next bytes, which must be within the length. The offset of an error counts from the start of the message.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        query: &MessageQuery,
        values: &mut FieldValues,
    ) -> Result<(), BodyError> {
        loop {
            piece = self.skip_fields(piece, query);
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            let start = self.offset;
            if let ReadState::Text { left, .. } | ReadState::Skip { left } = &mut self.state {
                let size = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                let (bytes, rest) = piece.split_at(size);
                *left -= size as u64;
                self.offset += size as u64;
                piece = rest;
                self.content(bytes, query, values)
            } else if self.end().is_some_and(|end| start >= end) {
                Err("expected a field that ends within its message")
            } else {
                piece = rest;
                self.offset += 1;
                self.byte(*byte, query, values)
            }
            .map_err(|expected| self.malformed(start, expected))
            .and_then(|()| self.check_depth(start, query))?;
        }
    }

    /// Passes over whole fields that do not matter. Returns what follows them.
    fn skip_fields<'a>(&mut self, piece: &'a [u8], query: &MessageQuery) -> &'a [u8] {
        let message = match (&self.state, self.kind()) {
            (ReadState::Tag(tag), OpenKind::Message(message)) if tag.is_empty() => message,
            _ => return piece,
        };
        // The last field of a message also ends the message.
        let room = self.end().map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        let skipped = other_fields(piece, room, |number| query.child(message, number).is_some());
        self.offset += skipped as u64;
        piece.get(skipped..).unwrap_or_default()
    }

    /// Whether the message may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.open.len() == 1 && matches!(self.state, ReadState::Tag(varint) if varint.is_empty())
    }

    /// The bytes of the message so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes of a string or of a field that is skipped.
    fn content(&mut self, bytes: &[u8], query: &MessageQuery, values: &mut FieldValues) -> Result<(), &'static str> {
        match self.state {
            ReadState::Text { left, field } => {
                let Some(found) = query.field(field) else { return Ok(()) };
                values.text(found, bytes);
                if left > 0 {
                    return Ok(());
                }
                values.end_text(query, found);
            }
            ReadState::Skip { left } if left > 0 => return Ok(()),
            _ => {}
        }
        self.end_field(query, values)
    }

    /// The next byte of a tag, a number or a length.
    fn byte(&mut self, byte: u8, query: &MessageQuery, values: &mut FieldValues) -> Result<(), &'static str> {
        match &mut self.state {
            ReadState::Tag(varint) => {
                let tag = varint.push(byte, VarintLimit::TAG).map_err(|()| "expected a tag of at most 32 bits")?;
                tag.map_or(Ok(()), |tag| self.begin_field(tag, query, values))
            }
            ReadState::Varint { varint, field } => {
                let bits =
                    varint.push(byte, VarintLimit::VALUE).map_err(|()| "expected a varint of at most 64 bits")?;
                let field = *field;
                bits.map_or(Ok(()), |bits| self.end_number(field, bits, query, values))
            }
            ReadState::Fixed { bits, read, size, field } => {
                *bits |= u64::from(byte) << (8 * *read);
                *read += 1;
                let (bits, field) = (*bits, *field);
                if read < size { Ok(()) } else { self.end_number(field, bits, query, values) }
            }
            ReadState::Length { varint, field } => {
                let length = varint.push(byte, VarintLimit::LENGTH).map_err(|()| "expected a length below 2 GiB")?;
                let field = *field;
                length.map_or(Ok(()), |length| self.begin_length(field, length, query, values))
            }
            ReadState::Text { .. } | ReadState::Skip { .. } => Ok(()),
        }
    }

    fn begin_field(&mut self, tag: u64, query: &MessageQuery, values: &mut FieldValues) -> Result<(), &'static str> {
        let tag = u32::try_from(tag).unwrap_or_default();
        let (number, wire) = (tag >> 3, tag & 7);
        if number == 0 {
            return Err("expected a field number from 1");
        }
        let field = match self.kind() {
            OpenKind::Message(message) => query.child(message, number),
            OpenKind::Packed(..) | OpenKind::Group(_) => None,
        };
        let field = if wire == END_GROUP { None } else { typed(field, wire, query, values) };
        match wire {
            VARINT => self.state = ReadState::Varint { varint: Varint::default(), field },
            I64 => self.state = ReadState::Fixed { bits: 0, read: 0, size: 8, field },
            I32 => self.state = ReadState::Fixed { bits: 0, read: 0, size: 4, field },
            LEN => self.state = ReadState::Length { varint: Varint::default(), field },
            START_GROUP => {
                self.open.push(Open { kind: OpenKind::Group(number), end: self.end() });
                self.state = ReadState::Tag(Varint::default());
            }
            END_GROUP if self.kind() == OpenKind::Group(number) => {
                self.open.pop();
                return self.end_field(query, values);
            }
            END_GROUP => return Err("expected the end of the group that is open"),
            _ => return Err("expected a wire type from 0 to 5"),
        }
        Ok(())
    }

    fn end_number(
        &mut self,
        field: Option<FieldIndex>,
        bits: u64,
        query: &MessageQuery,
        values: &mut FieldValues,
    ) -> Result<(), &'static str> {
        if let Some(field) = field.and_then(|index| query.field(index))
            && let FieldContent::Scalar(scalar) = field.content
        {
            values.number(query, field, &scalar.decimal(bits));
        }
        self.end_field(query, values)
    }

    fn begin_length(
        &mut self,
        field: Option<FieldIndex>,
        length: u64,
        query: &MessageQuery,
        values: &mut FieldValues,
    ) -> Result<(), &'static str> {
        let end = self.offset + length;
        if self.end().is_some_and(|parent| end > parent) {
            return Err("expected a length within the message");
        }
        let found = field.and_then(|index| Some((index, query.field(index)?)));
        let kind = match found.map(|(index, found)| (index, found, &found.content)) {
            None => {
                self.state = ReadState::Skip { left: length };
                return if length == 0 { self.end_field(query, values) } else { Ok(()) };
            }
            Some((index, found, FieldContent::Scalar(ScalarType::String))) => {
                values.begin_text(query, found);
                self.state = ReadState::Text { left: length, field: index };
                return if length == 0 { self.content(&[], query, values) } else { Ok(()) };
            }
            Some((index, _, FieldContent::Scalar(scalar))) => OpenKind::Packed(index, *scalar),
            Some((index, _, FieldContent::Message(_))) => OpenKind::Message(index),
        };
        self.open.push(Open { kind, end: Some(end) });
        self.end_field(query, values)
    }

    /// A field has ended, and with it all that ends at the same byte.
    fn end_field(&mut self, query: &MessageQuery, values: &mut FieldValues) -> Result<(), &'static str> {
        while self.end() == Some(self.offset) {
            match self.kind() {
                OpenKind::Group(_) => return Err("expected the end of the group before that of its message"),
                OpenKind::Message(field) if self.open.len() > 1 => {
                    self.open.pop();
                    if let Some(field) = query.field(field) {
                        values.leave(query, field);
                    }
                }
                OpenKind::Packed(..) => {
                    self.open.pop();
                }
                OpenKind::Message(_) => break,
            }
        }
        self.state = match self.kind() {
            OpenKind::Packed(field, scalar) => match scalar.wire() {
                VARINT => ReadState::Varint { varint: Varint::default(), field: Some(field) },
                wire => {
                    ReadState::Fixed { bits: 0, read: 0, size: if wire == I64 { 8 } else { 4 }, field: Some(field) }
                }
            },
            OpenKind::Message(_) | OpenKind::Group(_) => ReadState::Tag(Varint::default()),
        };
        Ok(())
    }

    /// The error is at the last byte that was read: where a text begins depends on how the body is cut.
    #[cold]
    fn malformed(&self, start: u64, expected: &'static str) -> BodyError {
        let offset = start.max(self.offset.saturating_sub(1));
        BodyError { reason: Reason::BodyMalformed, offset, expected }
    }

    fn check_depth(&self, offset: u64, query: &MessageQuery) -> Result<(), BodyError> {
        let is_packed = || matches!(self.kind(), OpenKind::Packed(..));
        if self.open.len() <= query.depth() || (is_packed() && self.open.len() - 1 <= query.depth()) {
            return Ok(());
        }
        Err(BodyError { reason: Reason::BodyTooDeep, offset, expected: "expected fewer nested messages and groups" })
    }

    fn kind(&self) -> OpenKind {
        self.open.last().map_or(OpenKind::Message(MESSAGE), |open| open.kind)
    }

    fn end(&self) -> Option<u64> {
        self.open.last().and_then(|open| open.end)
    }
}

/// The field, if its type may have this wire type. Repeated numbers may be packed.
fn typed(field: Option<FieldIndex>, wire: u32, query: &MessageQuery, values: &mut FieldValues) -> Option<FieldIndex> {
    let found = query.field(field?)?;
    let is_typed = match found.content {
        FieldContent::Message(_) => wire == LEN,
        FieldContent::Scalar(scalar) => wire == scalar.wire() || (found.is_repeated && wire == LEN),
    };
    if !is_typed {
        values.mistyped(query, found);
    }
    field.filter(|_| is_typed)
}

impl ScalarType {
    /// The wire type of one value.
    fn wire(self) -> u32 {
        match self {
            Self::String => LEN,
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 | Self::Sint32 | Self::Sint64 => VARINT,
            Self::Fixed64 | Self::Sfixed64 => I64,
            Self::Fixed32 | Self::Sfixed32 => I32,
        }
    }
}
