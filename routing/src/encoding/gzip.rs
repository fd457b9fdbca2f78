//! The header and the trailer of a gzip member (RFC 1952, 2.3).

use super::checksum::Checksum;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

/// The magic number and the method, deflate.
pub(super) const START: [u8; 3] = [0x1f, 0x8b, 8];

/// Skips the header.
#[derive(Debug, Default)]
pub(super) struct GzipHeader {
    part: HeaderPart,
    /// The bytes of the part so far.
    read: u16,
    flags: u8,
    extra: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HeaderPart {
    /// Magic number, method, flags, time, extra flags and system: ten bytes.
    #[default]
    Fixed,
    ExtraLength,
    Extra,
    Name,
    Comment,
    Checksum,
}

impl GzipHeader {
    /// Takes the next byte. Returns whether it is the last. Errs if the bytes are no gzip header.
    pub(super) fn push(&mut self, byte: u8) -> Result<bool, ()> {
        let index = self.read;
        self.read += 1;
        let is_last = match self.part {
            HeaderPart::Fixed => {
                match START.get(usize::from(index)) {
                    Some(expected) if *expected != byte => return Err(()),
                    None if usize::from(index) == START.len() => {
                        self.flags = byte;
                        if byte & RESERVED != 0 {
                            return Err(());
                        }
                    }
                    _ => {}
                }
                index == 9
            }
            HeaderPart::ExtraLength => {
                self.extra |= u16::from(byte) << (8 * index);
                index == 1
            }
            HeaderPart::Extra => self.read == self.extra,
            HeaderPart::Name | HeaderPart::Comment => {
                self.read = 0;
                byte == 0
            }
            HeaderPart::Checksum => index == 1,
        };
        Ok(is_last && self.next().is_none())
    }

    /// Goes on to the next part, if there is one.
    fn next(&mut self) -> Option<()> {
        const PARTS: [(HeaderPart, u8); 5] = [
            (HeaderPart::ExtraLength, FEXTRA),
            (HeaderPart::Extra, FEXTRA),
            (HeaderPart::Name, FNAME),
            (HeaderPart::Comment, FCOMMENT),
            (HeaderPart::Checksum, FHCRC),
        ];
        let later = PARTS.iter().position(|(part, _)| *part == self.part).map_or(0, |index| index + 1);
        let mut parts = PARTS.iter().skip(later);
        let has_extra = self.extra > 0;
        let is_there =
            |(part, flag): &&(HeaderPart, u8)| self.flags & flag != 0 && (*part != HeaderPart::Extra || has_extra);
        self.part = parts.find(is_there)?.0;
        self.read = 0;
        Some(())
    }
}

/// The checksum and the length of the data, counted and as the last eight bytes say.
#[derive(Debug, Default)]
pub(super) struct GzipTrailer {
    counted: Checksum,
    bytes: [u8; 8],
    read: usize,
}

impl GzipTrailer {
    /// Counts data.
    pub(super) fn add(&mut self, data: &[u8]) {
        self.counted.update(data);
    }

    /// Takes the next byte. Returns whether it is the last.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(next) = self.bytes.get_mut(self.read) {
            *next = byte;
        }
        self.read += 1;
        self.read >= self.bytes.len()
    }

    /// Whether the data is what was compressed.
    pub(super) fn is_intact(&self) -> bool {
        u64::from_le_bytes(self.bytes) == u64::from(self.counted.sum()) | u64::from(self.counted.amount()) << 32
    }
}
