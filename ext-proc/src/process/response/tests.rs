use cellgate_routing::{Decision, Outcome, ResponseNeeds};

use super::*;

const CONFIG: &str =
    r#"{"routing_header": "x-cell", "cells": ["a", "b"], "key": [{"json": "/t"}], "placement": {"default": "b"}}"#;

fn config() -> Config {
    cellgate_config::from_json(CONFIG, "test.json").unwrap()
}

fn on_b() -> Decision {
    Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::Default }
}

fn read(reply: Reply) -> ProcessingResponse {
    match response(reply, &config()) {
        OutgoingMessage::Response(message) => *message,
        OutgoingMessage::BodyChunk { .. } => panic!("a body chunk"),
    }
}

fn set(key: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: key.into(), raw_value: value.into(), ..Default::default() };
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
fn a_head_mutation_sets_the_cell_or_removes_the_header() {
    let remove = vec!["x-cell".to_owned(), "x_cell".to_owned()];
    let mut change = HeadMutation { remove, decision: Some(on_b()), ..HeadMutation::default() };
    let mut expected = ProcessingResponse {
        response: Some(Response::RequestHeaders(HeadersResponse {
            response: Some(common(vec![set("x-cell", "b")], &["x_cell"])),
        })),
        dynamic_metadata: Some(metadata(&[("reason", "default"), ("cell", "b")])),
        ..Default::default()
    };
    assert_eq!(read(Reply::Headers(change.clone())), expected);

    // Without a cell, the routing header itself is removed.
    change.decision = Some(Decision { outcome: Outcome::Pass, reason: Reason::KeyMissing });
    let response = Some(common(vec![], &["x-cell", "x_cell"]));
    expected.response = Some(Response::RequestHeaders(HeadersResponse { response: response.clone() }));
    expected.dynamic_metadata = Some(metadata(&[("reason", "key_missing")]));
    assert_eq!(read(Reply::Headers(change.clone())), expected);

    change.decision = None;
    expected.dynamic_metadata = None;
    assert_eq!(read(Reply::Headers(change.clone())), expected);
    expected.response = Some(Response::RequestBody(BodyResponse { response }));
    assert_eq!(read(Reply::Body(change)), expected);
}

#[test]
fn trailers_lose_reserved_names_and_responses_do_not_change() {
    let header_mutation = Some(HeaderMutation { remove_headers: vec!["x-cell".into()], ..Default::default() });
    let trailers = read(Reply::Trailers { remove: vec!["x-cell".into()] });
    assert_eq!(trailers.response, Some(Response::RequestTrailers(TrailersResponse { header_mutation })));
    assert_eq!(read(Reply::ResponseHeaders).response, Some(Response::ResponseHeaders(HeadersResponse::default())));
    assert_eq!(read(Reply::ResponseTrailers).response, Some(Response::ResponseTrailers(TrailersResponse::default())));
}

#[test]
fn a_refusal_is_an_immediate_response() {
    let reason = Reason::Overloaded;
    for grpc in [false, true] {
        let mut set_headers = vec![set("content-type", PROBLEM_CONTENT_TYPE), set("retry-after", "1")];
        if grpc {
            set_headers.remove(0);
        }
        let expected = ImmediateResponse {
            status: Some(HttpStatus { code: 503 }),
            headers: Some(HeaderMutation { set_headers, ..Default::default() }),
            body: if grpc { grpc_message(reason).into() } else { problem(503, reason, None).into() },
            details: "cellgate_overloaded".into(),
            ..Default::default()
        };
        let message = read(Reply::Immediate { status: 503, reason, grpc, refused_type: None, limits: None });
        assert_eq!(message.response, Some(Response::ImmediateResponse(expected)));
        assert_eq!(message.dynamic_metadata, Some(metadata(&[("reason", "overloaded")])));
    }
}

#[test]
fn a_request_asks_for_the_parts_that_its_limits_need_and_keeps_its_modes() {
    let asks = |mode: Option<BodyMode>, headers, end, expected| {
        let needs = ResponseNeeds { headers, end };
        let response = mode.and_then(|mode| ResponseDemand::of(mode, needs));
        let change = HeadMutation { response, ..HeadMutation::default() };
        read(Reply::Headers(change)).mode_override.map(|modes| {
            let name = |mode: i32| HeaderSendMode::try_from(mode).unwrap().as_str_name();
            let body = BodySendMode::try_from(modes.request_body_mode).unwrap().as_str_name();
            let responses = [name(modes.response_header_mode), name(modes.response_trailer_mode)];
            assert_eq!((name(modes.request_header_mode), modes.response_body_mode, responses), ("SEND", 0, expected));
            (body, name(modes.request_trailer_mode))
        })
    };
    for (headers, end, expected) in
        [(false, true, ["SKIP", "SEND"]), (true, false, ["SEND", "SKIP"]), (true, true, ["SEND", "SEND"])]
    {
        assert_eq!(asks(None, headers, end, expected), None);
        assert_eq!(asks(Some(BodyMode::HeadersOnly), headers, end, expected), Some(("NONE", "SKIP")));
        assert_eq!(asks(Some(BodyMode::Buffered), headers, end, expected), Some(("BUFFERED", "SEND")));
        assert_eq!(asks(Some(BodyMode::Duplex), headers, end, expected), None);
    }
    assert_eq!(asks(Some(BodyMode::HeadersOnly), false, false, ["SKIP", "SKIP"]), None);
}
