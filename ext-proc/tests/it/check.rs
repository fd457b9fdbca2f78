//! `cellgate check`, and the command line itself.

use crate::support::{CONFIG, file, run};

#[test]
fn good_files_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "a.yaml", CONFIG);
    let json = r#"{"routing_header":"x-cell","cells":["a"],"key":[{"header":"t"}],"placement":{"default":"a"}}"#;
    let other = file(directory.path(), "b.json", json);
    let expected = format!("{path}: ok (2 cells, 2 sources)\n{other}: ok (1 cell, 1 source)\n");
    assert_eq!(run(&["check", &path, &other]), (0, expected, String::new()));
}

#[test]
fn each_error_has_its_place_and_the_others_are_still_checked() {
    let directory = tempfile::tempdir().unwrap();
    let good = file(directory.path(), "good.yaml", CONFIG);
    let bad = file(directory.path(), "bad.yaml", &format!("{CONFIG}limits: {{ depth: none }}\n"));
    let (code, out, err) = run(&["check", &bad, &good, "/nowhere/at-all.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(out, format!("{good}: ok (2 cells, 2 sources)\n"));
    assert!(err.contains(&format!("{bad}:10:")) && err.contains("limits.depth: expected"), "{err}");
    assert!(err.contains("/nowhere/at-all.yaml: No such file"), "{err}");
}

#[test]
fn bytes_that_are_no_text_have_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.yaml");
    std::fs::write(&path, b"cells: [\xff]\n").unwrap();
    let path = path.to_str().unwrap();
    let expected = format!("{path}: byte 8: not UTF-8\n");
    for (arguments, code) in [
        (&["check", path][..], 1),
        (&["render", path], 78),
        (&["decide", "--config", path], 78),
        (&["serve", "--config", path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], 78),
    ] {
        let (actual, out, err) = run(arguments);
        assert_eq!((actual, out.as_str(), err.as_str()), (code, "", expected.as_str()), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_data() {
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
fn wrong_usage_is_64() {
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
