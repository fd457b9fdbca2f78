//! Values in the query of a request.

/// Decodes `%XX`, and `+` as a space, as in forms. `None` if a `%` stands alone.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_percent_decoded() {
        for (text, bytes) in [("", &b""[..]), ("a+b%20%2B%c3%BC", "a b +ü".as_bytes()), ("%00%ff", b"\x00\xff")] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["%", "%4", "%4g", "%+1", "a%%41"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
