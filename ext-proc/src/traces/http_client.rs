//! OTLP over HTTP: one connection, which is opened again when it has failed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use tokio::sync::Mutex;

use super::client::{ExportError, MAX_RESPONSE, Retry, user_agent, with_causes};
use super::connector::OtlpConnector;
use super::endpoint::OtlpEndpoint;
use super::headers;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The client of one receiver, on the runtime at hand.
#[derive(Clone, Debug)]
pub(super) struct OtlpHttpClient {
    connector: OtlpConnector,
    host: String,
    path: String,
    open: Arc<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl OtlpHttpClient {
    /// A client that connects when there is something to send.
    pub(super) fn new(connector: OtlpConnector, endpoint: &OtlpEndpoint) -> Self {
        Self { connector, host: endpoint.authority(), path: endpoint.traces_path(), open: Arc::default() }
    }

    /// Sends spans once.
    pub(super) async fn send(
        &self,
        message: &ExportTraceServiceRequest,
        fields: &HeaderMap,
    ) -> Result<ExportTraceServiceResponse, ExportError> {
        let answer = self.exchange(message.encode_to_vec().into(), fields).await;
        let answer = answer.map_err(|error| ExportError { text: with_causes(&*error), retry: Retry::Soon })?;
        let status = answer.status();
        if !status.is_success() {
            // The body may have a part of the request, such as its token.
            return Err(ExportError { text: format!("status {status}"), retry: retry(status, answer.headers()) });
        }
        // Some receivers answer with nothing, or with a text. They have the spans.
        Ok(ExportTraceServiceResponse::decode(answer.into_body()).unwrap_or_default())
    }

    async fn exchange(&self, body: Bytes, fields: &HeaderMap) -> Result<Response<Bytes>, BoxError> {
        let mut request = Request::post(&*self.path)
            .header(HOST, &*self.host)
            .header(USER_AGENT, user_agent())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body))?;
        headers::replace(request.headers_mut(), fields);
        let mut open = self.open.lock().await;
        let mut sender = match open.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect().await?,
        };
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await?.to_bytes();
        *open = Some(sender);
        Ok(Response::from_parts(head, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, BoxError> {
        let (sender, connection) = handshake(self.connector.connect().await?).await?;
        // The task ends with the sender, which gets the connection's errors too.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Whether OTLP allows another attempt after this status. A date in `Retry-After` is not read.
fn retry(status: StatusCode, headers: &HeaderMap) -> Retry {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match (status.as_u16(), seconds) {
        (429 | 503, Some(seconds)) => Retry::After(Duration::from_secs(seconds)),
        (429 | 502 | 503 | 504, _) => Retry::Soon,
        _ => Retry::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_protocol_allows_is_tried_again() {
        for (status, wait, expected) in [
            (429, "", Retry::Soon),
            (429, "7", Retry::After(Duration::from_secs(7))),
            (502, "7", Retry::Soon),
            (503, "0", Retry::After(Duration::ZERO)),
            (503, "Mon, 30 Nov 2026 12:00:00 GMT", Retry::Soon),
            (504, "", Retry::Soon),
            (400, "7", Retry::Never),
            (401, "", Retry::Never),
            (500, "", Retry::Never),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, wait.parse().unwrap())]);
            assert_eq!(retry(StatusCode::from_u16(status).unwrap(), &headers), expected, "{status} {wait}");
        }
    }
}
