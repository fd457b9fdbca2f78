//! The CRC-32 of a gzip member's data (RFC 1952, 8), with its length.

#[cfg(not(target_arch = "wasm32"))]
pub(super) use flate2::Crc as Checksum;
#[cfg(target_arch = "wasm32")]
pub(super) use small::Checksum;

/// For the filter's module. flate2's checksum is as fast there, but it puts its table of 16 KiB into the module. This one
/// computes the table at the first gzip body.
#[cfg(any(target_arch = "wasm32", test))]
mod small {
    use std::fmt;
    use std::sync::LazyLock;

    use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};

    // In a box: a static of this size with a function's address is 16 KiB of the module, too.
    static CRC_32: LazyLock<Box<Crc<u32, Table<16>>>> =
        LazyLock::new(|| Box::new(Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC)));

    /// A checksum that has flate2's functions.
    #[derive(Clone)]
    pub(in crate::encoding) struct Checksum {
        digest: Digest<'static, u32, Table<16>>,
        amount: u32,
    }

    impl Checksum {
        /// Adds data.
        pub(in crate::encoding) fn update(&mut self, data: &[u8]) {
            self.digest.update(data);
            self.amount = self.amount.wrapping_add(data.len() as u32);
        }

        /// The checksum of all data so far.
        pub(in crate::encoding) fn sum(&self) -> u32 {
            self.digest.clone().finalize()
        }

        /// The bytes so far, modulo 2³².
        pub(in crate::encoding) fn amount(&self) -> u32 {
            self.amount
        }
    }

    impl Default for Checksum {
        fn default() -> Self {
            Self { digest: CRC_32.digest(), amount: 0 }
        }
    }

    impl fmt::Debug for Checksum {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Checksum").field("sum", &self.sum()).field("amount", &self.amount).finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Checksum, small};

    proptest! {
        /// The filter and the service use different ones.
        #[test]
        fn the_modules_checksum_is_that_of_the_service(pieces: Vec<Vec<u8>>) {
            let (mut of_module, mut of_service) = (small::Checksum::default(), Checksum::default());
            for piece in pieces {
                of_module.update(&piece);
                of_service.update(&piece);
                prop_assert_eq!((of_module.sum(), of_module.amount()), (of_service.sum(), of_service.amount()));
            }
        }
    }

    /// The check value of the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_of_the_digits_is_that_of_the_catalogue() {
        let mut checksum = small::Checksum::default();
        checksum.update(b"123456789");
        assert_eq!((checksum.sum(), checksum.amount()), (0xcbf4_3926, 9));
    }
}
