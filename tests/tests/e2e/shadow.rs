//! Shadow mode: the filter reports its decisions and changes nothing.

use cellgate_tests::client::Request;
use cellgate_tests::options::{Chain, Options, Underscores};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{arrived, counted, key_last, undecided_to};

/// Routes from before Cellgate: every request goes to `cell-c` unless its own header selects a cell.
async fn shadow() -> Stack {
    let options = Options::default().chain(Chain::Filter).underscores(Underscores::Allow);
    let options = options.configure(|config| config["shadow"] = json!(true));
    Stack::start(options.adjust(undecided_to("cell-c"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_passes_unchanged_and_its_decision_is_reported() {
    let stack = shadow().await;
    let large = key_last("acme", 5_000_000);
    for (path, body, decision) in [
        ("/good", r#"{"tenant":{"id":"acme"}}"#, "shadow;cell=cell-b;reason=exact"),
        ("/malformed", r#"{"tenant":]"#, "shadow;reject=400;reason=body_malformed"),
        ("/cut", r#"{"tenant":{"id":"acme"}"#, "shadow;reject=400;reason=body_truncated"),
        ("/nobody", "{}", "shadow;reject=400;reason=key_missing"),
        ("/large", large.as_str(), "shadow;cell=cell-b;reason=exact"),
    ] {
        let request =
            Request::post(path).json(body.to_owned()).header("x_cell", "spoof").header("x-cellgate-defer", "a");
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert_eq!(answer.cell(), "cell-c", "{path}");
            assert_eq!(answer.sha256(), sha256(body.as_bytes()), "{path}");
            assert_eq!(answer.received("x-cell"), [""; 0], "{path}");
            assert_eq!(answer.received("x_cell"), ["spoof"], "{path}");
        }
        assert_eq!(stack.envoy().access_line(path).await.decision(), decision);
    }
    counted(&stack, "decisions.cell.exact", 4).await;
    counted(&stack, "decisions.reject.body_malformed", 2).await;
    counted(&stack, "stripped_headers", 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_header_still_routes() {
    let stack = shadow().await;
    let request = Request::post("/own").json(r#"{"tenant":{"id":"acme"}}"#).header("x-cell", "cell-a");
    let answer = stack.send(&request).await;
    assert_eq!(answer.cell(), "cell-a");
    assert_eq!(answer.received("x-cell"), ["cell-a"]);
    assert_eq!(stack.envoy().access_line("/own").await.decision(), "shadow;cell=cell-b;reason=exact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_forwarded_before_its_body_arrives() {
    let stack = shadow().await;
    let body = r#"{"tenant":{"id":"acme"}}"#;
    let request = Request::post("/slow").header("content-type", "application/json").header("content-length", "24");
    let mut client = stack.connect().await;
    client.write(request.http1_head()).await.unwrap();
    // A held request would not have reached a cell yet.
    stack.cell("cell-c").wait_for_arrivals(1).await;
    client.write(body).await.unwrap();
    assert_eq!(stack.envoy().access_line("/slow").await.decision(), "shadow;cell=cell-b;reason=exact");
    assert_eq!(arrived(&stack), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_does_not_start_in_shadow_mode() {
    let options = Options::default().chain(Chain::TwoTier).configure(|config| config["shadow"] = json!(true));
    let refused = Stack::try_start(options).await.unwrap_err().to_string();
    assert!(refused.contains("exit status: 78"), "{refused}");
    assert!(refused.contains("shadow: a filter that changes nothing defers nothing"), "{refused}");
}
