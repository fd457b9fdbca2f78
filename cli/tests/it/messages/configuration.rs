//! Configurations that are refused. The cases are in the fixture itself: a line that is not indented is an input, and the
//! indented lines behind it are the messages. To add a case, add its line and run the test with `UPDATE=1`.

use std::path::Path;

use super::{Transcript, compare};
use crate::support::{file, run};

const NAME: &str = "configuration.txt";

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

/// Rate limits that are valid, and probably mistakes.
const LIMITS_IN_VAIN: &str = "\
routing_header: x-cell
cells: [a, b, c]
applies_to: { methods: [POST], paths: [/v1/] }
key: [{ json: /t, case: lower }]
placement: { exact: { x: b }, slots: { weights: { a: 1, b: 0, c: 0 } } }
shadow: true
rate_limits:
  - { name: by-key, key: [routing_key], plans: { free: 5/s, pro: 9/s }, plan_of: { Acme: free, x: free }, overrides: { x: 2/s } }
  - { name: by-plan, key: [{ header: x_key }], plans: { free: 5/s }, plan_from: { claim: /plan } }
  - { name: carried, key: [{ json: /items/0/id }], limit_from: { claim: /limit, at_most: 100/s } }
  - { name: elsewhere, key: [], limit: 1/s, applies_to: { methods: [GET], paths: [/v2/], cells: [a, b, c] } }
  - { name: sized, key: [], limit: 5/s, cost: { content_length: 1KiB, otherwise: 6 } }
  - { name: counted, key: [], limit: 5/s, cost: { header: x-cost, at_most: 10, otherwise: 6 } }
  - { name: high, key: [cell], limit: 100/s }
  - { name: low, key: [cell], limit: 50/s }
  - { name: by-address, key: [client_address], limit: 1/s, overrides: { '2001:DB8::1': 9/s, '192.0.2.1:80': 9/s } }
concurrency_limits:
  - { name: in-flight, key: [{ json: /items/0/id }], at_most: 20, applies_to: { methods: [GET], cells: [a, c] } }
";

/// Leases that save no call.
const LEASES_IN_VAIN: &str = "\
routing_header: x-cell
cells: [a, b]
key: [{ json: /t }]
placement: { slots: {} }
sync: { cluster: cellgate }
rate_limits:
  - { name: small, key: [cell, method], limit: 3/s, lease: true }
  - { name: costly, key: [cell, method], limit: 10/s, cost: 6, lease: true }
  - { name: sized, key: [{ json: /user }], limit: 9/s, cost: { json: /size, at_most: 4, otherwise: 1 }, lease: true }
  - { name: judged, key: [routing_key], limit: 7/s, lease: true, applies_to: { paths: [/v1/] } }
  - { name: judge, key: [cell], limit: 500/s, applies_to: { paths: [/v1/] } }
";

/// Settlements that change nothing, or that cannot be meant. The first two limits count different units.
const SETTLEMENTS_IN_VAIN: &str = "\
routing_header: x-cell
cells: [a]
key: [{ json: /t }]
placement: { default: a }
rate_limits:
  - { name: requests, key: [routing_key], limit: 100/s, cost: 10 }
  - { name: tokens, key: [routing_key], limit: 1000/s, cost: 10, settle: { response_header: x-tokens, at_most: 1000 } }
  - { name: small-burst, key: [method], limit: 100/s, cost: 10, settle: { response_header: x-tokens, at_most: 100000 } }
  - { name: no-estimate, key: [cell], limit: 1000000/h, settle: { response_header: x-tokens, at_most: 100000 } }
  - { name: low-at-most, key: [peer], limit: 1000000/h, cost: 500, settle: { response_trailer: x-tokens, at_most: 100 } }
  - { name: routing, key: [], limit: 1000000/h, cost: 500, settle: { response_header: X-Cell, at_most: 1000 } }
";

/// Replaces the good line of the same field, or adds a fifth line.
fn with<'a>(good: [&'a str; 4], line: &'a str) -> Vec<&'a str> {
    let field = |line: &'a str| line.split_once(':').map(|(field, _)| field);
    let mut lines = good.to_vec();
    match lines.iter_mut().find(|good| field(good) == field(line)) {
        Some(good) => *good = line,
        None => lines.push(line),
    }
    lines
}

#[test]
fn messages_about_configurations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages").join(NAME);
    let fixture = std::fs::read_to_string(path).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let place = format!("{}/", directory.path().display());
    let (mut text, mut section, mut cases) = (String::new(), "", 0);
    for line in fixture.lines().filter(|line| !line.starts_with("    ")) {
        text += line;
        text += "\n";
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        cases += 1;
        let document = || serde_json::from_str::<String>(line).unwrap();
        let (name, content) = match section {
            "One line of a YAML file" => ("bad.yaml", with(YAML, line).join("\n")),
            "One line of a JSON file" => ("bad.json", format!("{{{}}}", with(JSON, line).join(",\n"))),
            "A whole YAML file, as a JSON string" => ("bad.yaml", document()),
            "A whole JSON file, as a JSON string" => ("bad.json", document()),
            other => panic!("{NAME}: {other}: unknown section"),
        };
        let (code, out, err) = run(&["check", &file(directory.path(), name, &content)]);
        assert_eq!((code, &*out), (1, ""), "{line}");
        for message in err.replace(&place, "").lines() {
            text += "    ";
            text += message;
            text += "\n";
        }
    }
    assert!(cases > 220, "{cases} cases");
    compare(NAME, &text);
}

#[test]
fn messages_about_files() {
    let mut transcript = Transcript::new();
    transcript.file("bytes.yaml", b"cells: [\xff]\n");
    transcript.file("bad.yaml", "cells: []\n");
    transcript.file("shadow.yaml", format!("{}shadow: true\n", crate::support::CONFIG));
    transcript.file("underscore.yaml", crate::support::CONFIG.replace("x-tenant-id", "x_tenant"));
    transcript.file("hosts.yaml", format!("{}applies_to: {{ hosts: [api.test] }}\n", crate::support::CONFIG));
    let probe = "--url http://gateway --host probe.test";
    transcript.file("element.yaml", crate::support::CONFIG.replace("/tenant/id", "/tenants/0/id"));
    transcript.file(
        "upper.yaml",
        "routing_header: x-cell\ncells: [a]\nkey: [{ json: /t, case: lower }]\nplacement: { exact: { Acme: a, ACME: a } }\n",
    );
    transcript.file("limits.yaml", include_str!("../../../../examples/rate-limits.yaml"));
    transcript.file("limits-in-vain.yaml", LIMITS_IN_VAIN);
    transcript.section("Good files");
    transcript.run("check good.yaml shadow.yaml underscore.yaml element.yaml upper.yaml");
    transcript.run("check limits.yaml limits-in-vain.yaml");
    transcript.file("leases-in-vain.yaml", LEASES_IN_VAIN);
    transcript.file("nothing-leased.yaml", format!("{}sync: {{ cluster: cellgate }}\n", crate::support::CONFIG));
    transcript.run("check leases-in-vain.yaml nothing-leased.yaml");
    transcript.file("settlements-in-vain.yaml", SETTLEMENTS_IN_VAIN);
    transcript.run("check settlements-in-vain.yaml");
    transcript.section("Files that cannot be read");
    for file in ["missing.yaml", ".", "bytes.yaml", "bad.yaml", "-"] {
        transcript.run(&format!("check {file}"));
        transcript.run(&format!("render {file}"));
        transcript.run(&format!("decide --config {file}"));
        transcript.run(&format!("probe --config {file} {probe}"));
    }
    transcript.section("Configurations that a command cannot use");
    transcript.run(&format!("probe --config shadow.yaml {probe}"));
    transcript.run(&format!("probe --config hosts.yaml {probe}"));
    transcript.file(
        "ratelimit.yaml",
        "domain: shop\ndescriptors:\n  - { key: user, value: eve, rate_limit: { unit: day, requests_per_unit: 0, replaces: [{ name: a }] } }\n",
    );
    transcript.file("bad-unit.yaml", "domain: shop\ndescriptors: [{ key: user, rate_limit: { unit: fortnight } }]\n");
    transcript.section("Configurations of envoyproxy/ratelimit");
    for file in ["ratelimit.yaml", "bad-unit.yaml", "bytes.yaml", "missing.yaml"] {
        transcript.run(&format!("limits import {file}"));
    }
    transcript.check("configuration-files.txt");
}
