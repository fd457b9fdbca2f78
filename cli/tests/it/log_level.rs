//! `cellgate log-level` as a process, with a running service.

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{CONFIG, Running, file, run};

const TOKEN: &str = "token-of-the-test-4711";

fn service() -> (Running, String, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let token = file(directory.path(), "token", TOKEN);
    let service = Running::start(&config, &["--admin-token-file", &token]);
    (service, token, directory)
}

#[test]
fn the_level_is_shown_changed_and_reset() {
    let (service, token, _directory) = service();
    let ask = |rest: &[&str]| run(&[&["log-level", "--admin", &service.admin, "--token-file", &token], rest].concat());
    assert_eq!(ask(&[]), (0, "level  info\nstart  info, in force\n".to_owned(), String::new()));
    let (code, out, err) = ask(&["info,cellgate_ext_proc=debug", "--for", "1h"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("level  info,cellgate_ext_proc=debug\nstart  info, comes back in "), "{out}");
    let (code, out, _) = ask(&["--output", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["level"]), (0, &"info,cellgate_ext_proc=debug".into()));
    assert!(document["returns_in_seconds"].as_u64().unwrap() > 3000, "{document}");
    let (_, inspected, _) = run(&["inspect", &service.admin]);
    let line = inspected.lines().find(|line| line.starts_with("log level")).unwrap();
    assert!(line.starts_with("log level    info,cellgate_ext_proc=debug, and info again in "), "{line}");
    assert_eq!(ask(&["--reset"]).1, "level  info\nstart  info, in force\n");
}

#[test]
fn without_the_token_nothing_is_changed() {
    let (service, token, directory) = service();
    let other = file(directory.path(), "other", "another-token-of-nobody");
    let ask = |rest: &[&str]| run(&[&["log-level", "--admin", &service.admin], rest].concat());
    for rest in [&["debug"][..], &["debug", "--token-file", &other], &["--reset", "--token-file", &other]] {
        let (code, out, err) = ask(rest);
        assert_eq!((code, out.as_str()), (69, ""), "{err}");
        assert!(err.contains("--admin-token-file"), "{err}");
    }
    assert_eq!(ask(&["--token-file", &token]).1, "level  info\nstart  info, in force\n");
}
