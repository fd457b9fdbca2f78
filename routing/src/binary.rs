//! What the scanners of MessagePack and CBOR share. In both formats, an item is a head and what the head announces: bytes,
//! or other items.
//!
//! An [`ItemFormat`] reads heads ([`crate::msgpack`], [`crate::cbor`]). The [`BinaryScanner`] does the rest for both.

mod counts;
mod item;
mod scanner;
mod string;
#[cfg(test)]
pub(crate) mod test_scan;
mod utf8;

pub use item::{Item, ItemFormat, Scalar};
pub use scanner::BinaryScanner;
