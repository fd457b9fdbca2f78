//! Bodies with a Content-Encoding: decoded for the decision, and sent on as they came.

use std::cell::Cell;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const DECODING: &str = r#"{
    "routing_header": "x-cell",
    "cells": ["cell-a", "cell-b"],
    "content_encodings": ["gzip"],
    "key": [{"json": "/t"}],
    "placement": {"exact": {"a": "cell-a", "b": "cell-b"}},
    "limits": {"stream_bytes": "64KiB", "decode_ms": 1000}
}"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text.as_bytes()).unwrap();
    // All that was written so far can be decoded.
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}

fn part(bytes: &[u8], end_of_stream: bool) -> Event {
    Event::RequestBody { chunk: Bytes::copy_from_slice(bytes), end_of_stream }
}

fn gzip_head() -> Event {
    head(&[("content-encoding", "gzip")], false)
}

/// The bytes of a body that went back.
fn sent_back(replies: &[Reply]) -> Vec<u8> {
    let chunks = replies.iter().filter_map(|reply| match reply {
        Reply::BodyChunk { bytes, .. } => Some(bytes.as_ref()),
        _ => None,
    });
    chunks.collect::<Vec<_>>().concat()
}

#[test]
fn the_upstream_gets_the_original_bytes() {
    let gzipped = gzip(r#"{"t":"a","x":[1,2,3]}"#);
    for size in [1, 7, gzipped.len()] {
        let budget = Budget::new(1 << 20);
        let mut machine = machine_of(DECODING, BodyMode::Duplex, &budget);
        let mut replies = machine.on(gzip_head()).unwrap();
        let chunks: Vec<_> = gzipped.chunks(size).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            replies.extend(machine.on(part(chunk, index + 1 == chunks.len())).unwrap());
        }
        assert_eq!(machine.decision(), Some(ON_A));
        assert_eq!(sent_back(&replies), gzipped);
        drop(machine);
        assert_eq!(budget.used(), 0);
    }
    let mut machine = machine_of(DECODING, BodyMode::Buffered, &Budget::new(1 << 20));
    machine.on(gzip_head()).unwrap();
    let answered = HeadMutation { decision: Some(ON_A), ..HeadMutation::default() };
    assert_eq!(machine.on(part(&gzipped, true)).unwrap(), [Reply::Body(answered)]);
}

#[test]
fn a_second_key_behind_the_first_ends_the_request() {
    let gzipped = gzip(&format!(r#"{{"t":"a","x":"{}","t":"b"}}"#, random_text(40_000)));
    let mut machine = machine_of(DECODING, BodyMode::Duplex, &Budget::new(1 << 20));
    let mut replies = machine.on(gzip_head()).unwrap();
    for chunk in gzipped.chunks(4096) {
        replies.extend(machine.on(part(chunk, false)).unwrap());
    }
    assert_eq!(machine.decision(), Some(ON_A), "released before its end");
    assert_eq!(replies.last(), immediate(400, Reason::KeyDuplicated).first());
    assert!(sent_back(&replies).len() < gzipped.len(), "the upstream has no whole body");
}

#[test]
fn a_body_cut_off_behind_its_key_ends_the_request() {
    let gzipped = gzip(&format!(r#"{{"t":"a","x":"{}"}}"#, random_text(40_000)));
    let mut machine = machine_of(DECODING, BodyMode::Duplex, &Budget::new(1 << 20));
    machine.on(gzip_head()).unwrap();
    machine.on(part(&gzipped[..8192], false)).unwrap();
    assert_eq!(machine.decision(), Some(ON_A));
    let replies = machine.on(part(&gzipped[8192..gzipped.len() - 1], true)).unwrap();
    assert_eq!(replies, immediate(400, Reason::BodyEncodingMalformed));
}

#[test]
fn the_decoder_counts_against_the_budget() {
    let gzipped = gzip(&format!(r#"{{"x":"{}","t":"a"}}"#, random_text(10_000)));
    let budget = Budget::new(1 << 20);
    let mut machine = machine_of(DECODING, BodyMode::Duplex, &budget);
    machine.on(gzip_head()).unwrap();
    machine.on(part(&gzipped[..100], false)).unwrap();
    assert_eq!(budget.used(), 100 + COST + (64 << 10));
    assert_eq!(machine.reserved_bytes(), budget.used());
    let replies = machine.on(part(&gzipped[100..], true)).unwrap();
    let sent = sent_back(&replies).len();
    assert_eq!((sent, budget.used() <= sent as u64), (gzipped.len(), true), "the decoder is gone");

    let mut machine = machine_of(DECODING, BodyMode::Duplex, &Budget::new(32 << 10));
    machine.on(gzip_head()).unwrap();
    assert_eq!(machine.on(part(&gzipped[..100], false)).unwrap(), []);
    assert_eq!(machine.shortfall(), 64 << 10);
    assert_eq!(machine.on(Event::NoRoom).unwrap(), immediate(503, Reason::Overloaded));

    // The budget is used up only after the release.
    let gzipped = gzip(&format!(r#"{{"t":"a","x":"{}"}}"#, random_text(40_000)));
    let mut machine = machine_of(DECODING, BodyMode::Duplex, &Budget::new(32 << 10));
    machine.on(gzip_head()).unwrap();
    machine.on(part(&gzipped[..8192], false)).unwrap();
    assert_eq!((machine.decision(), machine.shortfall()), (Some(ON_A), 64 << 10));
    assert_eq!(machine.on(Event::NoRoom).unwrap(), immediate(503, Reason::Overloaded));
    assert_eq!(machine.shortfall(), 0);
}

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A clock that goes on by 400 milliseconds whenever it is read.
fn clock() -> Duration {
    NOW.set(NOW.get() + Duration::from_millis(400));
    NOW.get()
}

#[test]
fn a_body_that_takes_too_long_is_refused() {
    let config = cellgate_config::from_json(DECODING, "test.json").unwrap();
    let decider = Decider::with_clock(config, Tier::Service, clock);
    let mut machine = StateMachine::new(decider, BodyMode::Duplex, Budget::new(1 << 20).reservation());
    machine.on(gzip_head()).unwrap();
    let gzipped = gzip(&format!(r#"{{"x":"{}","t":"a"}}"#, random_text(20_000)));
    assert_eq!(machine.on(part(&gzipped, false)).unwrap(), immediate(413, Reason::BodyDecodeTime));
}

/// Hexadecimal digits: they compress to a half.
fn random_text(length: usize) -> String {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_digit((state >> 60) as u32, 16).unwrap()
    };
    (0..length).map(|_| next()).collect()
}
