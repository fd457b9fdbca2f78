//! A whole request through the decider: nothing panics, and a guarded early release gives the same decision as reading the
//! whole body.
//!
//! The input is `name: value` lines, an empty line, and the body. The first byte is the length of a chunk.
#![no_main]

use std::sync::LazyLock;

use cellgate_routing::{BodyReader, Decider, Decision, HeadResult, Outcome, Tier};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{
    "routing_header": "x-cell",
    "cells": ["cell-a", "cell-b"],
    "key": [
        {"json": "/tenant/id"}, {"json": "/items/0/tenant"}, {"form": "tenant"}, {"header": "x-tenant"},
        {"query": "tenant"}, {"path": "/orgs/{key}"}, {"cookie": "tenant"}
    ],
    "placement": {"exact": {"acme": "cell-a"}, "prefixes": {"eu-": "cell-b"}, "default": "cell-a"},
    "limits": {"inspect_bytes": "32KiB", "stream_bytes": "16MiB", "key_bytes": 16, "depth": 8}
}"#;

static ROUTERS: LazyLock<[Decider; 2]> = LazyLock::new(|| {
    let config = cellgate_config::from_json(CONFIG, "fuzz.json").expect("a valid configuration");
    [Decider::new(config.clone(), Tier::Filter), Decider::new(config, Tier::Service)]
});

fuzz_target!(|input: &[u8]| {
    let Some((size, input)) = input.split_first() else { return };
    let chunk = usize::from(*size).max(1);
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    let head: Vec<(Vec<u8>, &[u8])> = head.split(|byte| *byte == b'\n').filter_map(field).collect();
    for decider in ROUTERS.iter() {
        let HeadResult::NeedsBody(mut whole) = decider.open(head.as_slice(), false) else { continue };
        let decision = whole.push(body).map_or_else(|decision| decision, |()| whole.finish());
        let HeadResult::NeedsBody(reading) = decider.open(head.as_slice(), false) else {
            panic!("the second opening differs")
        };
        match stream(reading, body.chunks(chunk)) {
            Ok(streamed) => assert_eq!(streamed, decision),
            Err(broken) => {
                assert!(matches!(broken.outcome, Outcome::Reject(_)));
                assert!(matches!(decision.outcome, Outcome::Reject(_)), "{decision:?}");
            }
        }
    }
});

/// Reads chunks, releases the request as early as allowed, and guards the rest.
fn stream<'a>(mut reading: BodyReader, mut chunks: impl Iterator<Item = &'a [u8]>) -> Result<Decision, Decision> {
    while let Some(chunk) = chunks.next() {
        if let Err(decision) = reading.push(chunk) {
            return Ok(decision);
        }
        reading = match reading.settle() {
            Err(unsettled) => unsettled,
            Ok((decision, mut guard)) => {
                chunks.try_for_each(|chunk| guard.push(chunk))?;
                guard.finish()?;
                return Ok(decision);
            }
        };
    }
    Ok(reading.finish())
}

fn field(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let colon = line.iter().skip(1).position(|byte| *byte == b':')? + 1;
    let (name, value) = line.split_at(colon);
    Some((name.to_ascii_lowercase(), value.get(2..).unwrap_or_default()))
}
