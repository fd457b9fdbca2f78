//! `cellgate doctor` against a real Envoy: it accepts the harness's chain and finds every broken part.

use cellgate_tests::artifacts;
use cellgate_tests::options::{Chain, Options, Underscores};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{connection_manager, counted};

/// Runs the doctor and returns its exit code and its findings.
pub(crate) async fn doctor(stack: &Stack) -> (i32, Vec<Value>) {
    let mut command = Command::new(artifacts::cellgate().unwrap());
    command.args(["doctor", "--output", "json", "--admin", &format!("http://{}", stack.admin().address())]);
    let output = command.output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["source"].as_str().unwrap().starts_with("Envoy 1."), "{report}");
    (output.status.code().unwrap(), report["findings"].as_array().unwrap().clone())
}

fn of_level(findings: &[Value], level: &str) -> Vec<String> {
    let found = findings.iter().filter(|finding| finding["level"] == level);
    found.map(|finding| finding["what"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
pub(crate) fn assert_finding(findings: &[Value], level: &str, part: &str) {
    let said = of_level(findings, level);
    assert!(said.iter().any(|what| what.contains(part)), "{level} {part:?}: {findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_has_no_findings_above_ok() {
    let stack = Stack::start(Options::default().example()).await;
    stack.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
    let (code, findings) = doctor(&stack).await;
    assert_eq!((code, of_level(&findings, "error")), (0, Vec::new()));
}

/// The only error of a stack with one fault.
async fn only_error(options: Options) -> String {
    let (code, findings) = doctor(&Stack::start(options).await).await;
    let errors = of_level(&findings, "error");
    assert_eq!((code, errors.len()), (1, 1), "{findings:#?}");
    errors.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_chain_has_only_ok_findings() {
    let stack = Stack::start(Options::default()).await;
    stack.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
    counted(&stack, "decisions.cell.exact", 1).await;
    let (code, findings) = doctor(&stack).await;
    assert_eq!((code, of_level(&findings, "error")), (0, Vec::new()));
    for part in [
        "`cellgate` is the first HTTP filter",
        "version 1 of its configuration",
        "configuration sample: header x-cell, cells cell-a, cell-b, cell-c, 3 sources",
        "the filter holds bodies of at most 32768 bytes; Envoy's limits are 1048576 (HTTP/1.1) and 16777216 (HTTP/2)",
        "headers with underscores: REJECT_REQUEST",
        "`buffer`: BUFFERED, by cluster ext-proc",
        "`stream`: FULL_DUPLEX_STREAMED, by cluster ext-proc",
        "cell-b goes to cell-b, no retries, time-out 60s",
        "requests without a decision are answered 421",
        "1 of 1 endpoints are healthy",
        "at most 100000 connections",
        "Envoy has refused no update since it started",
        "the filter has sent 1 requests to cells, refused 0, deferred 0, passed 0",
    ] {
        assert_finding(&findings, "ok", part);
    }
    assert_finding(&findings, "warning", "plain text, without mTLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_filter_is_found() {
    let error = only_error(Options::default().chain(Chain::Plain)).await;
    assert_eq!(error, "the filter is in none of the chains: main");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_too_small_is_found() {
    let options = Options::default().buffer_limit(16 * 1024).configure(|config| {
        config["limits"] = json!({"inspect_bytes": "32KiB"});
    });
    let error = only_error(options).await;
    assert!(error.contains("per_connection_buffer_limit_bytes is 16384, below inspect_bytes 32768"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_without_a_route_is_found() {
    let error = only_error(Options::default().adjust(|bootstrap| {
        let routes = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"];
        let of_cell_b = |route: &Value| route["match"]["headers"][0]["string_match"]["exact"] == "cell-b";
        routes.as_array_mut().unwrap().retain(|route| !of_cell_b(route));
    }));
    assert_eq!(error.await, "no route matches x-cell: cell-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_with_a_missing_cluster_is_found() {
    let error = only_error(Options::default().adjust(|bootstrap| {
        // Without `validate_clusters`, Envoy accepts a route to a missing cluster.
        connection_manager(bootstrap)["route_config"]["validate_clusters"] = json!(false);
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
        clusters.retain(|cluster| cluster["name"] != "cell-c");
    }));
    assert_eq!(error.await, "the cluster cell-c does not exist: Envoy answers its requests with 503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_underscore_action_is_ok_and_a_missing_service_is_a_warning() {
    let options = Options::default().chain(Chain::Filter).underscores(Underscores::Allow);
    let (code, findings) = doctor(&Stack::start(options).await).await;
    assert_eq!((code, of_level(&findings, "error")), (0, Vec::new()));
    assert_finding(
        &findings,
        "ok",
        "headers with underscores are accepted, and the filter removes a client's own x_cell",
    );
    assert_finding(&findings, "warning", "there is no service behind the filter, which defers body_encoded");
}

/// The routes of the harness's only virtual host.
fn routes(bootstrap: &mut Value) -> &mut Vec<Value> {
    let host = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0];
    host["routes"].as_array_mut().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_before_the_cells_is_found() {
    let error = only_error(Options::default().adjust(|bootstrap| {
        let reports = json!({"match": {"path_separated_prefix": "/reports"}, "route": {"cluster": "cell-a"}});
        routes(bootstrap).insert(0, reports);
    }));
    let expected = "the route on /reports stands before the routes of cell-a, cell-b, cell-c, and takes /reports and /reports/* \
                    from them: it goes to cell-a";
    assert_eq!(error.await, expected);
}

/// The finding depends on Envoy's version, which the dump contains.
#[tokio::test(flavor = "multi_thread")]
async fn another_processor_is_an_error_on_affected_envoy_versions_only() {
    let options = Options::default().adjust(|bootstrap| {
        let other = json!({"name": "another-processor", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": "ext-proc"}},
            "processing_mode": {"request_body_mode": "FULL_DUPLEX_STREAMED", "request_trailer_mode": "SEND"},
        }});
        let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
        let router = filters.len() - 1;
        filters.insert(router, other);
    });
    let (_, findings) = doctor(&Stack::start(options).await).await;
    let [good, bad] = ["ok", "error"].map(|level| of_level(&findings, level).join("\n"));
    let words = "`another-processor` is another processor in the mode FULL_DUPLEX_STREAMED: ";
    // `make test-envoys` runs this on each supported version.
    let is_said = |minor: u32| match minor {
        ..39 => bad.contains(&format!("{words}in Envoy 1.{minor} some bodies arrive empty")),
        _ => good.contains(&format!("{words}Envoy 1.{minor} serves both")),
    };
    assert!((36..60).any(is_said), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_is_found() {
    let stack = Stack::start(Options::default()).await;
    stack.envoy().update_filter_text("{}").await.unwrap_err();
    let (_, findings) = doctor(&stack).await;
    assert_finding(&findings, "warning", "extension_config_discovery.http_filter.cellgate.update_rejected is 1");
}
