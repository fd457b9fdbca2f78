//! The configuration changes while requests run: no request fails, each is decided by one configuration, and an invalid
//! configuration is never used.

use std::sync::atomic::{AtomicBool, Ordering};

use cellgate_tests::client::Request;
use cellgate_tests::options::{Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::support::{arrived, connection_manager, key_last, read_by_envoy};

const GOOD: &str = r#"{"tenant":{"id":"acme"}}"#;

/// The sample configuration with another cell for `acme`.
fn acme_in(cell: &str) -> Value {
    let mut config = sample_config();
    config["version"] = json!(cell);
    config["placement"]["exact"]["acme"] = json!(cell);
    config
}

/// Waits until the service uses this version.
async fn service_has(stack: &Stack, version: &str) {
    let series = format!("cellgate_config_info{{version=\"{version}\"}}");
    wait::until(&series, || async { Ok((stack.ext_proc().metric(&series).await? == 1.0).then_some(())) })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_requests_are_decided_by_the_new_configuration() {
    let stack = Stack::start(Options::default()).await;
    // One request that the filter decides and one that it defers.
    let requests = [Request::post("/").json(GOOD), Request::post("/").json(key_last("acme", 3_000_000))];
    for cell in ["cell-b", "cell-c", "cell-a"] {
        stack.apply(&acme_in(cell)).await.unwrap();
        service_has(&stack, cell).await;
        for request in &requests {
            assert_eq!(stack.send(request).await.cell(), cell);
        }
    }
    assert_eq!(stack.ext_proc_streams().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_configuration_that_it_started_with() {
    let stack = Stack::start(Options::default()).await;
    let wire = Request::post("/").json(GOOD).to_http1();
    let (start, rest) = wire.split_at(wire.len() - 10);
    let mut client = stack.connect().await;
    client.write(start).await.unwrap();
    read_by_envoy(&stack, start.len()).await;

    stack.apply(&acme_in("cell-c")).await.unwrap();
    assert_eq!(stack.post_json("/", GOOD).await.cell(), "cell-c");

    client.write(rest).await.unwrap();
    assert_eq!(client.response("POST").await.unwrap().cell(), "cell-b");
    // The next request on the same connection uses the new configuration.
    assert_eq!(client.send(&Request::post("/").json(GOOD)).await.unwrap().cell(), "cell-c");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_configuration_changes() {
    let stack = Stack::start(Options::default()).await;
    let done = AtomicBool::new(false);
    let requests = async {
        let mut client = stack.connect().await;
        let mut count = 0_u64;
        while !done.load(Ordering::Relaxed) {
            let answer = client.send(&Request::post("/").json(GOOD)).await.unwrap();
            assert!(["cell-b", "cell-c"].contains(&answer.cell()), "{answer:?}");
            count += 1;
        }
        count
    };
    let changes = async {
        for cell in ["cell-c", "cell-b"].into_iter().cycle().take(10) {
            let before = stack.cell(cell).arrived();
            stack.apply(&acme_in(cell)).await.unwrap();
            stack.cell(cell).wait_for_arrivals(before + 1).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(requests, changes);
    assert_eq!(arrived(&stack), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_rejects_an_invalid_configuration_and_keeps_the_last_valid_one() {
    let stack = Stack::start(Options::default().chain(Chain::Filter)).await;
    let mut misplaced = sample_config();
    misplaced["placement"]["exact"]["acme"] = json!("cell-x");
    let mut unknown = sample_config();
    unknown["limits"] = json!({"dept": 5});
    let bad = [
        ("{".to_owned(), "plugin configuration:1:"),
        (String::new(), "plugin configuration:1:"),
        (misplaced.to_string(), "placement.exact.acme: "),
        (unknown.to_string(), "limits.dept: "),
    ];
    for (text, reason) in bad {
        let refused = stack.envoy().update_filter_text(&text).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("cellgate: configuration refused: {reason}"))
                || refused.lines().any(|line| line.contains("configuration refused: ") && line.contains(reason)),
            "{refused}"
        );
        assert_eq!(stack.post_json("/", GOOD).await.cell(), "cell-b");
    }
    assert_eq!(stack.admin().stat("wasmcustom.cellgate.config_rejected").await.unwrap(), 4);
    // The next valid configuration is accepted.
    stack.apply(&acme_in("cell-c")).await.unwrap();
    assert_eq!(stack.post_json("/", GOOD).await.cell(), "cell-c");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_rejects_an_invalid_file_and_keeps_the_last_valid_one() {
    let stack = Stack::start(Options::default()).await;
    let refusals = "cellgate_config_reloads_total{result=\"refused\"}";
    let large = Request::post("/").json(key_last("acme", 3_000_000));
    for (count, (text, reason)) in
        [("cells: [", "cellgate.yaml:1:"), ("cells: []\nkeys: 5", "keys: ")].iter().enumerate()
    {
        stack.ext_proc().write_config(text).unwrap();
        wait::until("the refusal", || async {
            Ok((stack.ext_proc().metric(refusals).await? > count as f64).then_some(()))
        })
        .await
        .unwrap();
        stack.ext_proc().logged(&["refused", reason]).await.unwrap();
        assert_eq!(stack.send(&large).await.cell(), "cell-b");
    }
    assert_eq!(stack.ext_proc().metric("cellgate_config_info{version=\"sample\"}").await.unwrap(), 1.0);
    assert_eq!(stack.ext_proc().get("/readyz").await.unwrap().status, 200);
    stack.apply(&acme_in("cell-c")).await.unwrap();
    service_has(&stack, "cell-c").await;
    assert_eq!(stack.send(&large).await.cell(), "cell-c");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_does_not_start_with_an_invalid_configuration() {
    let options = Options::default().chain(Chain::TwoTier).configure(|config| config["cells"] = json!(["cell-a"]));
    let refused = Stack::try_start(options).await.unwrap_err().to_string();
    assert!(refused.contains("exit status: 78"), "{refused}");
    assert!(refused.contains("placement.exact.acme: "), "{refused}");
}

/// An invalid plugin configuration in the static configuration makes the Envoy configuration invalid.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_does_not_start_with_an_invalid_static_filter() {
    let good = Stack::start(Options::default().chain(Chain::Filter)).await;
    let filter = delivered(&good, "{}");
    let options = Options::default().chain(Chain::Plain).adjust(move |bootstrap| {
        let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
        filters.insert(0, json!({"name": "cellgate", "typed_config": filter}));
    });
    let refused = Stack::try_start(options).await.unwrap_err().to_string();
    assert!(refused.contains("envoy ended with"), "{refused}");
    assert!(refused.contains("configuration refused: plugin configuration:1:"), "{refused}");
}

/// With discovery, which Istio uses, the listener opens before the filter has a configuration. Until the first valid
/// one arrives, Envoy answers every request with a 500, so none passes undecided.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_passes_before_the_first_valid_configuration_is_discovered() {
    let donor = Stack::start(Options::default().chain(Chain::Filter)).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("filter.json");
    let publish = |config: &str| {
        let filter = json!({"name": "cellgate", "typed_config": delivered(&donor, config),
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"});
        let draft = directory.path().join("draft");
        std::fs::write(&draft, json!({"resources": [filter]}).to_string()).unwrap();
        std::fs::rename(&draft, &file).unwrap();
    };
    publish("{}");
    let source = json!({"resource_api_version": "V3",
        "path_config_source": {"path": file, "watched_directory": {"path": directory.path()}}});
    let options = Options::default().chain(Chain::Plain).adjust(move |bootstrap| {
        let types = ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"];
        let filter = json!({"name": "cellgate", "config_discovery": {"config_source": source, "type_urls": types}});
        connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap().insert(0, filter);
    });
    let stack = Stack::start(options).await;
    for request in [Request::post("/").json(GOOD), Request::get("/").header("x-cell", "cell-b")] {
        assert_eq!(stack.send(&request).await.status, 500);
    }
    assert_eq!(arrived(&stack), 0);
    let log = stack.envoy().process().log();
    assert!(log.contains("configuration refused: plugin configuration:1:"), "{log}");

    publish(&sample_config().to_string());
    wait::until("the filter", || async { Ok((stack.post_json("/", GOOD).await.status == 200).then_some(())) })
        .await
        .unwrap();
    assert_eq!(stack.post_json("/", GOOD).await.cell(), "cell-b");
}

/// The discovery entry of the filter in `stack`, with another configuration.
fn delivered(stack: &Stack, config: &str) -> Value {
    let text = std::fs::read_to_string(stack.directory().join("discovery/filter.json")).unwrap();
    let mut response: Value = serde_json::from_str(&text).unwrap();
    let mut filter = response["resources"][0]["typed_config"].take();
    filter["config"]["configuration"]["value"] = json!(config);
    filter
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_configuration_is_logged_once_with_several_workers() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).concurrency(3)).await;
    stack.apply(&acme_in("cell-c")).await.unwrap();
    assert_eq!(stack.post_json("/", GOOD).await.cell(), "cell-c");
    let log = stack.envoy().process().log();
    for version in ["sample", "cell-c"] {
        assert_eq!(log.matches(&format!(": configuration {version} (")).count(), 1, "{version}");
    }
}
