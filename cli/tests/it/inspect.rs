//! `cellgate inspect` as a process, with running services.

use serde_json::Value;

use crate::support::{CONFIG, Running, file, run};

/// The value of a line of the report.
fn value<'a>(report: &'a str, label: &str) -> &'a str {
    report.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("no {label}: {report}")).trim()
}

#[test]
fn it_shows_the_digest_that_check_and_sha256sum_print() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let service = Running::start(&config, &[]);
    let (code, out, err) = run(&["inspect", &service.admin]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(value(&out, "service"), format!("http://{}", service.admin));
    assert_eq!(value(&out, "ready"), "yes");
    assert!(value(&out, "config").starts_with("one, loaded 20"), "{out}");
    assert!(value(&out, "config").ends_with(&format!(" from {config}")), "{out}");
    assert_eq!(value(&out, "byte budget"), "0 bytes of 512 MiB (0 %), 0 streams wait");
    let digest = value(&out, "digest");
    let (_, checked, _) = run(&["check", &config]);
    assert!(checked.ends_with(&format!(", {digest}\n")), "{checked}");
    let summed = std::process::Command::new("sha256sum").arg(&config).output().unwrap();
    let summed = String::from_utf8(summed.stdout).unwrap();
    assert_eq!(digest, format!("sha256:{}", summed.split(' ').next().unwrap()));
}

#[test]
fn json_is_the_document_of_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let service = Running::start(&file(directory.path(), "a.yaml", CONFIG), &[]);
    let url = format!("http://{}", service.admin);
    for arguments in [&["inspect", &url, "--json"][..], &["inspect", &url, "--output", "json"]] {
        let (code, out, _) = run(arguments);
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &document["config"]["version"]), (0, &"one".into()), "{out}");
        assert_eq!(document["limits"]["message_bytes"], 64 << 20);
    }
}

#[test]
fn services_that_differ_are_found_and_the_others_are_still_shown() {
    let directory = tempfile::tempdir().unwrap();
    let old = file(directory.path(), "old.yaml", CONFIG);
    let new = file(directory.path(), "new.yaml", &CONFIG.replace("version: one", "version: two"));
    let services = [&old, &old, &new].map(|config| Running::start(config, &[]));
    let [one, two, other] = &services;
    let (code, out, _) = run(&["inspect", &one.admin, &two.admin]);
    assert_eq!(code, 0, "{out}");
    assert!(!out.contains("differ"), "{out}");
    let (code, out, err) = run(&["inspect", &one.admin, &two.admin, &other.admin]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let expected = format!(
        "The services differ in their config version: one (http://{}, http://{}); two (http://{})\n",
        one.admin, two.admin, other.admin
    );
    assert!(out.contains(&expected) && out.contains("The services differ in their config digest: sha256:"), "{out}");
    let (code, out, _) = run(&["inspect", "--json", &one.admin, &other.admin]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, document["differences"].as_array().unwrap().len()), (1, 2), "{out}");
    assert_eq!(document["services"][1]["service"]["config"]["version"], "two");

    // One that cannot be reached does not hide the others.
    let gone = Running::start(&old, &[]).admin.clone();
    let (code, out, err) = run(&["inspect", &gone, &one.admin]);
    assert_eq!((code, value(&out, "ready")), (69, "yes"), "{out}");
    assert!(err.starts_with(&format!("http://{gone}/inspect: cannot connect: ")), "{err}");
}
