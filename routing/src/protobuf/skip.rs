//! Fields that no path has, many at once.

use super::varint::{Varint, VarintLimit};
use super::wire::{I32, I64, LEN, VARINT};

/// The length of the whole fields at the beginning of these bytes, without those that may matter: a field on a path, a
/// group, a field that is wrong, and one that does not end before `room`. It changes the speed and never the result.
pub(super) fn other_fields(bytes: &[u8], room: u64, is_on_path: impl Fn(u32) -> bool) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let mut skipped = 0;
    while let Some(length) = bytes.get(skipped..).and_then(|rest| other_field(rest, &is_on_path))
        && let Some(end) = skipped.checked_add(length).filter(|end| *end < room && *end <= bytes.len())
    {
        skipped = end;
    }
    skipped
}

/// The length of the first field, which may end behind these bytes.
#[inline(always)]
fn other_field(bytes: &[u8], is_on_path: impl Fn(u32) -> bool) -> Option<usize> {
    let (tag, tag_bytes) = varint(bytes, VarintLimit::TAG)?;
    let (number, wire) = (u32::try_from(tag >> 3).ok()?, tag as u32 & 7);
    if number == 0 || is_on_path(number) {
        return None;
    }
    let after = bytes.get(tag_bytes..)?;
    let value_bytes = match wire {
        VARINT => varint(after, VarintLimit::VALUE)?.1,
        I64 => 8,
        I32 => 4,
        LEN => {
            let (length, length_bytes) = varint(after, VarintLimit::LENGTH)?;
            length_bytes.checked_add(usize::try_from(length).ok()?)?
        }
        _ => return None,
    };
    tag_bytes.checked_add(value_bytes)
}

/// The varint at the beginning of these bytes, and its length.
#[inline(always)]
fn varint(bytes: &[u8], limit: VarintLimit) -> Option<(u64, usize)> {
    let mut varint = Varint::default();
    for (index, byte) in bytes.iter().enumerate() {
        if let Some(value) = varint.push(*byte, limit).ok()? {
            return Some((value, index + 1));
        }
    }
    None
}
