//! A small HTTP/1.1 client: one request on a connection of its own, without TLS, bounded in time and size.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where a server is: the `http://HOST:PORT` of a URL, and the path behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: u16,
    base: String,
}

/// The text is not the URL of a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    /// Not a URL at all, or one without a host.
    #[error("`{0}` is no URL: expected `http://HOST:PORT`")]
    NoUrl(String),
    /// Another scheme than `http`.
    #[error("`{0}`: only plain http is spoken here. Reach the port from inside, for example by `kubectl port-forward`")]
    NotHttp(String),
    /// More than a path.
    #[error("`{0}`: expected no query")]
    Query(String),
}

/// How long a request may take, and how much its answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// From the connection's first packet to the answer's last byte.
    pub(crate) time: Duration,
    /// The answer's body, in bytes.
    pub(crate) bytes: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Bytes,
}

/// There is no complete answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nobody listens there, or the name is not known.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// It cannot be sent: its path or a header is none.
    #[error("no HTTP request: {0}")]
    Request(#[source] hyper::http::Error),
    /// The connection ended, or what came is not HTTP.
    #[error("no HTTP answer: {0}")]
    Protocol(#[source] hyper::Error),
    /// The answer's body ended too early.
    #[error("the answer ends too early: {0}")]
    Body(String),
    /// It is larger than expected of any honest server.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It takes too long.
    #[error("no complete answer after {} s", .0.as_secs_f64())]
    TooLate(Duration),
}

impl Server {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none, its scheme is not `http`, or it has a query.
    pub(crate) fn parse(text: &str) -> Result<Self, BadUrl> {
        let no_url = || BadUrl::NoUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| no_url())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => return Err(BadUrl::NotHttp(text.to_owned())),
            None => return Err(no_url()),
        }
        if uri.query().is_some() {
            return Err(BadUrl::Query(text.to_owned()));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(no_url)?;
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

    /// Sends one request and reads its whole answer.
    ///
    /// # Errors
    /// There is no answer, or it exceeds the bounds.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>, bounds: Bounds) -> Result<Answer, NoAnswer> {
        let answered = tokio::time::timeout(bounds.time, self.converse(request, bounds.bytes));
        answered.await.unwrap_or(Err(NoAnswer::TooLate(bounds.time)))
    }

    async fn converse(&self, request: Request<Full<Bytes>>, bytes: usize) -> Result<Answer, NoAnswer> {
        // An IPv6 address stands in brackets in a URL, and without them everywhere else.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let connection = TcpStream::connect((host, self.port)).await.map_err(NoAnswer::Connect)?;
        exchange(connection, request, bytes).await
    }
}

/// Sends one request on a connection that is open, and reads its whole answer of at most so many bytes.
pub(crate) async fn exchange<C>(connection: C, request: Request<Full<Bytes>>, bytes: usize) -> Result<Answer, NoAnswer>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(NoAnswer::Protocol)?;
    // It ends with the sender; what goes wrong on it is said to the sender too.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(NoAnswer::Protocol)?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { NoAnswer::TooLarge(bytes) } else { NoAnswer::Body(error.to_string()) }
    })?;
    Ok(Answer { status, body: body.to_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// The outcome of a GET to a server that says `answer` and closes.
    async fn get(answer: &'static str, bounds: Bounds) -> Result<Answer, NoAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let serve = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(connection.read(&mut head).await.unwrap() > 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
            // Nothing more comes; whether the connection then ends is the answer's matter.
            if answer.is_empty() { Some(connection) } else { None }
        };
        let request = Request::get(server.target("/")).body(Full::default()).unwrap();
        let (answer, _open) = tokio::join!(server.send(request, bounds), serve);
        answer
    }

    const BOUNDS: Bounds = Bounds { time: Duration::from_secs(20), bytes: 4 };

    #[test]
    fn urls_are_servers_or_say_why_not() {
        let server = Server::parse("http://localhost:15000/").unwrap();
        assert_eq!(server.authority(), "localhost:15000");
        assert_eq!(server.url("/stats"), "http://localhost:15000/stats");
        assert_eq!(Server::parse("http://[::1]/debug").unwrap().url("/x"), "http://[::1]:80/debug/x");
        for (text, expected) in [
            ("https://h", BadUrl::NotHttp("https://h".into())),
            ("localhost:15000", BadUrl::NoUrl("localhost:15000".into())),
            ("http://", BadUrl::NoUrl("http://".into())),
            ("/path", BadUrl::NoUrl("/path".into())),
            ("http://h/?x", BadUrl::Query("http://h/?x".into())),
        ] {
            assert_eq!(Server::parse(text), Err(expected));
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        let answer = get("HTTP/1.1 421 No\r\ncontent-length: 4\r\n\r\nbody", BOUNDS).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (421, &b"body"[..]));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_named() {
        let large = get("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlarge", BOUNDS).await.unwrap_err();
        assert!(matches!(large, NoAnswer::TooLarge(4)), "{large}");
        let short = get("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsho", BOUNDS).await.unwrap_err();
        assert!(matches!(short, NoAnswer::Body(_)), "{short}");
        let other = get("SSH-2.0-OpenSSH\r\n", BOUNDS).await.unwrap_err();
        assert!(matches!(other, NoAnswer::Protocol(_)), "{other}");
        let silent = get("", Bounds { time: Duration::from_millis(50), ..BOUNDS }).await.unwrap_err();
        assert!(matches!(silent, NoAnswer::TooLate(_)), "{silent}");
    }
}
