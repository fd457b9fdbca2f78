//! Envoy's messages: [`Event`]s out of requests, bytes out of [`Reply`]s.

use bytes::Bytes;
use cellgate_routing::{CellId, Config, PROBLEM_CONTENT_TYPE, Reason, grpc_message, problem};

use crate::fields::Fields;
use crate::process::inbox::Said;
use crate::process::message::{Change, Event, Mode, Reply};
use crate::process::proto::{BodySendMode, Content, HeaderMap, ProcessingRequest, ProtocolConfiguration};
use crate::process::writer::{Writer, field_size};

/// The namespace of the dynamic metadata: `%DYNAMIC_METADATA(cellgate:reason)%` in an access log.
const METADATA: &str = "cellgate";

/// The filter is configured in a way that cannot route, or a message is none that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
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
    /// Protobuf's text is UTF-8.
    #[error("a header name that is not UTF-8")]
    HeaderName,
}

/// The body mode that the first message of a stream announces.
pub(super) fn mode(first: &ProcessingRequest) -> Result<Mode, Unusable> {
    if first.observability_mode {
        return Err(Unusable::Observability);
    }
    let Some(ProtocolConfiguration { request_body_mode, response_body_mode }) = first.protocol_config else {
        return Err(Unusable::NoProtocolConfig);
    };
    if response_body_mode != BodySendMode::None as i32 {
        return Err(Unusable::ResponseBody);
    }
    match BodySendMode::try_from(request_body_mode) {
        Ok(BodySendMode::None) => Ok(Mode::HeadersOnly),
        Ok(BodySendMode::Buffered) => Ok(Mode::Buffered),
        Ok(BodySendMode::FullDuplexStreamed) => Ok(Mode::Duplex),
        Ok(BodySendMode::Streamed) => Err(Unusable::BodyMode("STREAMED")),
        Ok(BodySendMode::BufferedPartial) => Err(Unusable::BodyMode("BUFFERED_PARTIAL")),
        Ok(BodySendMode::Grpc) => Err(Unusable::BodyMode("GRPC")),
        Err(_) => Err(Unusable::BodyMode("(unknown)")),
    }
}

/// What was said.
pub(super) fn said(said: Said) -> Result<Event, Unusable> {
    Ok(match said {
        Said::Message(message) => event(message)?,
        Said::Part(part) => Event::BodyPart(part),
        Said::End { end_of_stream } => Event::RequestBody { chunk: Bytes::new(), end_of_stream },
    })
}

/// What a message says.
pub(super) fn event(message: ProcessingRequest) -> Result<Event, Unusable> {
    Ok(match message.request.ok_or(Unusable::Empty)? {
        Content::RequestHeaders(head) => {
            Event::RequestHeaders { fields: fields(head.headers)?, end_of_stream: head.end_of_stream }
        }
        Content::RequestBody(body) => Event::RequestBody { chunk: body.body, end_of_stream: body.end_of_stream },
        Content::RequestTrailers(trailers) => Event::RequestTrailers(fields(trailers.trailers)?),
        Content::ResponseHeaders(_) => Event::ResponseHeaders,
        Content::ResponseTrailers(_) => Event::ResponseTrailers,
        Content::ResponseBody(_) => return Err(Unusable::ResponseBody),
    })
}

/// Values are bytes (`raw_value`); `value` is for peers that only know text.
fn fields(map: Option<HeaderMap>) -> Result<Fields, Unusable> {
    let headers = map.unwrap_or_default().headers.into_iter();
    headers
        .map(|header| {
            std::str::from_utf8(&header.key).map_err(|_| Unusable::HeaderName)?;
            Ok((header.key, if header.raw_value.is_empty() { header.value } else { header.raw_value }))
        })
        .collect()
}

/// The message for a reply, but for a piece of body. `config` is the one the request was decided with.
pub(super) fn response(reply: &Reply, config: &Config) -> Vec<u8> {
    let mut message = Writer::with_capacity(256);
    match reply {
        Reply::Headers(change) => {
            message.message(1, |headers| common(headers, change, config));
            metadata(&mut message, change.decision.map(|decision| decision.reason), change.cell(), config);
        }
        Reply::Body(change) => {
            message.message(3, |body| common(body, change, config));
            metadata(&mut message, change.decision.map(|decision| decision.reason), change.cell(), config);
        }
        Reply::Piece { bytes, end_of_stream } => {
            piece_head(&mut message, bytes.len(), *end_of_stream);
            message.raw(bytes);
        }
        Reply::Trailers { remove } => {
            message.message(5, |trailers| trailers.message(1, |mutation| remove_headers(mutation, remove)));
        }
        Reply::ResponseHeaders => message.message(2, |_| {}),
        Reply::ResponseTrailers => message.message(6, |_| {}),
        Reply::Immediate { status, reason, grpc } => {
            message.message(7, |answer| immediate(answer, *status, *reason, *grpc));
            metadata(&mut message, Some(*reason), None, config);
        }
    }
    message.into_bytes()
}

/// What stands before `bytes` bytes of a piece of the body: with them it is the whole message. They are the last field
/// of all the messages within each other, so that they need not be copied.
pub(super) fn piece_head(message: &mut Writer, bytes: usize, end_of_stream: bool) {
    let streamed = field_size(bytes) + if end_of_stream { 2 } else { 0 };
    let mutation = field_size(streamed);
    let common = field_size(mutation);
    let body = field_size(common);
    message.length(3, body);
    message.length(1, common);
    message.length(3, mutation);
    message.length(3, streamed);
    if end_of_stream {
        message.number(2, 1);
    }
    message.length(1, bytes);
}

/// `CommonResponse` within `HeadersResponse` or `BodyResponse`.
fn common(response: &mut Writer, change: &Change, config: &Config) {
    response.message(1, |common| {
        common.message(2, |mutation| {
            if let Some(cell) = change.cell() {
                set(mutation, &config.routing_header, config.cell_name(cell));
                // Overwriting removes every value by itself, in whatever order Envoy takes the two lists.
                let others = change.remove.iter().filter(|name| ***name != *config.routing_header);
                remove_headers(mutation, others);
            } else {
                remove_headers(mutation, &change.remove);
            }
        });
        // Also without a cell: the stripped headers may have picked the route.
        common.number(5, 1);
    });
}

fn immediate(answer: &mut Writer, status: u16, reason: Reason, grpc: bool) {
    answer.message(1, |http| http.number(1, u64::from(status)));
    answer.message(2, |headers| {
        if !grpc {
            set(headers, "content-type", PROBLEM_CONTENT_TYPE);
        }
        if reason == Reason::Overloaded {
            set(headers, "retry-after", "1");
        }
    });
    if grpc {
        answer.bytes(3, grpc_message(reason).as_bytes());
    } else {
        let body = problem(status, reason);
        answer.bytes(3, body.as_ref());
    }
    answer.bytes(5, format!("cellgate_{}", reason.label()).as_bytes());
}

fn remove_headers<'a>(mutation: &mut Writer, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        mutation.bytes(2, name.as_bytes());
    }
}

/// One value in place of all there are. The default action would append a second one.
fn set(mutation: &mut Writer, name: &str, value: &str) {
    const OVERWRITE_IF_EXISTS_OR_ADD: u64 = 2;
    mutation.message(1, |option| {
        option.message(1, |header| {
            header.bytes(1, name.as_bytes());
            header.bytes(3, value.as_bytes());
        });
        option.number(3, OVERWRITE_IF_EXISTS_OR_ADD);
    });
}

/// `dynamic_metadata`: `{"cellgate": {"reason": ..., "cell": ...}}`, if there is a reason to tell.
fn metadata(message: &mut Writer, reason: Option<Reason>, cell: Option<CellId>, config: &Config) {
    let Some(reason) = reason else { return };
    message.message(8, |namespaces| {
        entry(namespaces, METADATA, |value| {
            value.message(5, |values| {
                entry(values, "reason", |text| text.bytes(3, reason.label().as_bytes()));
                if let Some(cell) = cell {
                    entry(values, "cell", |text| text.bytes(3, config.cell_name(cell).as_bytes()));
                }
            });
        });
    });
}

/// An entry of `google.protobuf.Struct`.
fn entry(fields: &mut Writer, name: &str, value: impl FnOnce(&mut Writer)) {
    fields.message(1, |entry| {
        entry.bytes(1, name.as_bytes());
        entry.message(2, value);
    });
}

#[cfg(test)]
mod tests;
