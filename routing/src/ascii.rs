//! Comparisons that ignore the case of ASCII letters.

/// Whether a text begins with another one.
pub(crate) fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|actual| actual.eq_ignore_ascii_case(start))
}

/// Whether a text contains another one, which is not empty.
pub(crate) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}

/// Whether the name of a charset is that of UTF-8 or of a part of it. No body in another one is read, in any format.
pub(crate) fn is_utf8_charset(name: &[u8]) -> bool {
    [&b"utf-8"[..], b"utf8", b"us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
}
