//! The request to decide, built from options or parsed from a file with an HTTP/1.1 message.

use crate::fields::{self, Fields};
use axum::http::Method;

use super::framing::{self, BadFraming};

/// A complete request.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The head as Envoy shows it to filters: names in lower case, pseudo-headers first.
    pub fields: Fields,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the request ends with its head.
    pub end_of_stream: bool,
    /// The dynamic metadata of the filters in front, a serialised `envoy.config.core.v3.Metadata`. Empty if there is none.
    pub metadata: Vec<u8>,
}

/// The parts of a request. The defaults are those of curl.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// `POST` if there is a body, else `GET`.
    pub method: Option<String>,
    /// `/` by default.
    pub path: Option<String>,
    /// Each as `name: value`.
    pub headers: Vec<String>,
    /// The body, if the request has one.
    pub body: Option<Vec<u8>>,
    /// Whether to send the body chunked, without its length.
    pub chunked: bool,
}

/// The input is not a valid request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The first line of a message is not a request line.
    #[error("line 1: expected a request line such as `POST /orders HTTP/1.1`")]
    RequestLine,
    /// A line of a message's head is not a header.
    #[error("line {0}: expected a header on one line, such as `content-type: application/json`")]
    HeaderLine(usize),
    /// A header option is not a header.
    #[error("--header `{0}`: use `NAME: VALUE`")]
    Header(String),
    /// The method is not a token (RFC 9110).
    #[error("`{0}` is not a valid method: use for example `POST`")]
    Method(String),
    /// The path cannot be sent in a request line.
    #[error(
        "`{0}` is not a valid path: it must start with `/`, and spaces and other special characters must be percent-encoded"
    )]
    Path(String),
    /// RFC 9112 and Envoy require exactly one.
    #[error("the request has {0} Host headers: it must have exactly one")]
    Host(usize),
    /// The end of the body is not clear.
    #[error(transparent)]
    Framing(#[from] BadFraming),
}

impl Request {
    /// Builds a request from parts.
    ///
    /// # Errors
    /// A header, the method or the path is not valid, or two headers contradict each other.
    pub fn from_parts(parts: Parts) -> Result<Self, BadRequest> {
        let method = parts.method.unwrap_or_else(|| if parts.body.is_some() { "POST" } else { "GET" }.to_owned());
        let mut fields = pseudo(&method, parts.path.as_deref().unwrap_or("/"))?;
        for header in &parts.headers {
            fields.push(field(header.as_bytes()).ok_or_else(|| BadRequest::Header(header.clone()))?);
        }
        let announced = |name: &str| fields.iter().any(|(field, _)| field == name);
        if let Some(body) = &parts.body
            && !announced("content-length")
            && !announced("transfer-encoding")
        {
            fields.push(if parts.chunked {
                ("transfer-encoding".into(), "chunked".into())
            } else {
                ("content-length".into(), body.len().to_string().into_bytes())
            });
        }
        let (body, end_of_stream) = framing::given(&fields, parts.body.unwrap_or_default())?;
        Ok(Self { fields, body, end_of_stream, metadata: Vec::new() })
    }

    /// Parses an HTTP/1.1 request message (RFC 9112). Lines of the head may end in LF alone.
    ///
    /// # Errors
    /// It is not a valid request.
    pub fn from_message(message: &[u8]) -> Result<Self, BadRequest> {
        let mut rest = message;
        let line = std::str::from_utf8(next_line(&mut rest)).map_err(|_| BadRequest::RequestLine)?;
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BadRequest::RequestLine);
        };
        if method.is_empty() || target.is_empty() || !version.starts_with("HTTP/") {
            return Err(BadRequest::RequestLine);
        }
        let (target_host, path) = split_target(target);
        let mut fields = pseudo(method, path)?;
        for number in 2.. {
            let line = next_line(&mut rest);
            if line.is_empty() {
                break;
            }
            fields.push(field(line).ok_or(BadRequest::HeaderLine(number))?);
        }
        let mut hosts: Vec<_> = fields.iter_mut().filter(|(name, _)| *name == ":authority").collect();
        match (hosts.as_mut_slice(), target_host) {
            ([(_, authority)], Some(host)) => *authority = host.into(),
            ([_], None) => {}
            (hosts, _) => return Err(BadRequest::Host(hosts.len())),
        }
        let (body, end_of_stream) = framing::read(&fields, rest)?;
        Ok(Self { fields, body, end_of_stream, metadata: Vec::new() })
    }

    /// `POST /path`.
    #[must_use]
    pub fn line(&self) -> String {
        let value = |name: &str| String::from_utf8_lossy(fields::first(&self.fields, name)).into_owned();
        format!("{} {}", value(":method"), value(":path"))
    }
}

/// The host, and path and query of a request target. The host of the absolute form (`http://host/path`) replaces the Host
/// header (RFC 9112, 3.2.2).
fn split_target(target: &str) -> (Option<&str>, &str) {
    match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(host), if path.is_empty() { "/" } else { path })
        }
        _ => (None, target),
    }
}

fn pseudo(method: &str, path: &str) -> Result<Fields, BadRequest> {
    if Method::from_bytes(method.as_bytes()).is_err() {
        return Err(BadRequest::Method(method.to_owned()));
    }
    // The target of CONNECT is a host, and the target of `OPTIONS *` is an asterisk.
    let other = method == "CONNECT" || path == "*";
    if !(path.starts_with('/') || other) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadRequest::Path(path.to_owned()));
    }
    Ok(vec![(":method".into(), method.into()), (":path".into(), path.into())])
}

/// `Name: value`, as Envoy shows it to filters: `Host` becomes `:authority`.
fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let (name, value) = line.split_at(colon);
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    if name.contains(|character: char| character.is_ascii_whitespace() || character.is_control()) {
        return None;
    }
    let name = if name == "host" { ":authority".to_owned() } else { name };
    Some((name, value.get(1..)?.trim_ascii().to_vec()))
}

/// Removes the first line, and returns it without its line end.
fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
    *rest = after;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(request: &'a Request, name: &str) -> Option<&'a [u8]> {
        request.fields.iter().find(|(field, _)| *field == *name).map(|(_, value)| value.as_ref())
    }

    #[test]
    fn a_message_is_read_and_framed() {
        let message = b"POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nX-Odd:\t\xff \r\n\r\n{}\r\n";
        let request = Request::from_message(message).unwrap();
        assert_eq!(request.line(), "POST /a?b");
        assert_eq!(header(&request, ":authority"), Some(&b"h"[..]));
        assert_eq!(header(&request, "x-odd"), Some(&b"\xff"[..]));
        assert_eq!(request.body, b"{}");
        assert!(!request.end_of_stream);
    }

    #[test]
    fn a_message_without_body_ends_with_its_head() {
        for head in ["", "Content-Length: 0\n", "Content-Type: text/plain\n"] {
            let request = Request::from_message(format!("GET / HTTP/1.1\nHost: h\n{head}\n").as_bytes()).unwrap();
            assert!(request.end_of_stream, "{head}");
        }
        let error = Request::from_message(b"POST / HTTP/1.1\nHost: h\n\n{}").unwrap_err();
        assert_eq!(error, BadRequest::Framing(BadFraming::Unannounced(2)));
    }

    #[test]
    fn a_target_may_be_absolute() {
        for (target, path) in [("http://h/a?b", "/a?b"), ("https://h", "/"), ("/a://b", "/a://b"), ("*", "*")] {
            let message = format!("OPTIONS {target} HTTP/1.1\nHost: h\n\n");
            let request = Request::from_message(message.as_bytes()).unwrap();
            assert_eq!(request.line(), format!("OPTIONS {path}"));
            assert_eq!(header(&request, ":authority"), Some(&b"h"[..]));
        }
    }

    #[test]
    fn the_host_of_the_target_replaces_the_header() {
        let request = Request::from_message(b"GET http://a.example:80/x HTTP/1.1\nHost: b.example\n\n").unwrap();
        assert_eq!(header(&request, ":authority"), Some(&b"a.example:80"[..]));
    }

    #[test]
    fn malformed_messages_are_refused() {
        let error = |message: &str| Request::from_message(message.as_bytes()).unwrap_err();
        assert_eq!(error(""), BadRequest::RequestLine);
        assert_eq!(error("POST /\n\n"), BadRequest::RequestLine);
        assert_eq!(error("POST  / HTTP/1.1\n\n"), BadRequest::RequestLine);
        assert_eq!(error("PO(ST / HTTP/1.1\n\n"), BadRequest::Method("PO(ST".into()));
        assert_eq!(error("POST a HTTP/1.1\n\n"), BadRequest::Path("a".into()));
        assert_eq!(error("POST /\u{e9} HTTP/1.1\n\n"), BadRequest::Path("/\u{e9}".into()));
        assert_eq!(error("POST / HTTP/1.1\na: b\nc d: e\n\n"), BadRequest::HeaderLine(3));
        assert_eq!(error("POST / HTTP/1.1\n: b\n\n"), BadRequest::HeaderLine(2));
        assert_eq!(error("POST / HTTP/1.1\n\n"), BadRequest::Host(0));
        assert_eq!(error("POST / HTTP/1.1\nHost: a\nhost: b\n\n"), BadRequest::Host(2));
    }

    #[test]
    fn parts_are_completed() {
        let parts = Parts { body: Some(b"x=1".to_vec()), headers: vec!["A: b".into()], ..Parts::default() };
        let request = Request::from_parts(parts.clone()).unwrap();
        assert_eq!(request.line(), "POST /");
        assert_eq!(header(&request, "content-length"), Some(&b"3"[..]));
        assert_eq!(header(&request, "a"), Some(&b"b"[..]));
        let request = Request::from_parts(Parts { chunked: true, ..parts }).unwrap();
        assert_eq!(header(&request, "content-length"), None);
        assert!(!request.end_of_stream);
        let request = Request::from_parts(Parts::default()).unwrap();
        assert_eq!(request.line(), "GET /");
        assert!(request.end_of_stream);
        let bad = Parts { headers: vec!["a b".into()], ..Parts::default() };
        assert_eq!(Request::from_parts(bad), Err(BadRequest::Header("a b".into())));
    }
}
