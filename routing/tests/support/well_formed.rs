//! The algorithm of RFC 8949, appendix C: whether bytes are one well-formed data item.
#![allow(clippy::indexing_slicing, reason = "a test that is wrong may panic")]

/// Whether the bytes are one item and nothing else.
pub(crate) fn is_well_formed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    well_formed(&mut rest, false).is_some() && rest.is_empty()
}

/// What an item was, for those around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Was {
    Item(u8),
    Indefinite,
    Break,
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(taken)
}

fn well_formed(rest: &mut &[u8], breakable: bool) -> Option<Was> {
    let initial = take(rest, 1)?[0];
    let (major, information) = (initial >> 5, initial & 0x1f);
    let mut value = u64::from(information);
    match information {
        24..=27 => {
            value = take(rest, 1 << (information - 24))?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
        }
        28..=30 => return None,
        31 => return well_formed_indefinite(rest, major, breakable),
        _ => {}
    }
    match major {
        2 | 3 => drop(take(rest, value)?),
        4 => {
            for _ in 0..value {
                well_formed(rest, false)?;
            }
        }
        5 => {
            for _ in 0..value {
                well_formed(rest, false)?;
                well_formed(rest, false)?;
            }
        }
        6 => drop(well_formed(rest, false)?),
        7 if information == 24 && value < 32 => return None,
        _ => {}
    }
    Some(Was::Item(major))
}

fn well_formed_indefinite(rest: &mut &[u8], major: u8, breakable: bool) -> Option<Was> {
    match major {
        2 | 3 => loop {
            match well_formed(rest, true)? {
                Was::Break => break,
                was if was != Was::Item(major) => return None,
                _ => {}
            }
        },
        4 => while well_formed(rest, true)? != Was::Break {},
        5 => {
            while well_formed(rest, true)? != Was::Break {
                well_formed(rest, false)?;
            }
        }
        7 => return breakable.then_some(Was::Break),
        _ => return None,
    }
    Some(Was::Indefinite)
}
