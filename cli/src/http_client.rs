//! A small HTTP/1.1 client without TLS: each request has its own connection, a deadline and a limit for the response body.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A server and the path in front of all requests: `http://HOST:PORT/BASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: u16,
    base: String,
}

/// The text is not the URL of a server. clap shows the text beside the error.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    /// Not a URL, or a URL without a host.
    #[error("not a valid URL: use `http://HOST:PORT`")]
    Malformed,
    /// Another scheme than `http`.
    #[error("only http without TLS is supported: use `http://HOST:PORT`, for example behind `kubectl port-forward`")]
    NotHttp,
    /// A URL with a query.
    #[error("the URL must not have a query: use `http://HOST:PORT`")]
    Query,
}

/// The limits of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// From the start of the connection to the last byte of the response.
    pub(crate) time: Duration,
    /// The size of the response body, in bytes.
    pub(crate) bytes: usize,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Bytes,
}

/// There is no complete response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    /// Nothing listens on the port, or the name cannot be resolved.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The path or a header is not valid.
    #[error("cannot build the request: {0}")]
    Request(#[source] hyper::http::Error),
    /// The connection was closed, or the response is not HTTP.
    #[error("not a valid HTTP response: {0}")]
    Protocol(#[source] hyper::Error),
    /// The connection was closed before the end of the response body.
    #[error("the response body is incomplete: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The response body is above the limit.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The deadline passed.
    #[error("no complete response within {} s", .0.as_secs_f64())]
    TooLate(Duration),
}

impl Server {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is not a URL, its scheme is not `http`, or it has a query.
    pub(crate) fn parse(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => return Err(BadUrl::NotHttp),
            None => return Err(BadUrl::Malformed),
        }
        if uri.query().is_some() {
            return Err(BadUrl::Query);
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(BadUrl::Malformed)?;
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// `HOST:PORT`, for a Host header.
    #[must_use]
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The URL of a path on it.
    #[must_use]
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.authority(), self.base)
    }

    /// The target of a request for a path on it.
    #[must_use]
    pub(crate) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends one request and reads the whole response.
    ///
    /// # Errors
    /// There is no response within the limits.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limits: RequestLimits,
    ) -> Result<Response, ResponseError> {
        let answered = tokio::time::timeout(limits.time, self.converse(request, limits.bytes));
        answered.await.unwrap_or(Err(ResponseError::TooLate(limits.time)))
    }

    async fn converse(&self, request: Request<Full<Bytes>>, bytes: usize) -> Result<Response, ResponseError> {
        // Only a URL has an IPv6 address in brackets.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let connection = TcpStream::connect((host, self.port)).await.map_err(ResponseError::Connect)?;
        exchange(connection, request, bytes).await
    }
}

/// Sends one request on an open connection, and reads the whole response of at most `bytes` bytes.
pub(crate) async fn exchange<C>(
    connection: C,
    request: Request<Full<Bytes>>,
    bytes: usize,
) -> Result<Response, ResponseError>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(ResponseError::Protocol)?;
    // The task ends with the sender, which gets the connection's errors too.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(ResponseError::Protocol)?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { ResponseError::TooLarge(bytes) } else { ResponseError::Body(error) }
    })?;
    Ok(Response { status, body: body.to_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// The outcome of a GET to a server that sends `answer` and closes the connection.
    async fn get(answer: &'static str, limits: RequestLimits) -> Result<Response, ResponseError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let serve = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(connection.read(&mut head).await.unwrap() > 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
            // A server without an answer keeps the connection open, so that the deadline passes.
            if answer.is_empty() { Some(connection) } else { None }
        };
        let request = Request::get(server.target("/")).body(Full::default()).unwrap();
        let (answer, _open) = tokio::join!(server.send(request, limits), serve);
        answer
    }

    const LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(20), bytes: 4 };

    #[test]
    fn urls_are_parsed_or_refused() {
        let server = Server::parse("http://localhost:15000/").unwrap();
        assert_eq!(server.authority(), "localhost:15000");
        assert_eq!(server.url("/stats"), "http://localhost:15000/stats");
        assert_eq!(Server::parse("http://[::1]/debug").unwrap().url("/x"), "http://[::1]:80/debug/x");
        for (text, expected) in [
            ("https://h", BadUrl::NotHttp),
            ("localhost:15000", BadUrl::Malformed),
            ("http://", BadUrl::Malformed),
            ("/path", BadUrl::Malformed),
            ("http://h/?x", BadUrl::Query),
        ] {
            assert_eq!(Server::parse(text), Err(expected));
        }
    }

    #[tokio::test]
    async fn the_whole_response_is_read() {
        let answer = get("HTTP/1.1 421 No\r\ncontent-length: 4\r\n\r\nbody", LIMITS).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (421, &b"body"[..]));
    }

    #[tokio::test]
    async fn an_incomplete_response_is_an_error() {
        let large = get("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlarge", LIMITS).await.unwrap_err();
        assert!(matches!(large, ResponseError::TooLarge(4)), "{large}");
        let short = get("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsho", LIMITS).await.unwrap_err();
        assert!(matches!(short, ResponseError::Body(_)), "{short}");
        let other = get("SSH-2.0-OpenSSH\r\n", LIMITS).await.unwrap_err();
        assert!(matches!(other, ResponseError::Protocol(_)), "{other}");
        let silent = get("", RequestLimits { time: Duration::from_millis(50), ..LIMITS }).await.unwrap_err();
        assert!(matches!(silent, ResponseError::TooLate(_)), "{silent}");
    }
}
