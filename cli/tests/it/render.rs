//! `cellgate render` and `cellgate schema`.

use crate::support::{CONFIG, file, run};

#[test]
fn a_configuration_becomes_one_line_of_equivalent_json() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(&["render", &file(directory.path(), "a.yaml", CONFIG)]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out.lines().count(), 1);
    let config = cellgate_config::from_json(&out, "rendered").unwrap();
    assert_eq!((&*config.version, config.cells.len(), config.sources.len()), ("one", 2, 2));
}

#[test]
fn the_fields_of_a_source_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        CONFIG.replacen("key:\n", "key:\n  - { path: \"/projects/{key}\", escaped_slashes: keep, case: lower }\n", 1);
    let (code, out, err) = run(&["render", &file(directory.path(), "a.yaml", &text)]);
    assert_eq!((code, err.as_str()), (0, ""));
    let config = cellgate_config::from_json(&out, "rendered").unwrap();
    assert_eq!(config.sources[0].to_string(), "path /projects/{key}, escaped_slashes keep, case lower");
}

#[test]
fn an_invalid_file_exits_with_78_and_a_missing_one_with_66() {
    let directory = tempfile::tempdir().unwrap();
    let bad = file(directory.path(), "bad.yaml", "cells: []\n");
    let (code, out, err) = run(&["render", &bad]);
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.starts_with(&format!("{bad}:1:")), "{err}");
    assert_eq!(run(&["render", "/nowhere/at-all.yaml"]).0, 66);
}

#[test]
fn the_schema_is_a_json_schema() {
    let (code, out, err) = run(&["schema"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["routing_header"].is_object());
}
