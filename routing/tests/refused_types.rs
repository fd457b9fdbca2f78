//! The problem document of a request whose Content-Type is refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use cellgate_routing::{Config, Reason, RefusedType, problem};

fn config() -> Config {
    let text = r#"{"routing_header": "x-cell", "cells": ["a"], "placement": {"default": "a"}, "key": [{"form": "t"},
        {"header": "t"}, {"json": "/t"}, {"json": "/u"}], "content_types": {"json": ["text/json", "missing"]}}"#;
    cellgate_config::from_json(text, "test").unwrap()
}

#[test]
fn a_refused_type_is_named_with_the_types_that_are_read() {
    let reason = Reason::ContentTypeUnsupported;
    for (found, named) in [
        (&b"text/plain; a=\"\\b\""[..], "text/plain; a=\"\\b\"".to_owned()),
        (b"a/\xff\n", "a/\u{fffd}\u{fffd}".to_owned()),
        (&[b'a'; 1000], "a".repeat(200)),
    ] {
        let refused = RefusedType::of(reason, &config(), Some(found));
        let document: serde_json::Value = serde_json::from_str(&problem(415, reason, refused.as_ref())).unwrap();
        assert_eq!(document["content_type"], named);
        let readable = serde_json::json!(["text/json", "application/x-www-form-urlencoded"]);
        assert_eq!(document["content_types"], readable);
    }
    assert_eq!(RefusedType::of(Reason::KeyMissing, &config(), Some(b"a/b")), None);
}
