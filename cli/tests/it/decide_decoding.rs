//! What `cellgate decide` says of a decoded body is what the documentation shows.

use serde_json::Value;

use crate::support::{CONFIG, file, run};

const CLI: &str = include_str!("../../../docs/cli.md");
const COMPRESSED: &str = include_str!("../../../docs/formats/compressed.md");
/// An order of 200 items, whose tenant comes last.
const BODY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/order.json.gz");

/// The text without the CPU time, which differs from run to run.
fn without_time(text: &str) -> String {
    let (before, after) = text.split_once(" ms of CPU time").unwrap_or_else(|| panic!("no time: {text}"));
    let kept = before.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    assert!(kept.len() < before.len(), "{text}");
    format!("{kept}N ms of CPU time{after}")
}

fn decide(more: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "cellgate.yaml", CONFIG);
    let (kind, encoding) = ("content-type: application/json", "content-encoding: gzip");
    let arguments = ["decide", "--config", &config, "-H", kind, "-H", encoding, "--body", BODY];
    let (code, out, err) = run(&[&arguments, more].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}

#[test]
fn the_examples_are_what_it_prints() {
    let report = decide(&[]);
    let (_, example) = CLI.split_once("--body order.json.gz\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert_eq!(without_time(&report), without_time(example));
    let line = |text: &str| without_time(text.lines().find(|line| line.starts_with("decoded ")).unwrap());
    assert_eq!(line(&report), line(COMPRESSED));
}

#[test]
fn json_has_the_same_figures() {
    let found: Value = serde_json::from_str(&decide(&["--output", "json"])).unwrap();
    let decoded = &found["decoded"];
    assert_eq!(decoded["content_encoding"], "gzip");
    assert_eq!((&decoded["of"], &decoded["bytes"]), (&533.into(), &6034.into()));
    assert_eq!(decoded["memory_bytes"], 64 << 10, "{decoded}");
    let ratio = decoded["ratio"].as_f64().unwrap();
    assert!((ratio - 6034.0 / 533.0).abs() < 1e-9, "{ratio}");
    assert!(decoded["microseconds"].as_u64() > Some(0), "{decoded}");
    for name in decoded.as_object().unwrap().keys() {
        assert!(CLI.contains(&format!("`{name}`")), "docs/cli.md does not name {name}");
    }
}
