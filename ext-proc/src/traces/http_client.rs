//! OTLP over HTTP: one connection, which is opened again when it has failed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Request, Response, Uri};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::sync::Mutex;
use tonic::async_trait;

use super::connector::OtlpConnector;
use super::export_notes::ExportNotes;
use super::headers;

/// The largest response that is read, in bytes. A receiver answers with a few.
const MAX_RESPONSE: usize = 64 << 10;

/// The client of one receiver, on the runtime at hand.
#[derive(Debug)]
pub(super) struct OtlpHttpClient {
    connector: OtlpConnector,
    fields: Arc<ArcSwap<HeaderMap>>,
    notes: ExportNotes,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl OtlpHttpClient {
    /// A client that connects when there is something to send, with the fields as they are then.
    pub(super) fn new(connector: OtlpConnector, fields: Arc<ArcSwap<HeaderMap>>, notes: ExportNotes) -> Self {
        Self { connector, fields, notes, open: Mutex::default() }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut open = self.open.lock().await;
        let mut sender = match open.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect().await?,
        };
        let response = sender.send_request(in_origin_form(request, &self.fields.load())?).await?;
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
        self.notes.attempted(None);
        let answer = self.exchange(request).await;
        self.notes.attempted(answer.as_ref().err().map(|error| with_causes(&**error)));
        answer
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

/// An error with its causes. Many errors of libraries say nothing without them.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
