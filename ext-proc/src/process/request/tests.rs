use envoy_types::pb::envoy::config::core::v3::{HeaderValue, Metadata};
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, HttpTrailers, ProtocolConfiguration};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use super::*;

fn event(request: Request) -> Result<Event, RequestError> {
    received(request, b"")
}

fn received(request: Request, body: &'static [u8]) -> Result<Event, RequestError> {
    let message = ProcessingRequest {
        request: Some(request),
        metadata_context: Some(Metadata::default()),
        attributes: std::iter::once(("x".to_owned(), Struct::default())).collect(),
        ..Default::default()
    };
    Event::try_from(IncomingMessage { message, body: body.into() })
}

fn map(headers: &[(&str, &str, &[u8])]) -> Option<HeaderMap> {
    let headers = headers.iter().map(|(key, value, raw)| HeaderValue {
        key: (*key).into(),
        value: (*value).into(),
        raw_value: raw.to_vec(),
    });
    Some(HeaderMap { headers: headers.collect() })
}

#[test]
fn messages_become_events() {
    let fields = |fields: &[(&str, &[u8])]| {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect::<Fields>()
    };
    // `raw_value` takes precedence.
    let headers = map(&[("a", "", b"\xff"), ("b", "text", b""), ("a", "text", b"raw"), ("c", "", b"")]);
    let read = fields(&[("a", b"\xff"), ("b", b"text"), ("a", b"raw"), ("c", b"")]);
    let head = HttpHeaders { headers, end_of_stream: true, ..Default::default() };
    assert_eq!(
        event(Request::RequestHeaders(head)),
        Ok(Event::RequestHeaders {
            fields: read,
            metadata: Vec::new(),
            attributes: Attributes::default(),
            end_of_stream: true
        })
    );
    let head = Request::RequestHeaders(HttpHeaders::default());
    assert_eq!(
        event(head),
        Ok(Event::RequestHeaders {
            fields: Fields::new(),
            metadata: Vec::new(),
            attributes: Attributes::default(),
            end_of_stream: false
        })
    );

    let body = HttpBody { end_of_stream: true, drain_complete: true, ..Default::default() };
    let read = Event::RequestBody { chunk: b"{}".as_slice().into(), end_of_stream: true };
    assert_eq!(received(Request::RequestBody(body), b"{}"), Ok(read));
    let trailers = HttpTrailers { trailers: map(&[("sum", "", b"1")]) };
    assert_eq!(event(Request::RequestTrailers(trailers)), Ok(Event::RequestTrailers(fields(&[("sum", b"1")]))));
    let full = HttpHeaders { headers: map(&[("a", "", b"b")]), end_of_stream: true, ..Default::default() };
    let read = Event::ResponseHeaders { fields: fields(&[("a", b"b")]), end_of_stream: true };
    assert_eq!(event(Request::ResponseHeaders(full)), Ok(read));
    let trailers = HttpTrailers { trailers: map(&[("sum", "", b"1")]) };
    assert_eq!(event(Request::ResponseTrailers(trailers)), Ok(Event::ResponseTrailers(fields(&[("sum", b"1")]))));
    assert_eq!(event(Request::ResponseBody(HttpBody::default())), Err(RequestError::ResponseBody));
    assert_eq!(Event::try_from(IncomingMessage::default()), Err(RequestError::Empty));
}

/// The namespace and the payload arrive as Envoy forwards them.
#[test]
fn forwarded_metadata_is_kept_with_its_types() {
    let number = |number| Value { kind: Some(Kind::NumberValue(number)) };
    let payload = Struct { fields: [("org".to_owned(), number(42.0))].into() };
    let payload = Value { kind: Some(Kind::StructValue(payload)) };
    let namespace = Struct { fields: [("payload".to_owned(), payload)].into() };
    let metadata = Metadata {
        filter_metadata: [("envoy.filters.http.jwt_authn".to_owned(), namespace)].into(),
        ..Metadata::default()
    };
    let message = ProcessingRequest {
        request: Some(Request::RequestHeaders(HttpHeaders::default())),
        metadata_context: Some(metadata.clone()),
        ..ProcessingRequest::default()
    };
    match Event::try_from(IncomingMessage { message, body: bytes::Bytes::new() }) {
        Ok(Event::RequestHeaders { metadata: bytes, .. }) => {
            assert_eq!(Metadata::decode(bytes.as_slice()), Ok(metadata));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn body_modes_that_cannot_route_are_refused() {
    for (mode, wanted) in [
        (BodySendMode::None, Ok(BodyMode::HeadersOnly)),
        (BodySendMode::Streamed, Err(RequestError::BodyMode("STREAMED"))),
        (BodySendMode::Buffered, Ok(BodyMode::Buffered)),
        (BodySendMode::BufferedPartial, Err(RequestError::BodyMode("BUFFERED_PARTIAL"))),
        (BodySendMode::FullDuplexStreamed, Ok(BodyMode::Duplex)),
        (BodySendMode::Grpc, Err(RequestError::BodyMode("GRPC"))),
    ] {
        let config = ProtocolConfiguration { request_body_mode: mode as i32, ..Default::default() };
        let mut message = ProcessingRequest { protocol_config: Some(config), ..Default::default() };
        assert_eq!(BodyMode::try_from(&message), wanted);
        message.observability_mode = true;
        assert_eq!(BodyMode::try_from(&message), Err(RequestError::Observability));
    }
    let config = |request_body_mode, response_body_mode| {
        let config = ProtocolConfiguration { request_body_mode, response_body_mode, ..Default::default() };
        BodyMode::try_from(&ProcessingRequest { protocol_config: Some(config), ..Default::default() })
    };
    assert_eq!(config(99, 0), Err(RequestError::BodyMode("(unknown)")));
    assert_eq!(config(2, 2), Err(RequestError::ResponseBody));
    assert_eq!(BodyMode::try_from(&ProcessingRequest::default()), Err(RequestError::NoProtocolConfig));
}
