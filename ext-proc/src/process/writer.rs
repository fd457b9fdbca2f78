//! Protobuf's wire format, as far as our answers need it.

/// A message being written. Fields are numbered below 16, so that every tag is one byte.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

const VARINT: u8 = 0;
const LENGTH: u8 = 2;

impl Writer {
    /// With room for this many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Raw bytes, without a tag.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A number, a flag or an enumeration's value.
    pub(super) fn number(&mut self, field: u8, value: u64) {
        self.0.push(field << 3 | VARINT);
        self.varint(value);
    }

    /// Text or bytes.
    pub(super) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.length(field, bytes.len());
        self.raw(bytes);
    }

    /// The head of a field of this many bytes, which are to follow.
    pub(super) fn length(&mut self, field: u8, bytes: usize) {
        self.0.push(field << 3 | LENGTH);
        self.varint(bytes as u64);
    }

    /// A message within this one.
    pub(super) fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.0.push(field << 3 | LENGTH);
        let start = self.0.len();
        write(self);
        let (digits, count) = varint((self.0.len() - start) as u64);
        self.0.splice(start..start, digits.into_iter().take(count));
    }

    fn varint(&mut self, value: u64) {
        let (digits, count) = varint(value);
        self.0.extend(digits.into_iter().take(count));
    }
}

/// How many bytes a field of `bytes` bytes takes, with its tag and its length.
pub(super) fn field_size(bytes: usize) -> usize {
    1 + varint(bytes as u64).1 + bytes
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit set.
fn varint(mut value: u64) -> ([u8; 10], usize) {
    let mut digits = [0; 10];
    for (index, digit) in digits.iter_mut().enumerate() {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            *digit = low;
            return (digits, index + 1);
        }
        *digit = low | 0x80;
    }
    // Ten times seven bits are more than a u64 has.
    (digits, digits.len())
}

#[cfg(test)]
mod tests {
    use prost::bytes::Buf;
    use prost::encoding::decode_varint;

    use super::*;

    #[test]
    fn numbers_are_what_prost_reads() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::default();
            writer.number(15, value);
            let bytes = writer.into_bytes();
            let mut rest = bytes.as_slice();
            assert_eq!(rest.get_u8(), 15 << 3);
            assert_eq!((decode_varint(&mut rest).unwrap(), rest.len()), (value, 0));
        }
    }

    #[test]
    fn a_message_knows_its_length() {
        for size in [0, 1, 127, 128, 20_000] {
            let mut writer = Writer::default();
            writer.message(1, |inner| inner.raw(&vec![b'x'; size]));
            let bytes = writer.into_bytes();
            assert_eq!(bytes.len(), field_size(size));
            let mut rest = bytes.get(1..).unwrap();
            assert_eq!((decode_varint(&mut rest).unwrap(), rest.len()), (size as u64, size));
        }
    }
}
