//! Very many tiny compressed messages set up one decompressor.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/allocations.rs"]
mod allocations;

use std::io::Write;

use allocations::allocated;
use cellgate_routing::{Decider, HeadResult, Tier};
use flate2::write::{GzEncoder, ZlibEncoder};

const CONFIG: &str = r#"{
    "routing_header": "x-cell", "cells": ["a"], "key": [{"protobuf": "1"}], "placement": {"exact": {"acme": "a"}}
}"#;

/// Each message had a decompressor of its own: 43 KB were allocated for 20 bytes.
#[test]
fn the_messages_of_a_call_share_a_decompressor() {
    let decider = Decider::new(cellgate_config::from_json(CONFIG, "test.json").unwrap(), Tier::Service);
    let gzip = |message: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |message: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    };
    for (encoding, compress) in [("gzip", &gzip as &dyn Fn(&[u8]) -> Vec<u8>), ("deflate", &zlib)] {
        let frame = |message: &[u8]| {
            let compressed = compress(message);
            [&[1][..], &u32::try_from(compressed.len()).unwrap().to_be_bytes(), &compressed].concat()
        };
        let head = [(":method", "POST"), ("content-type", "application/grpc"), ("grpc-encoding", encoding)];
        let HeadResult::NeedsBody(mut reading) = decider.open(&head[..], false) else { panic!("decided at the head") };
        reading.push(&frame(b"")).unwrap();
        let tiny = [frame(b""), frame(b"\x12\x01x")].concat();
        let (_, bytes, ()) = allocated(|| (0..1000).for_each(|_| reading.push(&tiny).unwrap()));
        // Each message has a stack of its own for its fields.
        assert!(bytes <= 2000 * 64, "{encoding}: {bytes} bytes");
        reading.push(&frame(b"\x0a\x04acme")).unwrap();
        assert_eq!(reading.finish().reason.label(), "exact", "{encoding}");
    }
}
