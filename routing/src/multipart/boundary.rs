//! The boundary between the parts (RFC 2046, 5.1.1).

use super::parameter::parameters;
use crate::ascii::contains;

/// The longest boundary, in bytes.
const MAX_BOUNDARY: usize = 70;

/// The boundary that a Content-Type names. `None` if it names none or more than one, or one that parsers read in different
/// ways: not 1 to 70 letters, digits and `'()+_-./:=`, or spelled `boundary*` (RFC 2231).
#[must_use]
pub fn boundary(content_type: &[u8]) -> Option<Box<[u8]>> {
    let mut found = None;
    for parameter in parameters(content_type) {
        let parameter = parameter.ok()?;
        // Tornado splits at each `;`, also between quotes.
        if contains(parameter.value, b"boundary=") || parameter.ambiguous_rest.is_some() {
            return None;
        }
        if parameter.starts_with(b"boundary") {
            let is_only = found.is_none() && parameter.is(b"boundary") && is_boundary(parameter.value);
            found = Some(is_only.then_some(parameter.value)?);
        }
    }
    found.map(Into::into)
}

/// Whether all parsers take a value for the same boundary. RFC 2046 also allows `?`, with which Apache Commons FileUpload
/// decodes words (RFC 2047), a comma, at which it splits, and spaces.
fn is_boundary(value: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=".contains(byte);
    (1..=MAX_BOUNDARY).contains(&value.len()) && value.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_a_token_or_quoted() {
        let long = format!("multipart/form-data; boundary={}", "x".repeat(70));
        for (content_type, expected) in [
            ("multipart/form-data; boundary=x", "x"),
            (
                "multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
                "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            ),
            ("multipart/form-data; charset=utf-8; BOUNDARY=\"a:b='()+_./\"", "a:b='()+_./"),
            ("multipart/form-data; boundary=----=_Part_1_2.3", "----=_Part_1_2.3"),
            ("multipart/form-data; boundary=x;", "x"),
            (&long, &"x".repeat(70)),
        ] {
            assert_eq!(boundary(content_type.as_bytes()).as_deref(), Some(expected.as_bytes()), "{content_type}");
        }
    }

    #[test]
    fn a_boundary_that_parsers_read_differently_is_refused() {
        let long = format!("; boundary={}", "x".repeat(71));
        for parameters in [
            "",
            ";",
            "; boundary",
            "; boundary=",
            "; boundary=\"\"",
            "; boundary=\"x",
            "; boundary=x y",
            "; boundary=\"x y\"",
            "; boundary=\"x\\\"y\"",
            "; boundary=\"x\\y\"",
            "; boundary=\"x\"y",
            "; boundary=x; boundary=x",
            "; boundary=x; Boundary=y",
            "; boundary*=utf-8''x",
            "; boundary*0=x",
            "; boundary =x",
            "; boundary= x",
            "; boundary=å",
            "; boundary=\"=?utf-8?Q?x?=\"",
            "; a=\"; boundary=y\"; boundary=x",
            "; boundary=x; a=\"; Boundary=y\"",
            "; boundary=x; a=\"\\\"; b\"",
            "; boundary=x, y",
            &long,
        ] {
            assert_eq!(boundary(format!("multipart/form-data{parameters}").as_bytes()), None, "{parameters}");
        }
    }
}
