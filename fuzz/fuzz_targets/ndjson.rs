//! The NDJSON scanner, with and without the fast path, against serde_json on each line, at every cut.
//!
//! The first line of the input chooses the query and the cuts, and the rest is the body.
#![no_main]

#[allow(dead_code, reason = "the property tests use all of it")]
#[path = "../../routing/tests/support/document.rs"]
mod document;
#[path = "../../routing/tests/support/oracle.rs"]
mod oracle;

use document::Choices;
use libfuzzer_sys::fuzz_target;
use oracle::{Query, expected, scanned};

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, rest) = input.split_at(line);
    let body = rest.get(1..).unwrap_or_default();
    let mut choices = Choices(line);
    let query = Query { records: true, ..choices.query() };
    let cuts = choices.cuts(body.len());

    let expected = expected(&query, body);
    assert_eq!(scanned(&query, body, &[]), expected, "whole");
    assert_eq!(scanned(&query, body, &cuts), expected, "cut at {cuts:?}");
    let bytes: Vec<usize> = (0..body.len()).collect();
    assert_eq!(scanned(&query, body, &bytes), expected, "byte by byte");
});
