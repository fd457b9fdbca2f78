//! A refused configuration: the message for every mistake, and how several mistakes are listed.
//!
//! `fixtures/messages/` has the messages beside the text that provokes each. A block is the wrong text and, indented, the
//! message. The first part of a file's name is the format. `UPDATE=1` writes the messages again, so a change of any
//! message shows as a change of these files. To add a case, add its text, and any indented line below it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;

use cellgate_config::ConfigError;
use cellgate_routing::Config;

const YAML: [&str; 4] = [
    "routing_header: x-cell",
    "cells: [cell-a, cell-b]",
    "key: [{ json: /tenant/id }]",
    "placement: { default: cell-a }",
];

const JSON: [&str; 4] = [
    r#""routing_header": "x-cell""#,
    r#""cells": ["cell-a", "cell-b"]"#,
    r#""key": [{ "json": "/tenant/id" }]"#,
    r#""placement": { "default": "cell-a" }"#,
];

/// Replaces the line of a valid configuration that sets the same field, or appends the wrong text as line 5.
fn insert<'a>(valid: [&'a str; 4], wrong: &'a str) -> Vec<&'a str> {
    let field = |line: &'a str| line.split_once(':').map(|(field, _)| field);
    let mut lines = valid.to_vec();
    match lines.iter_mut().find(|line| field(line) == field(wrong)) {
        Some(line) => *line = wrong,
        None => lines.push(wrong),
    }
    lines
}

/// The configuration in YAML with one field replaced.
fn yaml_field(wrong: &str) -> Result<Config, ConfigError> {
    cellgate_config::from_yaml(&insert(YAML, wrong).join("\n"), "bad.yaml")
}

/// The configuration in JSON with one field replaced.
fn json_field(wrong: &str) -> Result<Config, ConfigError> {
    cellgate_config::from_json(&format!("{{{}}}", insert(JSON, wrong).join(",\n")), "bad.json")
}

/// A whole YAML document, written as a JSON string.
fn yaml_document(text: &str) -> Result<Config, ConfigError> {
    cellgate_config::from_yaml(&serde_json::from_str::<String>(text).unwrap(), "bad.yaml")
}

/// A whole JSON document, written as a JSON string.
fn json_document(text: &str) -> Result<Config, ConfigError> {
    cellgate_config::from_json(&serde_json::from_str::<String>(text).unwrap(), "bad.json")
}

/// Compares each message of a file with the one that the parser gives, or writes the file if `UPDATE` is set. The number
/// of cases is fixed here, so that none is lost from a file unseen.
fn check(name: &str, cases: usize, parse: fn(&str) -> Result<Config, ConfigError>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages").join(format!("{name}.txt"));
    let committed = std::fs::read_to_string(&path).unwrap();
    let inputs: Vec<_> = committed.split("\n\n").filter_map(|block| block.lines().next()).collect();
    assert_eq!(inputs.len(), cases, "{name}.txt: cases were added or removed");
    let blocks: Vec<_> = inputs
        .into_iter()
        .map(|input| match parse(input) {
            Ok(_) => panic!("{name}.txt: accepted: {input}"),
            Err(error) => format!("{input}\n  {}\n", error.to_string().replace('\n', "\n  ")),
        })
        .collect();
    let current = blocks.join("\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
        return;
    }
    for (found, expected) in current.split("\n\n").zip(committed.split("\n\n")) {
        assert_eq!(found, expected, "{name}.txt; UPDATE=1 writes it");
    }
    assert!(current == committed, "{name}.txt is not in the form that UPDATE=1 writes");
}

#[test]
fn a_wrong_field_in_yaml_has_its_message() {
    for (name, cases) in [
        ("yaml-fields", 13),
        ("yaml-routing-header", 7),
        ("yaml-cells", 6),
        ("yaml-scope", 12),
        ("yaml-sources", 42),
        ("yaml-claims", 10),
        ("yaml-xml", 12),
        ("yaml-placement", 24),
        ("yaml-pointers", 6),
        ("yaml-accept", 4),
        ("yaml-policy", 11),
        ("yaml-decided-by", 8),
        ("yaml-limits", 11),
        ("yaml-rate-limits", 88),
        ("yaml-sync", 13),
        ("yaml-descriptor-limits", 36),
    ] {
        check(name, cases, yaml_field);
    }
}

#[test]
fn a_wrong_field_in_json_has_its_message() {
    check("json-fields", 21, json_field);
}

#[test]
fn a_text_that_is_not_a_document_has_its_message() {
    check("yaml-documents", 18, yaml_document);
    check("json-documents", 26, json_document);
}

#[test]
fn problems_are_listed_in_the_order_of_the_text() {
    let text = "\
routing_header: host
cells: [cell-a, cell-a]
key:
  - header: x-cellgate-key
  - cookie: a b
placement:
  overrides:
    acme: cell-z
  default: cell-a
policy:
  override: { reject: 400 }
";
    let error = cellgate_config::from_yaml(text, "many.yaml").unwrap_err();
    assert_eq!(
        error.to_string().lines().map(|line| line.split_inclusive(": ").take(2).collect()).collect::<Vec<String>>(),
        [
            "many.yaml:1:17: routing_header: ",
            "many.yaml:2:17: cells[1]: ",
            "many.yaml:4:13: key[0].header: ",
            "many.yaml:5:13: key[1].cookie: ",
            "many.yaml:8:11: placement.overrides.acme: ",
            "many.yaml:11:3: policy.override: ",
        ]
    );
    assert_eq!(error.problems().len(), 6);
    assert_eq!(error.file(), "many.yaml");
}

#[test]
fn at_most_twenty_problems_are_listed() {
    let cells: Vec<_> = (0..100).map(|_| "\"no name\"").collect();
    let text =
        format!("routing_header: x-cell\ncells: [{}]\nkey: [{{json: /a}}]\nplacement: {{default: a}}", cells.join(","));
    let error = cellgate_config::from_yaml(&text, "flood.yaml").unwrap_err();
    assert_eq!(error.problems().len(), 20);
    assert!(error.to_string().ends_with("(and 179 more problems)"), "{error}");
}
