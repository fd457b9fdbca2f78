//! Protobuf messages and calls, decided from their head and body.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Write;

use cellgate_routing::{Decider, Decision, HeadResult, Outcome, Tier};
use flate2::write::GzEncoder;

const PROTOBUF_FIRST: &str = r#"[{"protobuf": "1.2"}, {"header": "x-t"}]"#;
const HEADER_FIRST: &str = r#"[{"header": "x-t"}, {"protobuf": "1.2"}]"#;
const NO_PROTOBUF: &str = r#"[{"json": "/t"}, {"header": "x-t"}]"#;

/// `{1: {2: KEY}}` in protobuf.
fn message(key: &str) -> Vec<u8> {
    let length = u8::try_from(key.len()).unwrap();
    [&[0x0a, length + 2, 0x12, length][..], key.as_bytes()].concat()
}

fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    [&[flags][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

fn decider(key: &str, tier: Tier) -> Decider {
    let text = format!(
        r#"{{"routing_header": "x-cell", "cells": ["a", "b"], "key": {key},
            "placement": {{"exact": {{"one": "a", "two": "b"}}}}}}"#
    );
    Decider::new(cellgate_config::from_json(&text, "test.json").unwrap(), tier)
}

/// `a exact`, `400 key_null`, `defer body_encoded`.
fn show(decider: &Decider, decision: Decision) -> String {
    let reason = decision.reason;
    match decision.outcome {
        Outcome::Cell(cell) => format!("{} {reason}", decider.config().cell_name(cell)),
        Outcome::Reject(status) => format!("{status} {reason}"),
        Outcome::Defer => format!("defer {reason}"),
        Outcome::Pass => format!("pass {reason}"),
    }
}

/// The decision, and whether the body was read for it.
fn decide(key: &str, tier: Tier, fields: &[(&str, &str)], body: &[u8]) -> (String, bool) {
    let decider = decider(key, tier);
    let fields = [&[(":method", "POST"), (":path", "/a.B/C")][..], fields].concat();
    match decider.open(&fields[..], body.is_empty()) {
        HeadResult::Decided(decision) => (show(&decider, decision), false),
        HeadResult::NeedsBody(mut reading) => {
            let decision = match reading.push(body) {
                Ok(()) => reading.finish(),
                Err(decision) => decision,
            };
            (show(&decider, decision), true)
        }
    }
}

#[track_caller]
fn assert_both(key: &str, fields: &[(&str, &str)], body: &[u8], wanted: &str) {
    for tier in [Tier::Filter, Tier::Service] {
        assert_eq!(decide(key, tier, fields, body).0, wanted, "{tier:?} {fields:?}");
    }
}

#[test]
fn each_media_type_is_read_in_its_framing() {
    let call = frame(0, &message("one"));
    for (content_type, body) in [
        ("application/x-protobuf", message("one")),
        ("application/protobuf", message("one")),
        ("application/proto", message("one")),
        ("Application/X-Protobuf; messageType=a.B", message("one")),
        ("application/grpc", call.clone()),
        ("application/grpc+proto", call.clone()),
        ("application/grpc-web", call.clone()),
        ("application/grpc-web+proto", [call.clone(), frame(0x80, b"a: b\r\n")].concat()),
        ("application/grpc-web-text", b"AAAAAAcKBRIDb25l".to_vec()),
        ("application/connect+proto", call.clone()),
    ] {
        assert_both(PROTOBUF_FIRST, &[("content-type", content_type)], &body, "a exact");
    }
    // No prefix, no base64.
    assert_both(PROTOBUF_FIRST, &[("content-type", "application/grpc")], &message("one"), "400 body_malformed");
    assert_both(PROTOBUF_FIRST, &[("content-type", "application/grpc-web-text")], &call, "400 body_malformed");
    for other in ["application/grpc+json", "application/grpc+thrift", "application/connect", "application/grpcx"] {
        assert_both(PROTOBUF_FIRST, &[("content-type", other)], &call, "415 content_type_unsupported");
    }
}

#[test]
fn the_order_of_the_sources_counts() {
    let call = frame(0, &message("one"));
    let fields = [("content-type", "application/grpc"), ("x-t", "two")];
    assert_eq!(decide(PROTOBUF_FIRST, Tier::Filter, &fields, &call), ("a exact".into(), true));
    assert_eq!(decide(HEADER_FIRST, Tier::Filter, &fields, &call), ("b exact".into(), false));
    // No key in the messages: the next source.
    assert_eq!(decide(PROTOBUF_FIRST, Tier::Filter, &fields, &frame(0, &[])), ("b exact".into(), true));
    assert_eq!(decide(PROTOBUF_FIRST, Tier::Filter, &fields, &[]), ("b exact".into(), false));
    assert_both(PROTOBUF_FIRST, &fields[..1], &frame(0, &[]), "400 key_missing");
    assert_both(PROTOBUF_FIRST, &fields[..1], &[], "400 body_absent");
}

/// Decision 12 holds where nothing reads protobuf.
#[test]
fn without_a_protobuf_source_the_head_decides_a_call() {
    let call = frame(0, &message("one"));
    for content_type in ["application/grpc", "application/grpc-web+proto", "application/grpc-web-text"] {
        for encoding in ["identity", "gzip", "snappy"] {
            let fields = [("content-type", content_type), ("grpc-encoding", encoding), ("x-t", "two")];
            for tier in [Tier::Filter, Tier::Service] {
                assert_eq!(decide(NO_PROTOBUF, tier, &fields, &call), ("b exact".into(), false));
                let without = decide(NO_PROTOBUF, tier, &fields[..2], &call);
                assert_eq!(without, ("415 content_type_unsupported".into(), false));
            }
        }
    }
    for content_type in ["application/x-protobuf", "application/connect+proto"] {
        let fields = [("content-type", content_type), ("x-t", "two")];
        assert_both(NO_PROTOBUF, &fields, &call, "415 content_type_unsupported");
    }
}

#[test]
fn compressed_messages_are_for_the_service() {
    let call = frame(1, &gzip(&message("one")));
    for (content_type, header) in
        [("application/grpc", "grpc-encoding"), ("application/connect+proto", "connect-content-encoding")]
    {
        let fields = [("content-type", content_type), (header, "gzip")];
        let deferred = ("defer body_encoded".to_owned(), false);
        assert_eq!(decide(PROTOBUF_FIRST, Tier::Filter, &fields, &call), deferred);
        // Even if no message is compressed: the filter cannot know.
        assert_eq!(decide(PROTOBUF_FIRST, Tier::Filter, &fields, &frame(0, &message("one"))), deferred);
        assert_eq!(decide(PROTOBUF_FIRST, Tier::Service, &fields, &call).0, "a exact");
        // A source before it decides without the body.
        let with_header = [&fields[..], &[("x-t", "two")]].concat();
        assert_eq!(decide(HEADER_FIRST, Tier::Filter, &with_header, &call), ("b exact".into(), false));
    }
    let identity = [("content-type", "application/grpc"), ("grpc-encoding", "identity")];
    assert_both(PROTOBUF_FIRST, &identity, &frame(0, &message("one")), "a exact");
    assert_both(PROTOBUF_FIRST, &identity, &call, "400 body_malformed");
    assert_both(PROTOBUF_FIRST, &identity[..1], &call, "400 body_malformed");
    let unknown = [("content-type", "application/grpc"), ("grpc-encoding", "zstd")];
    assert_eq!(decide(PROTOBUF_FIRST, Tier::Filter, &unknown, &call), ("defer body_encoded".into(), false));
    assert_eq!(decide(PROTOBUF_FIRST, Tier::Service, &unknown, &call), ("415 body_encoded".into(), false));
    let coded = [("content-type", "application/grpc"), ("content-encoding", "gzip")];
    assert_eq!(decide(PROTOBUF_FIRST, Tier::Service, &coded, &call).0, "415 body_encoded");
}

#[test]
fn a_listed_grpc_type_is_read_as_configured() {
    let text = r#"{"routing_header": "x-cell", "cells": ["a", "b"], "key": [{"protobuf": "1.2"}, {"json": "/t"}],
        "content_types": {"protobuf": ["application/grpc+custom"], "json": ["application/grpc+json"]},
        "placement": {"exact": {"one": "a", "two": "b"}}}"#;
    let decider = Decider::new(cellgate_config::from_json(text, "test.json").unwrap(), Tier::Service);
    let read = |content_type: &str, body: &[u8]| {
        let fields = [("content-type", content_type)];
        let HeadResult::NeedsBody(mut reading) = decider.open(&fields[..], false) else { panic!("{content_type}") };
        let decision = reading.push(body).err().unwrap_or_else(|| reading.finish());
        show(&decider, decision)
    };
    assert_eq!(read("application/grpc+custom", &frame(0, &message("one"))), "a exact");
    assert_eq!(read("application/grpc", &frame(0, &message("one"))), "a exact");
    assert_eq!(read("application/grpc+json", br#"{"t":"two"}"#), "b exact");
}

/// A value in protobuf may itself be a document, and a document may hold protobuf.
#[test]
fn the_rules_for_values_apply() {
    let key = r#"[{"protobuf": "1.2", "value": "t-{key}", "case": "lower"}]"#;
    let fields = [("content-type", "application/x-protobuf")];
    assert_eq!(decide(key, Tier::Service, &fields, &message("t-ONE")).0, "a exact");
    let nested = r#"[{"protobuf": "1.2", "then": {"json": "/t"}}]"#;
    assert_eq!(decide(nested, Tier::Service, &fields, &message(r#"{"t":"one"}"#)).0, "a exact");
    let inner = String::from_utf8(message("two")).unwrap();
    let twice = r#"[{"protobuf": "1.2", "then": {"protobuf": "1.2"}}]"#;
    assert_eq!(decide(twice, Tier::Service, &fields, &message(&inner)).0, "b exact");
}
