//! Converts Envoy's messages to [`Event`]s.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, Metadata};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message;

use crate::fields::{Attributes, Fields};
use crate::process::codec::IncomingMessage;
use crate::process::event::{BodyMode, Event};

/// The namespace of request attributes.
const NAMESPACE: &str = "envoy.filters.http.ext_proc";

/// The attributes, as they are written in `request_attributes`.
const HANDOVER: &str = "filter_state['wasm.cellgate_handover']";
const PEER: &str = "connection.uri_san_peer_certificate";
const CLIENT_ADDRESS: &str = "source.address";

/// A message that this service does not support, most often because of the ext_proc filter's configuration in Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// In STREAMED mode the routing header would come too late. BUFFERED_PARTIAL loses it when the buffer is full.
    #[error("request_body_mode {0} cannot route: use FULL_DUPLEX_STREAMED, BUFFERED or NONE")]
    BodyMode(&'static str),
    /// The service does not process responses.
    #[error("response bodies are not processed: set response_body_mode: NONE")]
    ResponseBody,
    /// Envoy ignores all replies.
    #[error("observability_mode cannot route, because Envoy ignores the replies: set it to false")]
    Observability,
    /// The body mode is unknown.
    #[error("the first message has no protocol_config: use Envoy 1.36 or later")]
    NoProtocolConfig,
    /// The message sets none of the fields of `request`.
    #[error("the message has neither headers, body nor trailers")]
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
        let metadata = message.metadata_context;
        let attributes = message.attributes;
        Ok(match message.request.ok_or(RequestError::Empty)? {
            Request::RequestHeaders(head) => {
                let metadata = metadata.as_ref().map(Metadata::encode_to_vec).unwrap_or_default();
                let attributes = attributes_of(&attributes);
                let fields = fields(head.headers);
                Self::RequestHeaders { fields, metadata, attributes, end_of_stream: head.end_of_stream }
            }
            Request::RequestBody(body) => Self::RequestBody { chunk, end_of_stream: body.end_of_stream },
            Request::RequestTrailers(trailers) => Self::RequestTrailers(fields(trailers.trailers)),
            Request::ResponseHeaders(head) => {
                Self::ResponseHeaders { fields: fields(head.headers), end_of_stream: head.end_of_stream }
            }
            Request::ResponseTrailers(trailers) => Self::ResponseTrailers(fields(trailers.trailers)),
            Request::ResponseBody(_) => return Err(RequestError::ResponseBody),
        })
    }
}

/// Envoy sends the attributes of all its namespaces in one struct, under the name of its filter.
fn attributes_of(attributes: &HashMap<String, Struct>) -> Attributes {
    let text = |name: &str| match attributes.get(NAMESPACE)?.fields.get(name)?.kind.as_ref()? {
        Kind::StringValue(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    Attributes { handover: text(HANDOVER), peer: text(PEER), client_address: text(CLIENT_ADDRESS) }
}

/// Envoy sends values as bytes in `raw_value`. Other peers may use `value`.
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
