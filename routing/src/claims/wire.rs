//! Protobuf's wire format, as far as metadata needs it. Groups, which no message in metadata has, are malformed.

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetadataField<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers. The first error ends it.
pub(super) fn fields(message: &[u8]) -> MetadataFields<'_> {
    MetadataFields { rest: message }
}

/// The value of a map's entry. As in protobuf, the last entry with the key counts, and an absent value is empty.
pub(super) fn map_value<'a>(message: &'a [u8], map: u32, key: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let mut found = None;
    for field in fields(message) {
        if let (number, MetadataField::Bytes(entry)) = field?
            && number == map
        {
            let (entry_key, value) = map_entry(entry)?;
            if entry_key == key {
                found = Some(value);
            }
        }
    }
    Ok(found)
}

fn map_entry(entry: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in fields(entry) {
        match field? {
            (1, MetadataField::Bytes(bytes)) => key = bytes,
            (2, MetadataField::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

/// See [`fields`].
pub(super) struct MetadataFields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for MetadataFields<'a> {
    type Item = Result<(u32, MetadataField<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'a> MetadataFields<'a> {
    fn field(&mut self) -> Option<(u32, MetadataField<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let value = match tag & 7 {
            0 => MetadataField::Varint(self.varint()?),
            1 => MetadataField::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                MetadataField::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                MetadataField::Fixed32
            }
            _ => return None,
        };
        Some((number, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
