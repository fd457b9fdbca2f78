//! Trailers end a body, so it is decided then. They arrive without reserved trailers.

use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::support::{arrived, bytes_read, code, counted, key_first, key_last, read_by_envoy};

const KIB: usize = 1024;

/// Adds one trailer that must arrive and two that must not.
fn with_trailers(request: Request) -> Request {
    request.trailer("x-checksum", "abc").trailer("x-cell", "cell-c").trailer("x-cellgate-defer", "stream;x")
}

fn json_type() -> Request {
    Request::post("/").header("content-type", "application/json")
}

#[track_caller]
fn assert_delivered(answer: &Response, body: &str) {
    assert_eq!(answer.cell(), "cell-b");
    assert_eq!(answer.sha256(), sha256(body.as_bytes()));
    assert_eq!(answer.json()["trailers"], serde_json::json!([["x-checksum", "abc"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_body_is_decided_at_its_trailers() {
    let stack = Stack::start(Options::default()).await;
    let body = key_last("acme", 20_000);
    // Only HTTP/2 allows trailers after a body with a Content-Length.
    let request = with_trailers(json_type().body(body.clone()));
    assert_delivered(&stack.send_h2(&request).await, &body);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_body_keeps_its_trailers() {
    let stack = Stack::start(Options::default()).await;
    for size in [100, 40 * KIB, 300 * KIB] {
        let body = key_first("acme", size);
        let request = with_trailers(json_type().pieces([body.clone()]));
        assert_delivered(&stack.send(&request).await, &body);
        assert_delivered(&stack.send_h2(&request).await, &body);
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_body_keeps_its_trailers() {
    // No read is larger than the limit, so the key is not in the first one.
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
    for size in [100 * KIB, 300 * KIB, 3000 * KIB] {
        let body = key_last("acme", size);
        let request = with_trailers(json_type().pieces([body.clone()]));
        assert_delivered(&stack.send(&request).await, &body);
        assert_delivered(&stack.send_h2(&request).await, &body);
    }
    assert_eq!(stack.ext_proc_streams().await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_forwards_trailers() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let stack = Stack::start(Options::default().chain(Chain::Service(mode))).await;
        for body in [key_first("acme", 100 * KIB), key_last("acme", 100 * KIB)] {
            let request = json_type().pieces([body.clone()]).trailer("x-checksum", "abc");
            assert_delivered(&stack.send(&request).await, &body);
            assert_delivered(&stack.send_h2(&request).await, &body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_with_trailers_is_rejected() {
    let stack = Stack::start(Options::default()).await;
    for (body, reason) in [("{}", "key_missing"), (r#"{"tenant":{"id":"#, "body_truncated"), ("{]", "body_malformed")] {
        let sized = with_trailers(json_type().body(body));
        assert_eq!(code(&stack.send_h2(&sized).await), reason, "held");
        let unsized_body = with_trailers(json_type().pieces([body]));
        assert_eq!(code(&stack.send(&unsized_body).await), reason, "HTTP/1.1");
        assert_eq!(code(&stack.send_h2(&unsized_body).await), reason, "HTTP/2");
    }
    assert_eq!(arrived(&stack), 0);
}

/// The document is truncated after its key. The cell has begun to read it and must not treat it as complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_guarded_body_is_reset_at_its_trailers() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    let mut stream = client.open(&json_type()).await.unwrap();
    stream.data(r#"{"tenant":{"id":"acme"},"rest":["#).await.unwrap();
    stack.cell("cell-b").wait_for_arrivals(1).await;
    stream.trailers(&[("x-checksum", "abc")]).unwrap();
    let refused = stream.response().await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| code(&answer) == "body_truncated"));
    stack.cell("cell-b").wait_for(Ending::Broken, 1).await;
    assert_eq!(stack.cell("cell-b").complete(), 0);
    counted(&stack, "guard_conflicts", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_alone_count_as_no_body() {
    let stack = Stack::start(Options::default()).await;
    let none: [&str; 0] = [];
    let request = with_trailers(json_type().pieces(none));
    assert_eq!(code(&stack.send(&request).await), "body_absent");
    assert_eq!(code(&stack.send_h2(&request).await), "body_absent");
    assert_eq!(arrived(&stack), 0);
    let request = request.header("x-tenant-id", "acme");
    assert_delivered(&stack.send(&request).await, "");
    assert_delivered(&stack.send_h2(&request).await, "");
    assert_eq!(stack.ext_proc_streams().await, 0);
}

/// The trailers arrive long after the decision.
#[tokio::test(flavor = "multi_thread")]
async fn reserved_trailers_are_removed_after_the_decision_too() {
    let stack = Stack::start(Options::default()).await;
    let wire = with_trailers(json_type().pieces([r#"{"tenant":{"id":"acme"}}"#])).to_http1();
    let late = wire.windows(5).position(|five| five == b"0\r\nx-").unwrap();
    let before = bytes_read(&stack).await;
    let mut client = stack.connect().await;
    client.write(&wire[..late]).await.unwrap();
    read_by_envoy(&stack, before + late).await;
    stack.cell("cell-b").wait_for_arrivals(1).await;
    client.write(&wire[late..]).await.unwrap();
    assert_delivered(&client.response("POST").await.unwrap(), r#"{"tenant":{"id":"acme"}}"#);
}
