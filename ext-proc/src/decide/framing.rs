//! The end of a request's body (RFC 9112, section 6). Requests that Envoy refuses are refused here too.

use crate::fields::Fields;

/// The end of the body is not clear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFraming {
    /// Content-Length is not a number, or there are several.
    #[error("Content-Length must appear once, and be a whole number of bytes")]
    Length,
    /// There are Content-Length and Transfer-Encoding.
    #[error("the request has both Content-Length and Transfer-Encoding: remove one of them")]
    Both,
    /// An encoding that Envoy does not support.
    #[error("the only Transfer-Encoding that Envoy supports is `chunked`")]
    Encoding,
    /// The length of the body is not that of Content-Length.
    #[error("Content-Length is {announced}, but the body has {actual} bytes")]
    Short {
        /// The value of Content-Length.
        announced: u64,
        /// The length of the body in the file.
        actual: usize,
    },
    /// Bytes follow a head that announces no body.
    #[error(
        "{0} bytes follow the head, which announces no body: add `Content-Length: {0}` to the head, or build the request with \
         --method, --path, --header and --body"
    )]
    Unannounced(usize),
    /// A chunk does not follow the grammar.
    #[error(
        "byte {0} of the body: not a valid chunk: write its size in hexadecimal, a line end, as many bytes, and a line end"
    )]
    Chunk(usize),
}

/// The length of the body, as the head announces it.
enum Announced {
    Nothing,
    Length(u64),
    Chunks,
}

/// The body of a request that was built from options, and whether the request ends with its head.
pub(super) fn given(fields: &Fields, body: Vec<u8>) -> Result<(Vec<u8>, bool), BadFraming> {
    let end_of_stream = match announced(fields)? {
        Announced::Length(announced) if announced != body.len() as u64 => {
            return Err(BadFraming::Short { announced, actual: body.len() });
        }
        Announced::Length(_) | Announced::Nothing => body.is_empty(),
        Announced::Chunks => false,
    };
    Ok((body, end_of_stream))
}

/// The body that follows the head in a message, and whether the request ends with its head.
pub(super) fn read(fields: &Fields, rest: &[u8]) -> Result<(Vec<u8>, bool), BadFraming> {
    match announced(fields)? {
        // Editors add a line end to the file, after that of the head.
        Announced::Nothing if matches!(rest, b"" | b"\n" | b"\r\n") => Ok((Vec::new(), true)),
        Announced::Nothing => Err(BadFraming::Unannounced(rest.len())),
        Announced::Chunks => Ok((chunks(rest)?, false)),
        Announced::Length(announced) => {
            let body = usize::try_from(announced).ok().and_then(|length| rest.get(..length));
            let body = body.ok_or(BadFraming::Short { announced, actual: rest.len() })?;
            Ok((body.to_vec(), body.is_empty()))
        }
    }
}

fn announced(fields: &Fields) -> Result<Announced, BadFraming> {
    let values = |name: &'static str| fields.iter().filter(move |(field, _)| *field == *name).map(|(_, value)| value);
    let (mut lengths, mut encodings) = (values("content-length"), values("transfer-encoding"));
    match (lengths.next(), encodings.next()) {
        (Some(_), Some(_)) => Err(BadFraming::Both),
        (None, None) => Ok(Announced::Nothing),
        (None, Some(encoding)) if encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none() => {
            Ok(Announced::Chunks)
        }
        (None, Some(_)) => Err(BadFraming::Encoding),
        (Some(length), None) => {
            // `u64::from_str` also accepts a plus sign.
            let digits = length.iter().all(u8::is_ascii_digit) && lengths.next().is_none();
            let number = std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            number.map(Announced::Length).ok_or(BadFraming::Length)
        }
    }
}

/// Decodes chunks up to the last one. Extensions and trailers do not change the body.
fn chunks(message: &[u8]) -> Result<Vec<u8>, BadFraming> {
    let mut body = Vec::new();
    let mut rest = message;
    loop {
        let bad = BadFraming::Chunk(message.len() - rest.len());
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| bad.clone())?;
        let (line, after) = rest.split_at(end);
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let hexadecimal = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(size).ok().filter(|_| hexadecimal);
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).ok_or_else(|| bad.clone())?;
        if size == 0 {
            return Ok(body);
        }
        let (chunk, after) =
            after.get(1..).and_then(|after| after.split_at_checked(size)).ok_or_else(|| bad.clone())?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")).ok_or(bad)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[(&str, &str)]) -> Fields {
        all.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn chunks_are_decoded() {
        let chunked = fields(&[("transfer-encoding", "Chunked")]);
        let message = b"2\r\n{}\r\n0A;x=y\r\n\n123456789\r\n0\r\nsum: 1\r\n\r\n";
        assert_eq!(read(&chunked, message), Ok((b"{}\n123456789".to_vec(), false)));
        assert_eq!(read(&chunked, b"1\nx\n0\n"), Ok((b"x".to_vec(), false)));
        for (bad, at) in [
            ("", 0),
            ("{}", 0),
            ("x\r\n", 0),
            ("\r\n", 0),
            ("5\r\nab", 0),
            ("1\r\nab\r\n0\r\n", 0),
            ("1\r\na\r\n+1\r\n", 6),
        ] {
            assert_eq!(read(&chunked, bad.as_bytes()), Err(BadFraming::Chunk(at)), "{bad:?}");
        }
    }

    #[test]
    fn an_unclear_length_is_refused() {
        let error = |all: &[(&str, &str)]| read(&fields(all), b"abc").unwrap_err();
        for bad in ["", "+1", "1a", "-1", "1, 1", "99999999999999999999"] {
            assert_eq!(error(&[("content-length", bad)]), BadFraming::Length, "{bad}");
        }
        assert_eq!(error(&[("content-length", "1"), ("content-length", "2")]), BadFraming::Length);
        assert_eq!(error(&[("content-length", "1"), ("transfer-encoding", "chunked")]), BadFraming::Both);
        assert_eq!(error(&[("transfer-encoding", "gzip, chunked")]), BadFraming::Encoding);
        assert_eq!(error(&[("content-length", "5")]), BadFraming::Short { announced: 5, actual: 3 });
        assert_eq!(
            given(&fields(&[("content-length", "2")]), b"abc".to_vec()),
            Err(BadFraming::Short { announced: 2, actual: 3 })
        );
    }

    #[test]
    fn content_length_ends_the_body() {
        assert_eq!(read(&fields(&[("content-length", "2")]), b"{}\n"), Ok((b"{}".to_vec(), false)));
        assert_eq!(read(&fields(&[("content-length", "0")]), b"x"), Ok((Vec::new(), true)));
        for nothing in [&b""[..], b"\n", b"\r\n"] {
            assert_eq!(read(&fields(&[]), nothing), Ok((Vec::new(), true)));
        }
        for unannounced in [&b"x"[..], b"\n\n", b"{}\n"] {
            assert_eq!(read(&fields(&[]), unannounced), Err(BadFraming::Unannounced(unannounced.len())));
        }
        assert_eq!(given(&fields(&[]), b"x".to_vec()), Ok((b"x".to_vec(), false)));
    }
}
