//! The messages of one ext_proc stream as text.

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest};
use prost::Message;

use crate::recorder::Heard;

/// One line for each fact: the initial metadata, the messages in their order, the end.
pub(crate) fn described(heard: &Heard) -> String {
    let mut text = vec![format!("initial metadata: {}", heard.metadata.join(", "))];
    let mut bodies = Bodies::default();
    for bytes in &heard.messages {
        let message = ProcessingRequest::decode(bytes.clone()).expect("a ProcessingRequest");
        let mut around = around(&message);
        around.extend(unknown(bytes, &message));
        let body = match &message.request {
            Some(Request::RequestBody(body)) => Some(("request_body", body)),
            Some(Request::ResponseBody(body)) => Some(("response_body", body)),
            _ => None,
        };
        if let Some((kind, body)) = body {
            if !bodies.continues(kind, &around) {
                text.extend(bodies.take());
                bodies = Bodies { kind, around, ..Bodies::default() };
            }
            bodies.add(body);
            continue;
        }
        text.extend(bodies.take());
        match &message.request {
            Some(Request::RequestHeaders(head)) => headers("request_headers", head, &mut text),
            Some(Request::ResponseHeaders(head)) => headers("response_headers", head, &mut text),
            Some(Request::RequestTrailers(end)) => trailers("request_trailers", end, &mut text),
            Some(Request::ResponseTrailers(end)) => trailers("response_trailers", end, &mut text),
            other => text.push(format!("an unknown message: {other:?}")),
        }
        text.extend(around);
    }
    text.extend(bodies.take());
    text.push(format!("end: {}", heard.end.as_deref().unwrap_or("none")));
    text.join("\n")
}

/// Successive messages with parts of one body. How many there are depends on time.
#[derive(Default)]
struct Bodies {
    kind: &'static str,
    around: Vec<String>,
    count: usize,
    bytes: usize,
    last: HttpBody,
    ended_before: bool,
}

impl Bodies {
    /// Whether a message of this kind differs from those before it in nothing but its part of the body.
    fn continues(&self, kind: &str, around: &[String]) -> bool {
        self.count > 0 && self.kind == kind && self.around == around
    }

    fn add(&mut self, body: &HttpBody) {
        self.ended_before |= self.last.end_of_stream;
        self.count += 1;
        self.bytes += body.body.len();
        self.last = body.clone();
    }

    fn take(&mut self) -> Vec<String> {
        let Self { kind, around, count, bytes, last, ended_before } = std::mem::take(self);
        if count == 0 {
            return Vec::new();
        }
        let empty = if last.body.is_empty() { " and empty" } else { "" };
        let mut text =
            vec![format!("{kind}: {bytes} bytes in all; the last has end_of_stream={}{empty}", last.end_of_stream)];
        if ended_before {
            text.push("  end_of_stream before the last".to_owned());
        }
        if last.end_of_stream_without_message || last.grpc_message_compressed {
            text.push("  fields of a gRPC message".to_owned());
        }
        text.extend(around);
        text
    }
}

fn headers(kind: &str, head: &HttpHeaders, text: &mut Vec<String>) {
    text.push(format!("{kind}: end_of_stream={}", head.end_of_stream));
    text.push(format!("  headers: {}", names(head.headers.as_ref())));
}

fn trailers(kind: &str, end: &HttpTrailers, text: &mut Vec<String>) {
    text.push(format!("{kind}: {}", names(end.trailers.as_ref())));
}

/// The names in their order and case. Envoy writes the values into `raw_value`: any other field is named.
fn names(map: Option<&HeaderMap>) -> String {
    let fields = map.map(|map| map.headers.as_slice()).unwrap_or_default();
    let names = fields.iter().map(|field| match (field.value.is_empty(), field.key.as_str()) {
        (true, name @ (":method" | ":scheme" | ":status")) => {
            format!("{name}={}", String::from_utf8_lossy(&field.raw_value))
        }
        (true, name) => name.to_owned(),
        (false, name) => format!("{name} (in value)"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The fields beside the request.
fn around(message: &ProcessingRequest) -> Vec<String> {
    let mut text = Vec::new();
    if let Some(protocol) = &message.protocol_config {
        let mode = |number| BodySendMode::try_from(number).map_or("unknown", |mode| mode.as_str_name());
        text.push(format!(
            "  protocol_config: request_body_mode={}, response_body_mode={}, send_body_without_waiting_for_header_response={}",
            mode(protocol.request_body_mode),
            mode(protocol.response_body_mode),
            protocol.send_body_without_waiting_for_header_response,
        ));
    }
    let mut attributes: Vec<String> = message
        .attributes
        .iter()
        .map(|(name, fields)| {
            let mut fields: Vec<&str> = fields.fields.keys().map(String::as_str).collect();
            fields.sort_unstable();
            format!("  attributes {name}: {}", fields.join(", "))
        })
        .collect();
    attributes.sort();
    text.extend(attributes);
    if let Some(metadata) = &message.metadata_context {
        let mut names: Vec<&str> = metadata.filter_metadata.keys().map(String::as_str).collect();
        names.extend(metadata.typed_filter_metadata.keys().map(String::as_str));
        names.sort_unstable();
        text.push(format!(
            "  metadata_context: {}",
            if names.is_empty() { "empty".to_owned() } else { names.join(", ") }
        ));
    }
    if message.observability_mode {
        text.push("  observability_mode".to_owned());
    }
    if message.flow_control_init.is_some() || message.client_window_update.is_some() {
        text.push("  flow control".to_owned());
    }
    text
}

/// A message is longer than the fields that are known: a new Envoy sends one more.
fn unknown(bytes: &Bytes, message: &ProcessingRequest) -> Option<String> {
    let more = bytes.len().abs_diff(message.encoded_len());
    (more > 0).then(|| format!("  {more} bytes of unknown fields"))
}
