//! `cellgate probe` accepts a correct chain and reports the faults of others.

use std::process::Output;

use cellgate_tests::artifacts;
use cellgate_tests::options::{Chain, Options, Underscores, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::connection_manager;

/// For `Options::adjust`: the route of each cell responds with the cell's name, like the probe's own routes.
fn answers_by_name(bootstrap: &mut Value) {
    let routes = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"];
    for route in routes.as_array_mut().unwrap() {
        let cell = route["match"]["headers"][0]["string_match"]["exact"].clone();
        if !cell.is_null() {
            route.as_object_mut().unwrap().remove("route");
            route["direct_response"] = json!({"status": 200, "body": {"inline_string": cell}});
        }
    }
}

/// Runs the probe with this configuration.
async fn probe(stack: &Stack, config: &Value, deadline: &str, more: &[&str]) -> (i32, Vec<String>) {
    let file = stack.directory().join("probe.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new(artifacts::cellgate().unwrap());
    command.arg("probe").arg("--config").arg(&file).arg("--url").arg(format!("http://{}", stack.address()));
    let host: &[&str] = if more.contains(&"--host") { &[] } else { &["--host", "probe.test"] };
    command.args(host).args(["--deadline", deadline]).args(more);
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    let lines = String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect();
    (status.code().unwrap(), lines)
}

fn failed(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.starts_with("FAIL")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_chain_passes_every_check() {
    let stack = Stack::start(Options::default().adjust(answers_by_name)).await;
    let (code, lines) = probe(&stack, &sample_config(), "20s", &[]).await;
    assert_eq!((code, failed(&lines)), (0, Vec::new()), "{lines:#?}");
    let ok: Vec<&String> = lines.iter().filter(|line| line.starts_with("ok")).collect();
    // Three cells, each with and without a client's own header; a name with an underscore; no key; a large body.
    assert_eq!(ok.len(), 9, "{lines:#?}");
    assert!(lines[1].contains(r#"cell-b: reached by "acme" in json /tenant/id"#), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("without a key") && line.contains("refused with 400")), "{lines:#?}");
    assert_eq!(stack.ext_proc_streams().await, 1, "the service decides only the large body");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_and_scope_is_probed_by_its_own_requests() {
    for (key, scope) in [
        (json!([{"header": "authorization", "value": "Bearer sk_{key}_*"}]), json!({})),
        (json!([{"query": "p", "then": {"json": "/t"}}, {"cookie": "s", "then": {"json": "/t"}}]), json!({})),
        (json!([{"form": "t"}]), json!({"methods": ["PUT"]})),
        (json!([{"header": "x-tenant"}]), json!({"paths": ["/api/"]})),
        (json!([{"query": "t"}, {"json": "/t"}]), json!({"hosts": ["example.com", "probe.test"]})),
        (json!([{"cookie": "t"}]), json!({})),
        (json!([{"path": "/*/{key}"}]), json!({"methods": ["GET"], "paths": ["/orgs/"]})),
    ] {
        let mut config = sample_config();
        config["key"] = key.clone();
        if scope != json!({}) {
            config["applies_to"] = scope;
        }
        let stack = Stack::start(Options::default().config(config.clone()).adjust(answers_by_name)).await;
        let (code, lines) = probe(&stack, &config, "20s", &[]).await;
        assert_eq!((code, failed(&lines)), (0, Vec::new()), "{key}: {lines:#?}");
    }
}

/// Only hosts of the probe's own routes are used: the routes of other hosts may lead to a cell.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_host_is_probed_with_a_pattern_of_hosts() {
    let mut config = sample_config();
    config["key"] = json!([{"host": "{key}.probe.test"}]);
    config["applies_to"] = json!({"hosts": ["*.probe.test", "probe.test"]});
    let stack = Stack::start(Options::default().config(config.clone()).adjust(answers_by_name)).await;
    let (code, lines) = probe(&stack, &config, "20s", &["--host", "*.probe.test"]).await;
    assert_eq!((code, failed(&lines)), (0, Vec::new()), "{lines:#?}");
    assert!(lines[1].contains(r#"ok    cell-b: reached by "acme" in host {key}.probe.test"#), "{lines:#?}");
    let (_, lines) = probe(&stack, &config, "1s", &["--no-deferral"]).await;
    assert!(lines[0].contains("skip  cell-a: no request can be made for any of its keys"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_filter_the_probe_reports_a_spoofed_header() {
    let options = Options::default().chain(Chain::Plain).underscores(Underscores::Allow).adjust(answers_by_name);
    let stack = Stack::start(options).await;
    let (code, lines) = probe(&stack, &sample_config(), "500ms", &["--no-deferral"]).await;
    assert_eq!(code, 1);
    let failed = failed(&lines);
    assert!(failed[0].contains("expected 200 from cell-a, for 500ms; got 421"), "{lines:#?}");
    let spoofed = "still reached with a client's own x-cell: cell-b: expected 200 from cell-a; got 200 \"cell-b\"";
    assert!(failed.iter().any(|line| line.contains(spoofed)), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "skip  a large body: --no-deferral"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_with_another_configuration_is_reported() {
    let stack = Stack::start(Options::default().adjust(answers_by_name)).await;
    let mut config = sample_config();
    config["placement"]["exact"]["acme"] = json!("cell-c");
    config["placement"]["exact"]["globex"] = json!("cell-b");
    let (code, lines) = probe(&stack, &config, "500ms", &["--key", "cell-c=acme"]).await;
    assert_eq!(code, 1);
    let wrong =
        "cell-c: reached by \"acme\" in json /tenant/id: expected 200 from cell-c, for 500ms; got 200 \"cell-b\"";
    assert!(failed(&lines).iter().any(|line| line.contains(wrong)), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_the_service_fails_the_large_body_only() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).adjust(answers_by_name)).await;
    let (code, lines) = probe(&stack, &sample_config(), "2s", &[]).await;
    let failed = failed(&lines);
    assert_eq!((code, failed.len()), (1, 1), "{lines:#?}");
    assert!(failed[0].contains("through the service: expected 200 from cell-a"), "{lines:#?}");
}
