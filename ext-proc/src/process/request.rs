//! [`Event`]s out of Envoy's messages.

use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;

use crate::fields::Fields;
use crate::process::codec::IncomingMessage;
use crate::process::event::{BodyMode, Event};

/// The filter is configured in a way that cannot route, or a message is none that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The header reply of STREAMED comes too late or not at all; BUFFERED_PARTIAL loses it at random.
    #[error("request_body_mode {0} cannot route: use BUFFERED, FULL_DUPLEX_STREAMED or NONE")]
    BodyMode(&'static str),
    /// We have no business with responses.
    #[error("response bodies are not processed: set response_body_mode: NONE")]
    ResponseBody,
    /// Whatever we say is ignored.
    #[error("observability_mode cannot route: set it to false")]
    Observability,
    /// Which body mode, we would have to guess.
    #[error("the first message has no protocol_config: Envoy 1.36 and later send one")]
    NoProtocolConfig,
    /// A message without content.
    #[error("a message that is neither headers, body nor trailers")]
    Empty,
}

impl TryFrom<&ProcessingRequest> for BodyMode {
    type Error = RequestError;

    /// The body mode that the first message of a stream announces.
    fn try_from(first: &ProcessingRequest) -> Result<Self, RequestError> {
        if first.observability_mode {
            return Err(RequestError::Observability);
        }
        let config = first.protocol_config.as_ref().ok_or(RequestError::NoProtocolConfig)?;
        if config.response_body_mode != BodySendMode::None as i32 {
            return Err(RequestError::ResponseBody);
        }
        match BodySendMode::try_from(config.request_body_mode) {
            Ok(BodySendMode::None) => Ok(Self::HeadersOnly),
            Ok(BodySendMode::Buffered) => Ok(Self::Buffered),
            Ok(BodySendMode::FullDuplexStreamed) => Ok(Self::Duplex),
            Ok(mode) => Err(RequestError::BodyMode(mode.as_str_name())),
            Err(_) => Err(RequestError::BodyMode("(unknown)")),
        }
    }
}

impl TryFrom<IncomingMessage> for Event {
    type Error = RequestError;

    fn try_from(received: IncomingMessage) -> Result<Self, RequestError> {
        let IncomingMessage { message, body: chunk } = received;
        Ok(match message.request.ok_or(RequestError::Empty)? {
            Request::RequestHeaders(head) => {
                Self::RequestHeaders { fields: fields(head.headers), end_of_stream: head.end_of_stream }
            }
            Request::RequestBody(body) => Self::RequestBody { chunk, end_of_stream: body.end_of_stream },
            Request::RequestTrailers(trailers) => Self::RequestTrailers(fields(trailers.trailers)),
            Request::ResponseHeaders(_) => Self::ResponseHeaders,
            Request::ResponseTrailers(_) => Self::ResponseTrailers,
            Request::ResponseBody(_) => return Err(RequestError::ResponseBody),
        })
    }
}

/// Values are bytes (`raw_value`); `value` is for peers that only know text.
fn fields(map: Option<HeaderMap>) -> Fields {
    let headers = map.unwrap_or_default().headers.into_iter();
    headers
        .map(|header| {
            let value = if header.raw_value.is_empty() { header.value.into_bytes() } else { header.raw_value };
            (header.key, value)
        })
        .collect()
}

#[cfg(test)]
mod tests;
