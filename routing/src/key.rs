//! The routing key: its rules, and the rule for duplicates.

use crate::body::Candidate;
use crate::reason::Reason;

/// Checks a decoded value: it must be UTF-8, at most `max` bytes, not empty and without control characters (C0, DEL, C1).
///
/// # Errors
/// The reason why the value cannot be a key.
pub fn check(value: &[u8], max: usize) -> Result<&str, Reason> {
    if value.is_empty() {
        return Err(Reason::KeyEmpty);
    }
    if value.len() > max {
        return Err(Reason::KeyTooLong);
    }
    let text = std::str::from_utf8(value).map_err(|_| Reason::KeyInvalidUtf8)?;
    // Most keys are printable ASCII.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(char::is_control) {
        return Err(Reason::KeyControlCharacter);
    }
    Ok(text)
}

/// The value that a source of a body holds so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoredKey {
    #[default]
    Missing,
    Found(Box<str>),
    Unusable(Reason),
}

impl StoredKey {
    /// The value, for the decider.
    pub(crate) fn candidate(&self) -> Candidate<'_> {
        match self {
            StoredKey::Missing => Candidate::Missing,
            StoredKey::Found(key) => Candidate::Found(key),
            StoredKey::Unusable(reason) => Candidate::Unusable(*reason),
        }
    }

    /// Takes over the value of another element, record or message. All that hold something must agree; one that holds
    /// nothing changes nothing. From the first value on, the result changes only to a conflict.
    pub(crate) fn agree(&mut self, other: StoredKey) {
        match self.candidate().agree(other.candidate()) {
            Candidate::Unusable(reason) => *self = StoredKey::Unusable(reason),
            Candidate::Found(_) if *self == StoredKey::Missing => *self = other,
            Candidate::Found(_) | Candidate::Missing => {}
        }
    }

    /// Whether the value is a conflict. The first one gives the reason.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, StoredKey::Unusable(reason) if reason.is_conflict())
    }
}

impl<T: Into<Box<str>>> From<Option<Result<T, Reason>>> for StoredKey {
    fn from(found: Option<Result<T, Reason>>) -> Self {
        match found {
            None => StoredKey::Missing,
            Some(Ok(key)) => StoredKey::Found(key.into()),
            Some(Err(reason)) => StoredKey::Unusable(reason),
        }
    }
}

/// The rule for a source that holds more than one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The reason is `key_duplicated`, even if the values are equal.
    #[default]
    Reject,
    /// The first value is the key.
    First,
    /// The last value is the key, as in most JSON parsers.
    Last,
}

impl Duplicates {
    /// Picks one of the values.
    pub(crate) fn pick<T>(self, mut values: impl Iterator<Item = T>) -> Option<Result<T, Reason>> {
        let first = values.next()?;
        Some(match self {
            Duplicates::First => Ok(first),
            Duplicates::Last => Ok(values.last().unwrap_or(first)),
            Duplicates::Reject if values.next().is_some() => Err(Reason::KeyDuplicated),
            Duplicates::Reject => Ok(first),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unusable_value_has_its_reason() {
        assert_eq!(check(b"acme", 4), Ok("acme"));
        assert_eq!(check("å".as_bytes(), 2), Ok("å"));
        assert_eq!(check(b"", 4), Err(Reason::KeyEmpty));
        assert_eq!(check(b"acmes", 4), Err(Reason::KeyTooLong));
        assert_eq!(check(b"a\xff", 4), Err(Reason::KeyInvalidUtf8));
        for control in ["a\n", "\u{0}", "\u{7f}", "\u{85}"] {
            assert_eq!(check(control.as_bytes(), 4), Err(Reason::KeyControlCharacter));
        }
    }

    #[test]
    fn the_value_is_picked_by_the_configured_rule() {
        let two = || [1, 2].into_iter();
        assert_eq!(Duplicates::Reject.pick(two()), Some(Err(Reason::KeyDuplicated)));
        assert_eq!(Duplicates::First.pick(two()), Some(Ok(1)));
        assert_eq!(Duplicates::Last.pick(two()), Some(Ok(2)));
        assert_eq!(Duplicates::Reject.pick([3].into_iter()), Some(Ok(3)));
        assert_eq!(Duplicates::Last.pick(std::iter::empty::<u8>()), None);
    }
}
