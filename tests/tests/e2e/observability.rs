//! Statistics, metrics and logs show each decision, and never a key or a body.

use cellgate_tests::artifacts;
use cellgate_tests::client::Request;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{counted, key_first, key_last};
use crate::upload::{Framing, Upload};

/// The stats tags of `examples/envoy/two-tier.yaml`, which turn parts of counter names into labels.
fn options() -> Options {
    Options::default().buffer_limit(32 * 1024).adjust(|bootstrap| {
        let tag = |name: &str, regex: &str| json!({"tag_name": name, "regex": regex});
        bootstrap["stats_config"] = json!({"stats_tags": [
            tag("cellgate_outcome", r"^wasmcustom\.cellgate\.decisions(\.([a-z]+))\."),
            tag("cellgate_reason", r"^wasmcustom\.cellgate\.decisions\.?[a-z]*(\.([a-z0-9_]+))$"),
        ]});
    })
}

/// Sends one request that the filter decides, one that it rejects, and one that it defers to the service.
async fn traffic(stack: &Stack, tenant: &str) {
    let spoofed = Request::post("/decided").header("x-cell", "cell-c").json(key_first(tenant, 100));
    stack.send(&spoofed).await;
    stack.post_json("/refused", format!(r#"{{"tenant":{{"id":"{tenant}"}}"#)).await;
    stack.post_json("/deferred", key_last(tenant, 200_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_counts_decisions_in_envoys_statistics() {
    let stack = Stack::start(options()).await;
    traffic(&stack, "acme").await;
    for (name, count) in [
        ("decisions.cell.exact", 1),
        ("decisions.reject.body_truncated", 1),
        ("decisions.defer.body_too_large", 1),
        ("deferrals.stream", 1),
        ("stripped_headers", 1),
    ] {
        counted(&stack, name, count).await;
    }
    stack.admin().wait_for_stat("wasmcustom.cellgate.inspected_bytes", |bytes| bytes > 100).await;
    let prometheus = stack.admin().get("/stats/prometheus?filter=cellgate").await.unwrap().text();
    for line in [
        r#"cellgate_decisions{cellgate_outcome="cell",cellgate_reason="exact"} 1"#,
        r#"cellgate_decisions{cellgate_outcome="reject",cellgate_reason="body_truncated"} 1"#,
        r#"cellgate_decisions{cellgate_outcome="defer",cellgate_reason="body_too_large"} 1"#,
    ] {
        assert!(prometheus.lines().any(|found| found == line), "{line} is not in\n{prometheus}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_counts_what_it_decides() {
    let stack = Stack::start(options()).await;
    traffic(&stack, "acme").await;
    let service = stack.ext_proc();
    let decided = r#"cellgate_decisions_total{outcome="cell",reason="exact",tier="service"}"#;
    assert_eq!(service.metric(decided).await.unwrap(), 1.0);
    assert_eq!(service.metric("cellgate_inspected_bytes_total").await.unwrap(), 200_000.0);
    assert_eq!(service.metric("cellgate_decision_seconds_count").await.unwrap(), 1.0);
    assert_eq!(service.metric(r#"cellgate_config_info{version="sample"}"#).await.unwrap(), 1.0);
    assert_eq!(service.get("/version").await.unwrap().json()["config"]["version"], "sample");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_has_each_tiers_decision() {
    let stack = Stack::start(options()).await;
    traffic(&stack, "acme").await;
    for (path, filter, service, cell) in [
        ("/decided", "cell=cell-b;reason=exact", "", "cell-b"),
        ("/refused", "reject=400;reason=body_truncated", "", ""),
        ("/deferred", "defer=stream;reason=body_too_large", "exact", "cell-b"),
    ] {
        let line = stack.envoy().access_line(path).await;
        assert_eq!((line.decision(), line.text("service"), line.text("cell")), (filter, service, cell), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_has_the_services_refusals_and_late_conflicts() {
    let stack = Stack::start(options()).await;
    let missing = key_last("acme", 200_000).replace("tenant", "nobody");
    assert_eq!(stack.post_json("/missing", missing).await.status, 400);
    let line = stack.envoy().access_line("/missing").await;
    assert_eq!((line.code(), line.text("details")), (400, "cellgate_key_missing"));
    assert_eq!(line.text("service"), "key_missing");

    let body = key_first("acme", 200_000).replace(r#""}"#, r#"""#);
    let mut upload = Upload::open(&stack, Framing::Http1Chunked, "/conflict", body.len()).await;
    upload.send(body.as_bytes()).await;
    assert_eq!(upload.finish().await.unwrap().status, 400);
    let line = stack.envoy().access_line("/conflict").await;
    assert_eq!(line.decision(), "reject=400;reason=body_truncated;after=cell-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_names_the_last_request_that_the_service_refused() {
    let stack = Stack::start(options()).await;
    let missing = key_last("acme", 200_000).replace("tenant", "nobody");
    let request = Request::post("/missing").header("x-request-id", "e2e-request-7").json(missing);
    assert_eq!(stack.send(&request).await.status, 400);
    let admin = stack.ext_proc().addresses().admin.to_string();
    let mut program = tokio::process::Command::new(artifacts::cellgate().unwrap());
    let output = program.args(["inspect", &admin]).output().await.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    let refusal = report.lines().find(|line| line.starts_with("refusals")).unwrap();
    assert!(refusal.contains("key_missing  1, last at 20"), "{report}");
    assert!(refusal.ends_with(" with 400, request e2e-request-7"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_or_statistic_contains_a_key_or_body_bytes() {
    const KEY: &str = "marker-key-7f3a";
    const BODY: &str = "marker-body-91bc";
    let stack = Stack::start(options().service_option("--log-level", "debug")).await;
    traffic(&stack, KEY).await;
    for (body, content_type) in [
        (format!(r#"{{"tenant":{{"id":"{KEY}"}},"x":"{BODY}"}}"#), "application/json"),
        (format!(r#"{{"tenant":{{"id":"{KEY}","id":"{BODY}"}}}}"#), "application/json"),
        (format!(r#"{{"tenant":{{"id":"{KEY}"}},{BODY}"#), "application/json"),
        (format!("tenant_id={KEY}&x={BODY}"), "application/x-www-form-urlencoded"),
        (format!("{BODY} {KEY}"), "text/plain"),
    ] {
        stack.send(&Request::post("/small").header("content-type", content_type).body(body.clone())).await;
        let padded = format!("{}{body}", " ".repeat(100_000));
        stack.send(&Request::post("/large").header("content-type", content_type).body(padded)).await;
    }
    // This line is written after all others.
    stack.get("/last").await;
    stack.envoy().access_line("/last").await;
    let mut seen = stack.admin().get("/stats").await.unwrap().text();
    seen.push_str(&stack.ext_proc().get("/metrics").await.unwrap().text());
    let inspected = stack.ext_proc().get("/inspect").await.unwrap();
    assert!(inspected.json()["refusals"].as_array().unwrap().len() > 1, "{}", inspected.text());
    seen.push_str(&inspected.text());
    for file in ["envoy.log", "access.log", "cellgate.log"] {
        seen.push_str(&std::fs::read_to_string(stack.directory().join(file)).unwrap());
    }
    // The logs exist and have the decisions.
    assert!(seen.contains("body_malformed") && seen.contains("key_duplicated") && seen.contains("\"DEBUG\""), "{seen}");
    for marker in [KEY, BODY] {
        let line = seen.lines().find(|line| line.contains(marker));
        assert_eq!(line, None);
    }
}
