use std::time::Duration;

use cellgate_routing::Tier;
use prometheus::{Histogram, HistogramOpts};

use super::*;
use crate::budget::Budget;
use crate::fields::Attributes;
use crate::process::event::BodyMode;

const CONFIG: &str =
    r#"{"routing_header": "x-cell", "cells": ["a"], "key": [{"json": "/t"}], "placement": {"default": "a"}}"#;

/// Its bytes are here already, and their number is known. Only decoders take much memory before it is known.
#[tokio::test(start_paused = true)]
async fn a_large_chunk_waits_for_the_budget() {
    let seconds = Histogram::with_opts(HistogramOpts::new("waits", "waits")).unwrap();
    let budget = Budget::with_waits(4 << 20, Duration::from_secs(60), seconds);
    let mut full = budget.reservation();
    assert!(full.try_grow(3 << 20));
    let decider = Decider::new(cellgate_config::from_json(CONFIG, "test.json").unwrap(), Tier::Service);
    let (metrics, refusals, queue) = (Metrics::new().unwrap(), Refusals::new(), SendQueue::default());
    let stream = budget.reservation();
    let mut request = ObservedRequest {
        machine: StateMachine::new(decider.clone(), BodyMode::Duplex, stream.another()),
        budget: stream,
        decider,
        metrics: &metrics,
        refusals: &refusals,
        started: Instant::now(),
        queue: &queue,
        decided: None,
        inspected: 0,
        received: 0,
        trace: &mut CallTrace::default(),
        in_flight: None,
        settlement: None,
    };
    let fields = [(":method", "POST"), (":path", "/"), ("content-type", "application/json")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
    request
        .step(
            Event::RequestHeaders {
                fields,
                metadata: Vec::new(),
                attributes: Attributes::default(),
                end_of_stream: false,
            },
            None,
        )
        .unwrap();
    let chunk = vec![b' '; 2 << 20].into();
    request.step(Event::RequestBody { chunk, end_of_stream: false }, None).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(1), request.has_room()).await;
    assert!(waited.is_err(), "{waited:?}: it does not wait");
    full.release_all();
    assert!(request.has_room().await);
    assert!(budget.used() >= 2 << 20 && request.machine.shortfall() == 0);
}
