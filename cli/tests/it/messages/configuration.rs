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
    assert!(cases > 140, "{cases} cases");
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
    transcript.section("Good files");
    transcript.run("check good.yaml shadow.yaml underscore.yaml element.yaml upper.yaml");
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
    transcript.check("configuration-files.txt");
}
