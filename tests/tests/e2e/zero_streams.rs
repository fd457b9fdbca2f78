//! Envoy opens one ext-proc stream for each deferred request and none for others.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;

use crate::support::{key_first, key_last};
use crate::upload::{Framing, Upload};

const LIMIT: usize = 32 * 1024;

async fn stack() -> Stack {
    Stack::start(Options::default().buffer_limit(LIMIT as u32)).await
}

fn json(body: impl Into<bytes::Bytes>) -> Request {
    Request::post("/").json(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_decides_small_bodies_and_heads_without_a_stream() {
    let stack = stack().await;
    let requests = [
        (json(key_first("acme", 100)), 200),
        (json(key_last("acme", LIMIT)), 200),
        (Request::post("/").header("content-type", "application/x-www-form-urlencoded").body("tenant_id=acme"), 200),
        (Request::get("/").header("x-tenant-id", "acme"), 200),
        (json(r#"{"tenant":"#), 400),
        (json("{}"), 400),
        (Request::get("/"), 400),
        (Request::post("/").header("content-type", "text/plain").body("acme"), 415),
        (json(r#"{"tenant":{"id":"acme","id":"globex"}}"#), 400),
    ];
    for (request, status) in requests {
        assert_eq!(stack.send(&request).await.status, status, "{request:?}");
        assert_eq!(stack.send_h2(&request).await.status, status, "{request:?}");
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_decides_a_large_body_whose_key_comes_first_without_a_stream() {
    let stack = stack().await;
    for framing in Framing::ALL {
        let body = key_first("acme", 1_000_000);
        let answer = upload(&stack, framing, body.as_bytes()).await;
        assert_eq!(
            (answer.cell(), answer.sha256()),
            ("cell-b", cellgate_tests::sha256(body.as_bytes())),
            "{framing:?}"
        );
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_deferred_request_opens_one_stream() {
    let stack = stack().await;
    let mut deferred = 0;
    for framing in Framing::ALL {
        let body = key_last("acme", 200_000);
        assert_eq!(upload(&stack, framing, body.as_bytes()).await.cell(), "cell-b", "{framing:?}");
        deferred += 1;
        assert_eq!(stack.ext_proc_streams().await, deferred, "{framing:?}");
    }
    let encoded = json("not JSON").header("content-encoding", "br");
    for answer in [stack.send(&encoded).await, stack.send_h2(&encoded).await] {
        assert_eq!(answer.status, 415);
        deferred += 1;
    }
    assert_eq!(stack.ext_proc_streams().await, deferred);
}

/// Sends a body in two parts, so that the first is the filter's first chunk.
async fn upload(stack: &Stack, framing: Framing, body: &[u8]) -> Response {
    let mut upload = Upload::open(stack, framing, "/", body.len()).await;
    upload.send(&body[..100]).await;
    upload.send(&body[100..]).await;
    upload.finish().await.unwrap()
}
