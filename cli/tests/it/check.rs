//! `cellgate check`, and the command line itself.

use std::io::Write;
use std::process::Stdio;

use cellgate_ext_proc::config_file::digest;

use crate::support::{CONFIG, cellgate, file, result_of, run};

const JSON: &str = r#"{"routing_header":"x-cell","cells":["a"],"key":[{"header":"t"}],"placement":{"default":"a"}}"#;

/// Runs the binary with a text on its stdin.
fn run_with(arguments: &[&str], text: &str) -> (i32, String, String) {
    let mut child = cellgate(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    result_of(&child.wait_with_output().unwrap())
}

#[test]
fn good_files_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "a.yaml", CONFIG);
    let other = file(directory.path(), "b.json", JSON);
    let (first, second) = (digest(CONFIG.as_bytes()), digest(JSON.as_bytes()));
    let expected = format!("{path}: ok (2 cells, 2 sources), {first}\n{other}: ok (1 cell, 1 source), {second}\n");
    assert_eq!(run(&["check", &path, &other]), (0, expected, String::new()));
}

#[test]
fn each_error_has_its_place_and_all_files_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let good = file(directory.path(), "good.yaml", CONFIG);
    let bad = file(directory.path(), "bad.yaml", &format!("{CONFIG}limits: {{ depth: none }}\n"));
    let (code, out, err) = run(&["check", &bad, &good, "/nowhere/at-all.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(out, format!("{good}: ok (2 cells, 2 sources), {}\n", digest(CONFIG.as_bytes())));
    assert!(err.contains(&format!("{bad}:10:")) && err.contains("limits.depth: expected"), "{err}");
    assert!(err.contains("/nowhere/at-all.yaml: No such file"), "{err}");
}

#[test]
fn a_dash_is_stdin_in_yaml_or_json() {
    let pretty = JSON.replace(",\"", ",\n\t\"");
    for (text, counted) in [(CONFIG, "2 cells, 2 sources"), (JSON, "1 cell, 1 source"), (&pretty, "1 cell, 1 source")] {
        let expected = format!("<stdin>: ok ({counted}), {}\n", digest(text.as_bytes()));
        assert_eq!(run_with(&["check", "-"], text), (0, expected, String::new()));
        let (code, out, err) = run_with(&["render", "-"], text);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.starts_with('{'), "{out}");
        let (_, out, err) = run_with(&["decide", "--config", "-", "-H", "t: x"], text);
        assert_eq!(err, "");
        assert!(out.starts_with("request   GET /"), "{out}");
    }
    let (code, out, err) = run_with(&["check", "-"], &format!("{CONFIG}colour: red\n"));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("<stdin>:10:1: colour: unknown field"), "{err}");
}

/// Some editors write one.
#[test]
fn a_byte_order_mark_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("a.yaml", CONFIG), ("a.json", JSON)] {
        let path = file(directory.path(), name, &format!("\u{feff}{text}"));
        assert_eq!(run(&["check", &path]).0, 0, "{name}");
        assert_eq!(run(&["render", &path]).0, 0, "{name}");
    }
    let path = file(directory.path(), "b.json", "\u{feff}{\"colour\": 1}");
    let (code, _, err) = run(&["check", &path]);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("{path}:1:2: colour: unknown field")), "{err}");
    let path = file(directory.path(), "c.json", &format!("\u{feff}\u{feff}{JSON}"));
    assert_eq!(run(&["check", &path]).0, 1, "a second byte order mark is an error");
}

#[test]
fn a_key_header_with_an_underscore_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let text = CONFIG.replace("x-tenant-id", "x_tenant");
    let path = file(directory.path(), "a.yaml", &text);
    let (code, out, err) = run(&["check", &path]);
    assert_eq!((code, out), (0, format!("{path}: ok (2 cells, 2 sources), {}\n", digest(text.as_bytes()))));
    assert!(err.starts_with(&format!("{path}: warning: key[1].header: \"x_tenant\" has an underscore")), "{err}");
    assert!(err.contains("REJECT_REQUEST") && err.lines().count() == 1, "{err}");
}

#[test]
fn bytes_that_are_not_utf_8_have_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.yaml");
    std::fs::write(&path, b"cells: [\xff]\n").unwrap();
    let path = path.to_str().unwrap();
    let expected = format!("{path}: byte 8: not UTF-8\n");
    for (arguments, code) in [
        (&["check", path][..], 1),
        (&["render", path], 78),
        (&["decide", "--config", path], 78),
        (&["serve", "--plain-text", "--config", path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], 78),
    ] {
        let (actual, out, err) = run(arguments);
        assert_eq!((actual, out.as_str(), err.as_str()), (code, "", expected.as_str()), "{arguments:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for (arguments, word) in [
        (&["--help"][..], "Exit codes"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["serve", "--help"], "CELLGATE_CONFIG"),
        (&["decide", "--help"], "--request"),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        assert!(out.contains(word), "{out}");
    }
}

#[test]
fn wrong_usage_exits_with_64() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["check"],
        &["serve"],
        &["serve", "--config", "x", "--listen", "nowhere"],
        &["serve", "--config", "x", "--decision-timeout", "soon"],
        &["serve", "--config", "x", "--log-level", "info,=="],
        &["serve", "--config", "x", "--log-level", "warning"],
        &["serve", "--config", "x", "--log-level", ""],
        &["serve", "--config", "x", "--decision-timeout", "0s"],
        &["serve", "--config", "x", "--max-streams", "0"],
        &["decide", "--config", "x", "--request", "a", "--body", "b"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty());
    }
}
