//! The algorithm of RFC 8949, appendix C: whether bytes are one well-formed data item.
#![allow(clippy::indexing_slicing, reason = "a test that is wrong may panic")]

/// The tags in the bytes, if these are one item and nothing else.
pub(crate) fn tags(bytes: &[u8]) -> Option<Vec<u64>> {
    let (mut rest, mut tags) = (bytes, Vec::new());
    well_formed(&mut rest, false, &mut tags)?;
    rest.is_empty().then_some(tags)
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

fn well_formed(rest: &mut &[u8], breakable: bool, tags: &mut Vec<u64>) -> Option<Was> {
    let initial = take(rest, 1)?[0];
    let (major, information) = (initial >> 5, initial & 0x1f);
    let mut value = u64::from(information);
    match information {
        24..=27 => {
            value = take(rest, 1 << (information - 24))?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
        }
        28..=30 => return None,
        31 => return well_formed_indefinite(rest, major, breakable, tags),
        _ => {}
    }
    match major {
        2 | 3 => drop(take(rest, value)?),
        4 => {
            for _ in 0..value {
                well_formed(rest, false, tags)?;
            }
        }
        5 => {
            for _ in 0..value {
                well_formed(rest, false, tags)?;
                well_formed(rest, false, tags)?;
            }
        }
        6 => {
            tags.push(value);
            well_formed(rest, false, tags)?;
        }
        7 if information == 24 && value < 32 => return None,
        _ => {}
    }
    Some(Was::Item(major))
}

fn well_formed_indefinite(rest: &mut &[u8], major: u8, breakable: bool, tags: &mut Vec<u64>) -> Option<Was> {
    match major {
        2 | 3 => loop {
            match well_formed(rest, true, tags)? {
                Was::Break => break,
                was if was != Was::Item(major) => return None,
                _ => {}
            }
        },
        4 => while well_formed(rest, true, tags)? != Was::Break {},
        5 => {
            while well_formed(rest, true, tags)? != Was::Break {
                well_formed(rest, false, tags)?;
            }
        }
        7 => return breakable.then_some(Was::Break),
        _ => return None,
    }
    Some(Was::Indefinite)
}
