//! OTLP over HTTP: one connection, which is opened again when it has failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Request, Response, Uri};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tonic::async_trait;

use super::connector::OtlpConnector;
use super::headers;

/// The largest response that is read, in bytes. A receiver answers with a few.
const MAX_RESPONSE: usize = 64 << 10;

/// The client of one receiver. The caller may be on any thread: the connection belongs to the runtime.
#[derive(Clone, Debug)]
pub(super) struct OtlpHttpClient {
    connector: OtlpConnector,
    fields: Arc<HeaderMap>,
    runtime: Handle,
    timeout: Duration,
    open: Arc<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl OtlpHttpClient {
    /// A client on the runtime at hand, which sends these fields too. Each request may take this long, with its connection.
    pub(super) fn new(connector: OtlpConnector, fields: HeaderMap, timeout: Duration) -> Self {
        Self { connector, fields: Arc::new(fields), runtime: Handle::current(), timeout, open: Arc::default() }
    }

    async fn exchange(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut open = self.open.lock().await;
        let mut sender = match open.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect().await?,
        };
        let response = sender.send_request(in_origin_form(request, &self.fields)?).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await?.to_bytes();
        *open = Some(sender);
        Ok(Response::from_parts(head, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let (sender, connection) = handshake(self.connector.connect().await?).await?;
        // The task ends with the sender, which gets the connection's errors too.
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[async_trait]
impl HttpClient for OtlpHttpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, timeout) = (self.clone(), self.timeout);
        let exchange = self.runtime.spawn(async move { tokio::time::timeout(timeout, client.exchange(request)).await });
        match exchange.await? {
            Ok(answered) => answered,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the receiver did not answer in time").into()),
        }
    }
}

/// A request as a server expects it: the path alone, and a Host field.
fn in_origin_form(request: Request<Bytes>, fields: &HeaderMap) -> Result<Request<Full<Bytes>>, HttpError> {
    let (mut head, body) = request.into_parts();
    let host = head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str())).transpose()?;
    if let Some(host) = host {
        head.headers.insert(HOST, host);
    }
    headers::replace(&mut head.headers, fields);
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse::<Uri>()?;
    Ok(Request::from_parts(head, Full::new(body)))
}
