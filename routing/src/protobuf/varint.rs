//! Varints that arrive byte by byte.

/// A varint so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Varint {
    value: u64,
    bytes: u8,
}

/// The longest encoding. Decoders differ on longer ones and on bits that do not fit, so both are errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct VarintLimit {
    bytes: u8,
    /// The largest last byte.
    last: u8,
}

impl VarintLimit {
    /// A tag has 32 bits.
    pub(super) const TAG: Self = Self { bytes: 5, last: 0x0f };
    /// A length is at most 2^31 - 1.
    pub(super) const LENGTH: Self = Self { bytes: 5, last: 0x07 };
    /// A value has 64 bits.
    pub(super) const VALUE: Self = Self { bytes: 10, last: 0x01 };
}

impl Varint {
    /// Takes the next byte. Returns the value at the last one, or `Err` if the encoding is too long.
    pub(super) fn push(&mut self, byte: u8, limit: VarintLimit) -> Result<Option<u64>, ()> {
        if self.bytes + 1 >= limit.bytes && byte > limit.last {
            return Err(());
        }
        self.value |= u64::from(byte & 0x7f) << (7 * self.bytes);
        self.bytes += 1;
        Ok((byte < 0x80).then_some(self.value))
    }

    /// Whether no byte has arrived.
    pub(super) fn is_empty(self) -> bool {
        self.bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], limit: VarintLimit) -> Result<Option<u64>, ()> {
        let mut varint = Varint::default();
        bytes.iter().try_fold(None, |_, byte| varint.push(*byte, limit))
    }

    #[test]
    fn the_limits_are_those_of_the_strictest_decoder() {
        const FULL: [u8; 9] = [0xff; 9];
        assert_eq!(read(&[0x96, 0x01], VarintLimit::VALUE), Ok(Some(150)));
        assert_eq!(read(&[0x80], VarintLimit::VALUE), Ok(None));
        assert_eq!(read(&[0x80, 0x00], VarintLimit::TAG), Ok(Some(0)));
        assert_eq!(read(&[&FULL[..], &[0x01]].concat(), VarintLimit::VALUE), Ok(Some(u64::MAX)));
        assert_eq!(read(&[&FULL[..], &[0x02]].concat(), VarintLimit::VALUE), Err(()));
        assert_eq!(read(&[&FULL[..], &[0x81]].concat(), VarintLimit::VALUE), Err(()));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f], VarintLimit::TAG), Ok(Some(u64::from(u32::MAX))));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f], VarintLimit::TAG), Err(()));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80], VarintLimit::TAG), Err(()));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x07], VarintLimit::LENGTH), Ok(Some(0x7fff_ffff)));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x08], VarintLimit::LENGTH), Err(()));
    }
}
