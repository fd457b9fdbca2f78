//! Percent-encoding of form bodies, queries and paths (WHATWG URL, 5.1).

use std::borrow::Cow;

use crate::reason::Reason;

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The meaning of `+`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    /// A space, in forms and queries.
    Space,
    /// Itself, in paths.
    Plus,
}

/// Decodes `%XX`, and `+` if it means a space.
///
/// # Errors
/// Two hexadecimal digits do not follow a `%`. Parsers differ on its meaning, so the text cannot be a key.
pub(crate) fn decode(text: &[u8], plus: Plus) -> Result<Cow<'_, [u8]>, Reason> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) = (rest.next().and_then(hex), rest.next().and_then(hex));
                high.zip(low).map(|(high, low)| high << 4 | low).ok_or(Reason::KeyMalformed)?
            }
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    Ok(Cow::Owned(decoded))
}

/// Decodes a name, and keeps each `%` without two hexadecimal digits, as most servers do.
#[cold]
pub(crate) fn decode_valid(name: &[u8], plus: Plus) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, mut after)) = rest.split_first() {
        decoded.push(match (byte, after) {
            (b'%', [high, low, behind @ ..]) if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
                after = behind;
                high << 4 | low
            }
            (b'+', _) if plus == Plus::Space => b' ',
            (other, _) => *other,
        });
        rest = after;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_invalid_escapes() {
        assert_eq!(decode_valid(b"a%2Fb+c%zz%4", Plus::Space), b"a/b c%zz%4");
        assert_eq!(decode_valid(b"a+b%", Plus::Plus), b"a+b%");
    }

    #[test]
    fn an_invalid_escape_is_refused() {
        assert_eq!(decode(b"a%2Fb+c%c3%A5", Plus::Space).unwrap(), "a/b cå".as_bytes());
        assert_eq!(decode(b"a+b", Plus::Plus).unwrap(), &b"a+b"[..]);
        for bad in ["%", "%2", "%2x", "%%20"] {
            assert_eq!(decode(bad.as_bytes(), Plus::Space), Err(Reason::KeyMalformed), "{bad}");
        }
    }
}
