//! A request of a test, independent of the protocol.

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use http::Uri;

/// The default `Host` or `:authority`.
pub const HOST: &str = "cellgate.test";

/// A request. Header names and values are bytes, because some tests need bytes that are not text.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Body,
    pub(super) trailers: Vec<(String, String)>,
    protocol: Option<String>,
    authority: String,
}

/// A request's body.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// No body, and no header for one.
    #[default]
    None,
    /// With `Content-Length`.
    Sized(Bytes),
    /// Without a length. Each piece is a chunk in HTTP/1.1 and a DATA frame in HTTP/2.
    Pieces(Vec<Bytes>),
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
            protocol: None,
            authority: HOST.to_owned(),
        }
    }

    /// `GET path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST path`, without a body so far.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// Adds a header. An earlier one of the same name remains.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Sets `:authority`, or `Host` unless a header has that name. An empty one is omitted in HTTP/2.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.to_owned();
        self
    }

    /// A body with a Content-Length and `content-type: application/json`.
    #[must_use]
    pub fn json(self, text: impl Into<Bytes>) -> Self {
        self.header("content-type", "application/json").body(text)
    }

    /// A body with a Content-Length. The caller sets the content type.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Body::Sized(bytes.into());
        self
    }

    /// A body without a Content-Length. The caller sets the content type.
    #[must_use]
    pub fn pieces<Piece: Into<Bytes>>(mut self, pieces: impl IntoIterator<Item = Piece>) -> Self {
        self.body = Body::Pieces(pieces.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a trailer. In HTTP/1.1 this needs a body of [`Body::Pieces`].
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes it an extended CONNECT (RFC 8441) for `protocol`. HTTP/2 only.
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.to_owned());
        self
    }

    /// The bytes of this request in HTTP/1.1.
    #[must_use]
    pub fn to_http1(&self) -> Bytes {
        let mut wire = self.http1_head();
        match &self.body {
            Body::None => (),
            Body::Sized(bytes) => wire.put_slice(bytes),
            Body::Pieces(pieces) => {
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    wire.put_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    wire.put_slice(piece);
                    wire.put_slice(b"\r\n");
                }
                wire.put_slice(b"0\r\n");
                for (name, value) in &self.trailers {
                    wire.put_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                wire.put_slice(b"\r\n");
            }
        }
        wire.freeze()
    }

    /// Only the head, with the empty line at its end, for tests that write the body themselves.
    #[must_use]
    pub fn http1_head(&self) -> BytesMut {
        let mut wire = BytesMut::from(format!("{} {} HTTP/1.1\r\n", self.method, self.path).as_bytes());
        if !self.names("host") {
            wire.put_slice(format!("host: {}\r\n", self.authority).as_bytes());
        }
        for (name, value) in &self.headers {
            wire.put_slice(name);
            wire.put_slice(b": ");
            wire.put_slice(value);
            wire.put_slice(b"\r\n");
        }
        match &self.body {
            Body::Sized(bytes) if !self.names("content-length") => {
                wire.put_slice(format!("content-length: {}\r\n", bytes.len()).as_bytes());
            }
            Body::Pieces(_) => wire.put_slice(b"transfer-encoding: chunked\r\n"),
            Body::Sized(_) | Body::None => (),
        }
        wire.put_slice(b"\r\n");
        wire
    }

    /// The head in HTTP/2.
    pub(super) fn to_http2_head(&self) -> Result<http::Request<()>> {
        let uri = if self.method == "CONNECT" && self.protocol.is_none() {
            self.path.parse::<Uri>()
        } else if self.authority.is_empty() {
            self.path.parse()
        } else {
            format!("http://{}{}", self.authority, self.path).parse()
        };
        let mut head = http::Request::builder().method(self.method.as_str()).uri(uri.context(self.path.clone())?);
        for (name, value) in &self.headers {
            head = head.header(name.as_slice(), value.as_slice());
        }
        if let Body::Sized(bytes) = &self.body
            && !self.names("content-length")
        {
            head = head.header("content-length", bytes.len());
        }
        let mut head = head.body(())?;
        if let Some(protocol) = &self.protocol {
            head.extensions_mut().insert(h2::ext::Protocol::from(protocol.as_str()));
        }
        Ok(head)
    }

    fn names(&self, header: &str) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(header.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sized_body_has_a_content_length() {
        let wire = Request::post("/x").header("X-A", [0xff]).json("{}").to_http1();
        let expected = b"POST /x HTTP/1.1\r\nhost: cellgate.test\r\nX-A: \xff\r\n\
            content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(wire, expected.as_slice());
    }

    #[test]
    fn pieces_are_chunks_with_trailers_after_them() {
        let wire =
            Request::post("/x").header("host", "h").pieces(["abc", "", "0123456789"]).trailer("t", "1").to_http1();
        let expected = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n\
            3\r\nabc\r\na\r\n0123456789\r\n0\r\nt: 1\r\n\r\n";
        assert_eq!(wire, expected.as_slice());
    }
}
