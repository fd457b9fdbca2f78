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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_escape_is_refused() {
        assert_eq!(decode(b"a%2Fb+c%c3%A5", Plus::Space).unwrap(), "a/b cå".as_bytes());
        assert_eq!(decode(b"a+b", Plus::Plus).unwrap(), &b"a+b"[..]);
        for bad in ["%", "%2", "%2x", "%%20"] {
            assert_eq!(decode(bad.as_bytes(), Plus::Space), Err(Reason::KeyMalformed), "{bad}");
        }
    }
}
