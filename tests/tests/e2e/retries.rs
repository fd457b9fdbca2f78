//! Envoy retries a request after a 503 of its cell: at the same cell, with the same bytes.

use bytes::Bytes;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use http::StatusCode;
use serde_json::json;

use crate::support::{arrived, key_last, service_sends_encoded_to};
use crate::upload::{Framing, Upload};

fn options() -> Options {
    // Envoy keeps up to its buffer limit, 1 MiB, for a retry. The filter holds less here.
    Options::default().retries(1).configure(|config| config["limits"] = json!({"inspect_bytes": "32KiB"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_decided_by_the_filter_is_retried_unchanged() {
    let stack = Stack::start(options()).await;
    let body = Bytes::from(key_last("acme", 20_000));
    retried(&stack, "cell-b", &Request::post("/").json(body.clone()), &body).await;
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_deferred_as_buffer_is_retried_unchanged() {
    let stack = Stack::start(options()).await;
    service_sends_encoded_to(&stack, "cell-c").await;
    let body = Bytes::from_static(b"as good as br");
    let request = Request::post("/").json(body.clone()).header("content-encoding", "br");
    retried(&stack, "cell-c", &request, &body).await;
    // Once per request, not once per attempt.
    assert_eq!(stack.ext_proc_streams().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_deferred_as_stream_is_retried_unchanged() {
    let stack = Stack::start(options()).await;
    let body = key_last("acme", 500_000);
    let (first, rest) = body.as_bytes().split_at(100);
    for (number, framing) in Framing::ALL.into_iter().enumerate() {
        stack.cell("cell-b").fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
        let mut upload = Upload::open(&stack, framing, "/", body.len()).await;
        upload.send(first).await;
        // The filter defers before it sees more of the body.
        stack.admin().wait_for_stat("cluster.ext-proc.upstream_rq_total", |count| count == number as u64 + 1).await;
        upload.send(rest).await;
        check(&upload.finish().await.unwrap(), "cell-b", body.as_bytes());
    }
    assert_eq!(stack.ext_proc_streams().await, 4, "once per request, not once per attempt");
    two_attempts_each(&stack, "cell-b", 4, body.as_bytes());
}

/// Sends the request over both protocols, with one failure of its cell each time.
async fn retried(stack: &Stack, cell: &str, request: &Request, body: &[u8]) {
    let home = stack.cell(cell);
    home.fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
    check(&stack.send(request).await, cell, body);
    home.fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
    check(&stack.send_h2(request).await, cell, body);
    two_attempts_each(stack, cell, 2, body);
}

fn two_attempts_each(stack: &Stack, cell: &str, requests: usize, body: &[u8]) {
    let bodies: Vec<_> = stack.cell(cell).seen().into_iter().map(|seen| seen.sha256).collect();
    assert_eq!(bodies, vec![sha256(body); 2 * requests]);
    assert_eq!(arrived(stack), 2 * requests as u64, "a request reached another cell");
}

fn check(answer: &Response, cell: &str, body: &[u8]) {
    assert_eq!((answer.status, answer.cell()), (StatusCode::OK, cell));
    assert_eq!((answer.sha256(), answer.received("x-cell")), (sha256(body), vec![cell.to_owned()]));
}
