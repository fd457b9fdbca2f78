//! Our part of Envoy's messages beside all of it, by code generated from Envoy's own definitions.

use cellgate_routing::{Decision, Outcome};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{self as core, HeaderValueOption, Metadata};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode as Theirs;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Asked;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    self as theirs, BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpBody, HttpHeaders,
    HttpTrailers, ImmediateResponse, ProcessingResponse, StreamedBodyResponse, TrailersResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use prost::Message;

use super::*;

const CONFIG: &str =
    r#"{"routing_header": "x-cell", "cells": ["a", "b"], "key": [{"json": "/t"}], "placement": {"default": "b"}}"#;

fn config() -> Config {
    Config::from_json(CONFIG, "test.json").unwrap()
}

fn on_b() -> Decision {
    Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::Default }
}

/// What Envoy's definitions make of our bytes: nothing may be left that they do not know.
fn read(reply: &Reply) -> ProcessingResponse {
    let bytes = response(reply, &config());
    let message = ProcessingResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(message.encoded_len(), bytes.len(), "{reply:?}");
    message
}

fn set(key: &str, value: &str) -> HeaderValueOption {
    let header = core::HeaderValue { key: key.into(), raw_value: value.into(), ..Default::default() };
    let append_action = HeaderAppendAction::OverwriteIfExistsOrAdd as i32;
    HeaderValueOption { header: Some(header), append_action, ..Default::default() }
}

fn common(set_headers: Vec<HeaderValueOption>, remove: &[&str]) -> CommonResponse {
    let remove_headers = remove.iter().map(|name| (*name).to_owned()).collect();
    let header_mutation = Some(HeaderMutation { set_headers, remove_headers });
    CommonResponse { header_mutation, clear_route_cache: true, ..Default::default() }
}

fn metadata(fields: &[(&str, &str)]) -> Struct {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    let inner = Value { kind: Some(Kind::StructValue(Struct { fields })) };
    Struct { fields: std::iter::once(("cellgate".to_owned(), inner)).collect() }
}

#[test]
fn a_change_of_the_head() {
    let remove = vec!["x-cell".to_owned(), "x_cell".to_owned()];
    let mut change = Change { remove, decision: Some(on_b()) };
    let mut expected = ProcessingResponse {
        response: Some(Response::RequestHeaders(HeadersResponse {
            response: Some(common(vec![set("x-cell", "b")], &["x_cell"])),
        })),
        dynamic_metadata: Some(metadata(&[("reason", "default"), ("cell", "b")])),
        ..Default::default()
    };
    assert_eq!(read(&Reply::Headers(change.clone())), expected);

    // Without a cell to set, the routing header itself is removed.
    change.decision = Some(Decision { outcome: Outcome::Pass, reason: Reason::KeyMissing });
    let response = Some(common(vec![], &["x-cell", "x_cell"]));
    expected.response = Some(Response::RequestHeaders(HeadersResponse { response: response.clone() }));
    expected.dynamic_metadata = Some(metadata(&[("reason", "key_missing")]));
    assert_eq!(read(&Reply::Headers(change.clone())), expected);

    change.decision = None;
    expected.dynamic_metadata = None;
    assert_eq!(read(&Reply::Headers(change.clone())), expected);
    expected.response = Some(Response::RequestBody(BodyResponse { response }));
    assert_eq!(read(&Reply::Body(change)), expected);
}

#[test]
fn pieces_of_every_size_that_changes_a_length() {
    for size in [0, 1, 110, 116, 117, 118, 119, 120, 121, 122, 127, 128, 16_370, 16_383, 16_384, 62_000] {
        for end_of_stream in [false, true] {
            let body = vec![b'x'; size];
            let streamed = StreamedBodyResponse { body: body.clone(), end_of_stream, ..Default::default() };
            let body_mutation = Some(BodyMutation { mutation: Some(Mutation::StreamedResponse(streamed)) });
            let common = CommonResponse { body_mutation, ..Default::default() };
            let expected = Response::RequestBody(BodyResponse { response: Some(common) });
            let bytes = response(&Reply::Piece { bytes: body.into(), end_of_stream }, &config());
            // An empty body need not be written, but we do.
            let message = ProcessingResponse::decode(bytes.as_slice()).unwrap();
            assert_eq!(message.response, Some(expected), "{size}");
            assert!(size == 0 || message.encoded_len() == bytes.len(), "{size}");
        }
    }
}

#[test]
fn trailers_and_responses() {
    let header_mutation = Some(HeaderMutation { remove_headers: vec!["x-cell".into()], ..Default::default() });
    let trailers = read(&Reply::Trailers { remove: vec!["x-cell".into()] });
    assert_eq!(trailers.response, Some(Response::RequestTrailers(TrailersResponse { header_mutation })));
    assert_eq!(read(&Reply::ResponseHeaders).response, Some(Response::ResponseHeaders(HeadersResponse::default())));
    assert_eq!(read(&Reply::ResponseTrailers).response, Some(Response::ResponseTrailers(TrailersResponse::default())));
}

#[test]
fn an_answer_to_the_client() {
    let reason = Reason::Overloaded;
    for grpc in [false, true] {
        let mut set_headers = vec![set("content-type", PROBLEM_CONTENT_TYPE), set("retry-after", "1")];
        if grpc {
            set_headers.remove(0);
        }
        let expected = ImmediateResponse {
            status: Some(HttpStatus { code: 503 }),
            headers: Some(HeaderMutation { set_headers, ..Default::default() }),
            body: if grpc { grpc_message(reason).into() } else { problem(503, reason).into() },
            details: "cellgate_overloaded".into(),
            ..Default::default()
        };
        let message = read(&Reply::Immediate { status: 503, reason, grpc });
        assert_eq!(message.response, Some(Response::ImmediateResponse(expected)));
        assert_eq!(message.dynamic_metadata, Some(metadata(&[("reason", "overloaded")])));
    }
}

fn ours(request: Asked) -> Result<Event, Unusable> {
    let message = theirs::ProcessingRequest {
        request: Some(request),
        metadata_context: Some(Metadata::default()),
        attributes: std::iter::once(("x".to_owned(), Struct::default())).collect(),
        ..Default::default()
    };
    event(ProcessingRequest::decode(message.encode_to_vec().as_slice()).unwrap())
}

fn map(headers: &[(&str, &str, &[u8])]) -> Option<core::HeaderMap> {
    let headers = headers.iter().map(|(key, value, raw)| core::HeaderValue {
        key: (*key).into(),
        value: (*value).into(),
        raw_value: raw.to_vec(),
    });
    Some(core::HeaderMap { headers: headers.collect() })
}

#[test]
fn what_envoy_says() {
    let fields = |fields: &[(&'static str, &'static [u8])]| {
        fields.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect::<Fields>()
    };
    // Raw values win.
    let headers = map(&[("a", "", b"\xff"), ("b", "text", b""), ("a", "text", b"raw"), ("c", "", b"")]);
    let read = fields(&[("a", b"\xff"), ("b", b"text"), ("a", b"raw"), ("c", b"")]);
    let head = HttpHeaders { headers, end_of_stream: true, ..Default::default() };
    assert_eq!(ours(Asked::RequestHeaders(head)), Ok(Event::RequestHeaders { fields: read, end_of_stream: true }));
    let head = Asked::RequestHeaders(HttpHeaders::default());
    assert_eq!(ours(head), Ok(Event::RequestHeaders { fields: Fields::new(), end_of_stream: false }));

    let body = HttpBody { body: b"{}".into(), end_of_stream: true, drain_complete: true, ..Default::default() };
    let read = Event::RequestBody { chunk: Bytes::from_static(b"{}"), end_of_stream: true };
    assert_eq!(ours(Asked::RequestBody(body)), Ok(read));
    let trailers = HttpTrailers { trailers: map(&[("sum", "", b"1")]) };
    assert_eq!(ours(Asked::RequestTrailers(trailers)), Ok(Event::RequestTrailers(fields(&[("sum", b"1")]))));
    let full = HttpHeaders { headers: map(&[("a", "", b"b")]), ..Default::default() };
    assert_eq!(ours(Asked::ResponseHeaders(full)), Ok(Event::ResponseHeaders));
    assert_eq!(ours(Asked::ResponseTrailers(HttpTrailers::default())), Ok(Event::ResponseTrailers));
    assert_eq!(ours(Asked::ResponseBody(HttpBody::default())), Err(Unusable::ResponseBody));
    assert_eq!(event(ProcessingRequest::default()), Err(Unusable::Empty));
}

#[test]
fn a_name_that_is_no_text_is_refused() {
    let header =
        crate::process::proto::HeaderValue { key: Bytes::from_static(b"x-cellgate-\xff"), ..Default::default() };
    assert_eq!(fields(Some(HeaderMap { headers: vec![header] })), Err(Unusable::HeaderName));
}

#[test]
fn modes_have_envoys_numbers() {
    for (theirs, wanted) in [
        (Theirs::None, Ok(Mode::HeadersOnly)),
        (Theirs::Streamed, Err(Unusable::BodyMode("STREAMED"))),
        (Theirs::Buffered, Ok(Mode::Buffered)),
        (Theirs::BufferedPartial, Err(Unusable::BodyMode("BUFFERED_PARTIAL"))),
        (Theirs::FullDuplexStreamed, Ok(Mode::Duplex)),
        (Theirs::Grpc, Err(Unusable::BodyMode("GRPC"))),
    ] {
        if let Err(Unusable::BodyMode(name)) = wanted {
            assert_eq!(name, theirs.as_str_name());
        }
        let config = theirs::ProtocolConfiguration { request_body_mode: theirs as i32, ..Default::default() };
        let mut message = theirs::ProcessingRequest { protocol_config: Some(config), ..Default::default() };
        let read = |message: &theirs::ProcessingRequest| {
            mode(&ProcessingRequest::decode(message.encode_to_vec().as_slice()).unwrap())
        };
        assert_eq!(read(&message), wanted);
        message.observability_mode = true;
        assert_eq!(read(&message), Err(Unusable::Observability));
    }
    assert_eq!(mode(&ProcessingRequest::default()), Err(Unusable::NoProtocolConfig));
}
