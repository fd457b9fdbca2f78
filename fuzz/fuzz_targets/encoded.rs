//! Bodies with a Content-Encoding: whole, byte by byte, and in chunks.
//!
//! The first byte names the codings, one or two of four. The second is the length of a chunk. One target serves all decoders:
//! each coding has seeds, and the byte leads the fuzzer to stacks of two as well.
#![no_main]

use std::sync::LazyLock;

use cellgate_routing::{BodyReader, Decider, Decision, HeadResult, Outcome, Tier};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{
    "routing_header": "x-cell", "cells": ["a"], "key": [{"ndjson": "/t"}], "placement": {"default": "a"},
    "content_encodings": ["gzip", "deflate", "br", "zstd"], "policy": {"body_several_members": "accept"},
    "limits": {"decoded_bytes": "256KiB", "decoded_ratio": 20}
}"#;

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

static DECIDER: LazyLock<Decider> = LazyLock::new(|| {
    Decider::new(cellgate_config::from_json(CONFIG, "fuzz.json").expect("a valid configuration"), Tier::Service)
});

fuzz_target!(|input: &[u8]| {
    let [codings, size, body @ ..] = input else { return };
    let inner = CODINGS[usize::from(codings & 3)];
    let value = match codings >> 2 & 7 {
        outer @ 0..4 => format!("{inner}, {}", CODINGS[usize::from(outer)]),
        _ => inner.to_owned(),
    };
    let head = [("content-type", "application/x-ndjson"), ("content-encoding", &value)];
    let whole = read(&head, &[body]);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    let chunks: Vec<&[u8]> = body.chunks(usize::from(*size).max(1)).collect();
    for other in [read(&head, &bytes), read(&head, &chunks)] {
        // The libraries for br and zstd give out a damaged text in part or not at all, so the scanner may be the first to
        // refuse it.
        let are_refused = [whole, other].iter().all(|decision| matches!(decision.outcome, Outcome::Reject(_)));
        let is_cut = value.contains("br") || value.contains("zstd");
        assert!(other == whole || (are_refused && is_cut), "{value}: {other:?}, {whole:?}");
    }
});

fn read(head: &[(&str, &str)], chunks: &[&[u8]]) -> Decision {
    let mut reading: BodyReader = match DECIDER.open(head, false) {
        HeadResult::NeedsBody(reading) => reading,
        HeadResult::Decided(decision) => return decision,
    };
    for chunk in chunks {
        if let Err(decision) = reading.push(chunk) {
            return decision;
        }
        let memory = reading.decoded().expect("the body is encoded").memory;
        assert!(memory <= 2 * (22 << 20), "{memory} bytes");
    }
    reading.finish()
}
