//! Limit keys: digests of the values by which requests are counted together.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// The place of a limit in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId(pub u16);

/// The digest of a limit and of the values by which it counts. 16 bytes, however long the values are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

/// Makes limit keys, with a secret: without it, nobody can find two values with one digest, or a value by its digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHasher {
    secret: [u8; 16],
}

impl KeyHasher {
    /// The secret is random. Programs that share a store have the same one.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// The secret, for the one call that brings it to a filter. Never log it.
    #[must_use]
    pub const fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// Another hasher, whose secret tells nothing of this one.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        let [high, low] = self.key(purpose, []).words();
        Self { secret: (u128::from(high) << 64 | u128::from(low)).to_le_bytes() }
    }

    /// The key of a limit for a digest that another hasher has made.
    #[must_use]
    pub fn rekey(&self, limit: &str, digest: LimitKey) -> LimitKey {
        let [high, low] = digest.words().map(u64::to_le_bytes);
        self.key(limit, [&high[..], &low])
    }

    /// The key of a limit, by its name, and of values in a fixed order. The length of each value counts, so `("ab", "c")` is
    /// not `("a", "bc")`, and no values are not one empty value. A limit that moves in the configuration keeps its keys.
    #[must_use]
    pub fn key<'a>(&self, limit: &'a str, values: impl IntoIterator<Item = &'a [u8]>) -> LimitKey {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        for value in std::iter::once(limit.as_bytes()).chain(values) {
            // A `usize` has at most 64 bits.
            hasher.write(&(value.len() as u64).to_le_bytes());
            hasher.write(value);
        }
        let digest = hasher.finish128();
        LimitKey { high: digest.h1, low: digest.h2 }
    }
}

impl LimitKey {
    /// The key with these 16 bytes, as two numbers: a digest that another program has made.
    #[must_use]
    pub const fn from_words([high, low]: [u64; 2]) -> Self {
        Self { high, low }
    }

    /// The 16 bytes, as two numbers.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        [self.high, self.low]
    }
}

/// Hides the secret.
impl fmt::Debug for KeyHasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHasher")
    }
}

/// The digest in hexadecimal digits.
impl fmt::Display for LimitKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.high, self.low)
    }
}

impl fmt::Debug for LimitKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn limits_secrets_and_boundaries_of_values_make_different_keys() {
        let hasher = KeyHasher::new([7; 16]);
        let values: [&[&[u8]]; 5] = [&[], &[b""], &[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"]];
        let mut keys = BTreeSet::new();
        for (hasher, limit) in [(hasher, "one"), (hasher, "two"), (KeyHasher::new([8; 16]), "one")] {
            keys.extend(values.map(|values| hasher.key(limit, values.iter().copied())));
        }
        assert_eq!(keys.len(), 15);
    }

    #[test]
    fn a_derived_secret_makes_other_keys_and_a_digest_has_a_key_for_each_limit() {
        let hasher = KeyHasher::new([7; 16]);
        let derived = hasher.derive("filter");
        assert_eq!(derived, hasher.derive("filter"));
        let digest = derived.key("one", [b"acme".as_slice()]);
        let keys =
            [digest, hasher.key("one", [b"acme".as_slice()]), hasher.rekey("one", digest), hasher.rekey("two", digest)];
        assert_eq!(BTreeSet::from(keys).len(), 4);
        assert!(hasher.derive("other").secret() != derived.secret() && derived.secret() != hasher.secret());
    }

    #[test]
    fn a_long_value_has_a_short_key() {
        let value = [b'k'; 65_536];
        let key = |value: &[u8]| KeyHasher::new([0; 16]).key("limit", [value]);
        assert_eq!(key(&value).to_string().len(), 32);
        assert_ne!(key(&value), key(&value[1..]));
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        assert_eq!(format!("{:?}", KeyHasher::new([7; 16])), "KeyHasher");
    }
}
