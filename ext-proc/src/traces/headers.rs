//! Header fields for an OTLP receiver, such as its token, from a file or a variable.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The largest file, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// Header fields cannot be used. No error shows a part of them, because they are secret.
#[derive(Debug, thiserror::Error)]
pub enum BadOtlpHeaders {
    /// It cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A line is not a field, or the file is too large.
    #[error("{path}: line {line}: expected `name: value`, a field of HTTP, such as `authorization: Bearer …`", path = .path.display())]
    Line {
        /// Its path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It has more than 64 KiB.
    #[error("{path}: larger than 64 KiB, so not a file with a few header fields", path = .path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
    },
    /// A part of the variable is not a field.
    #[error("{name}: expected `name=value`, with commas between several, such as `authorization=Bearer%20…`")]
    Variable {
        /// Its name.
        name: &'static str,
    },
}

/// Reads the fields: one `name: value` on each line. Empty lines, and those that begin with `#`, do not count.
///
/// # Errors
/// See [`BadOtlpHeaders`].
pub(super) fn read(path: &Path) -> Result<HeaderMap, BadOtlpHeaders> {
    let unreadable = |source| BadOtlpHeaders::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // Opening a FIFO waits for a writer, which may never come.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    File::open(path).map_err(unreadable)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(BadOtlpHeaders::TooLarge { path: path.to_owned() });
    }
    fields(&bytes).map_err(|line| BadOtlpHeaders::Line { path: path.to_owned(), line })
}

/// The fields of a variable: `name=value`, separated by commas, with `%XX` in values for what they cannot have.
///
/// # Errors
/// A part is not a field. Other programs pass over it; a token that is missing would only be noticed at the receiver.
pub(super) fn of_variable(name: &'static str, text: &[u8]) -> Result<HeaderMap, BadOtlpHeaders> {
    let mut fields = HeaderMap::new();
    for part in text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()) {
        let (name, value) = name_and_value(part, b'=').ok_or(BadOtlpHeaders::Variable { name })?;
        // The same field twice: the last one counts, as in a baggage.
        fields.insert(name, value);
    }
    Ok(fields)
}

/// Sets fields in place of those with the same names.
pub(super) fn replace(headers: &mut HeaderMap, fields: &HeaderMap) {
    for name in fields.keys() {
        headers.remove(name);
    }
    headers.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// The error is the number of a line.
fn fields(bytes: &[u8]) -> Result<HeaderMap, usize> {
    let mut fields = HeaderMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (name, value) = name_and_value(line, b':').ok_or(index + 1)?;
        fields.append(name, value);
    }
    Ok(fields)
}

/// The field in a text. Only those of a variable (`=`) have `%XX`.
fn name_and_value(text: &[u8], separator: u8) -> Option<(HeaderName, HeaderValue)> {
    let separator_at = text.iter().position(|byte| *byte == separator)?;
    let (name, value) = text.split_at_checked(separator_at)?;
    let name = HeaderName::from_bytes(name.trim_ascii()).ok()?;
    let value = value.get(1..)?.trim_ascii();
    let mut value =
        if separator == b'=' { HeaderValue::from_bytes(&decoded(value)) } else { HeaderValue::from_bytes(value) }
            .ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// Replaces `%XX`. A `%` without two digits stands for itself, as tokens have it.
fn decoded(value: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value);
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                bytes.push(digit(high).unwrap_or_default() << 4 | digit(low).unwrap_or_default());
                rest = behind;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_field() {
        let read = fields(b"# of the tenant\nAuthorization: Bearer a:b\r\n\n x-scope : one\n").unwrap();
        assert_eq!(read.get("authorization").unwrap(), "Bearer a:b");
        assert_eq!((read.len(), read.get("x-scope").unwrap().as_bytes()), (2, &b"one"[..]));
        assert!(!format!("{read:?}").contains("Bearer"), "secret");
        for (text, line) in [(&b"token"[..], 1), (b"a: b\nna me: x", 2), (b"\n\na: \x01", 3), (b": x", 1)] {
            assert_eq!(fields(text).unwrap_err(), line);
        }
    }

    #[test]
    fn a_variable_has_fields_with_percent_encoded_values() {
        let read = |text: &str| of_variable("V", text.as_bytes()).map_err(|error| error.to_string());
        for (text, name, value) in [
            ("authorization=Bearer%20a%2Cb", "authorization", "Bearer a,b"),
            (" x = y , Authorization = Basic YTpi= ,", "authorization", "Basic YTpi="),
            ("a=1,a=2", "a", "2"),
            ("a=50%", "a", "50%"),
            ("a=%zz%4", "a", "%zz%4"),
            ("a=", "a", ""),
        ] {
            assert_eq!(read(text).unwrap().get(name).unwrap(), value, "{text}");
        }
        assert!(read(",").unwrap().is_empty());
        for text in ["secret", "=secret", "se cret=a", "a=%0asecret", "a=b,secret"] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("V: expected ") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn fields_of_the_file_replace_those_of_the_same_name() {
        let mut sent = fields(b"authorization: old\nx-scope: kept\n").unwrap();
        replace(&mut sent, &fields(b"authorization: new\nx-tenant: a\nx-tenant: b\n").unwrap());
        let values = |name| sent.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
        assert_eq!((values("authorization"), values("x-scope")), (vec![&b"new"[..]], vec![&b"kept"[..]]));
        assert_eq!(values("x-tenant"), [b"a", b"b"], "a name may come twice in the file");
    }

    #[test]
    fn errors_name_the_file_and_never_a_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("headers");
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string()
        };
        let secret = error(b"a: b\nsecret-token\n");
        assert!(secret.contains("headers: line 2: ") && !secret.contains("secret-token"), "{secret}");
        assert!(error(&vec![b'#'; 65 << 10]).contains("64 KiB"));
        assert!(matches!(read(directory.path()), Err(BadOtlpHeaders::Read { .. })));
    }
}
