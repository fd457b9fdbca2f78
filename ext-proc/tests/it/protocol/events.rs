//! The fuzzer's bytes as a request and its events.

use std::sync::LazyLock;

use cellgate_ext_proc::{BodyMode, Event};
use cellgate_routing::{Decider, Tier};

/// The most bytes of all chunks.
const MAX_BODY: usize = 400_000;

/// With refusals, and with a cell for what the service itself cannot finish.
static DECIDERS: LazyLock<[Decider; 2]> = LazyLock::new(|| [decider("{}"), decider(USE)]);

const USE: &str = r#"{"deadline_exceeded": {"use": "a"}, "overloaded": {"use": "a"}, "body_malformed": {"use": "b"},
    "body_too_large": {"use": "b"}, "key_missing": "pass", "key_conflict": {"use": "a"}, "body_unread": {"use": "a"}}"#;

/// Media types, and with each of them an encoding or none.
const BODIES: [(&str, &str); 8] = [
    ("application/json", ""),
    ("application/json", "gzip"),
    ("application/x-ndjson", ""),
    ("application/x-www-form-urlencoded", ""),
    ("application/cbor", ""),
    ("application/xml", ""),
    ("text/plain", ""),
    ("", ""),
];

/// A request's setting.
pub struct Choices {
    pub decider: Decider,
    pub mode: BodyMode,
    /// The byte budget.
    pub budget: u64,
    /// The headers that the fuzzer's head has.
    pub fields: Vec<(String, Vec<u8>)>,
}

pub enum Step {
    /// The peer has taken all replies.
    Sent,
    Event(Event),
}

impl Choices {
    /// The setting in the first three bytes, and the steps in the rest.
    pub fn read(input: &[u8]) -> Option<(Self, Vec<Step>)> {
        let [how, budget, head, rest @ ..] = input else { return None };
        let mode =
            [BodyMode::Duplex, BodyMode::Duplex, BodyMode::Buffered, BodyMode::HeadersOnly][usize::from(how & 3)];
        let decider = DECIDERS[usize::from(how >> 2 & 1)].clone();
        let budget = if *budget == 0xff { 64 << 20 } else { u64::from(*budget) * 1024 };
        let fields = fields(*head);
        let steps = steps(rest, &fields);
        Some((Self { decider, mode, budget, fields }, steps))
    }
}

fn fields(choice: u8) -> Vec<(String, Vec<u8>)> {
    let (content_type, encoding) = BODIES[usize::from(choice & 7)];
    let mut fields = vec![(":method", "POST"), (":path", "/"), ("x-cell", "evil"), ("x_cell", "evil")];
    fields.extend([("content-type", content_type)].iter().filter(|(_, value)| !value.is_empty()));
    fields.extend([("content-encoding", encoding)].iter().filter(|(_, value)| !value.is_empty()));
    if choice & 8 != 0 {
        fields.push(("x-t", "k"));
    }
    if choice & 16 != 0 {
        fields.push(("x-cellgate-defer", "stream;body_too_large"));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
}

fn steps(mut rest: &[u8], fields: &[(String, Vec<u8>)]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut room = MAX_BODY;
    while let [step, after @ ..] = rest {
        rest = after;
        let end_of_stream = step & 0x80 != 0;
        let event = match step & 0x0f {
            0 => Event::RequestHeaders {
                fields: fields.to_vec(),
                metadata: Vec::new(),
                attributes: cellgate_ext_proc::fields::Attributes::default(),
                end_of_stream,
            },
            // A chunk as it is, and one that repeats its bytes up to 256 times.
            1..=8 => {
                let [length, after @ ..] = rest else { break };
                let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
                let (times, after) = match (step & 0x0f, after) {
                    (1..=4, _) => (1, after),
                    (_, [times, after @ ..]) => (usize::from(*times) + 1, after),
                    (_, []) => (1, after),
                };
                rest = after;
                let chunk = bytes.repeat(times.min(room / bytes.len().max(1)));
                room -= chunk.len();
                Event::RequestBody { chunk: chunk.into(), end_of_stream }
            }
            9 => Event::RequestTrailers(vec![("x-cell".to_owned(), b"evil".to_vec()), ("t".to_owned(), Vec::new())]),
            10 => Event::ResponseHeaders { fields: vec![], end_of_stream: false },
            11 => Event::ResponseTrailers(vec![]),
            12 => Event::Deadline,
            13 => Event::OverBudget,
            14 => Event::RequestTrailers(vec![Default::default(); if end_of_stream { 10_001 } else { 0 }]),
            _ => {
                steps.push(Step::Sent);
                continue;
            }
        };
        steps.push(Step::Event(event));
    }
    steps
}

fn decider(policy: &str) -> Decider {
    let text = format!(
        r#"{{"routing_header": "x-cell", "cells": ["a", "b"], "placement": {{"exact": {{"k": "b"}}, "default": "a"}},
            "key": [{{"json": "/t"}}, {{"ndjson": "/t"}}, {{"form": "t"}}, {{"cbor": "/t"}}, {{"xml": "/d/t"}},
                {{"header": "x-t"}}],
            "content_encodings": ["gzip"], "policy": {policy},
            "limits": {{"stream_bytes": "64KiB", "key_bytes": 16, "depth": 8, "decoded_bytes": "256KiB"}}}}"#
    );
    let config = cellgate_config::from_json(&text, "fuzz.json").unwrap_or_else(|error| panic!("{error}"));
    Decider::new(config, Tier::Service)
}
