//! `Expect: 100-continue` (RFC 9110, 10.1.1): a client that waits gets a 100 or a final response.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::support::{arrived, code, key_first, key_last};

/// Sends the head, waits for the 100, sends the body, and checks that the cell received it.
async fn expect_then_send(stack: &Stack, body: &str) {
    let request = Request::post("/").header("expect", "100-continue").json(body.to_owned());
    let mut client = stack.connect().await;
    client.write(request.http1_head()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 100);
    client.write(body).await.unwrap();
    let answer = client.response("POST").await.unwrap();
    assert_eq!(answer.cell(), "cell-b");
    assert_eq!(answer.sha256(), sha256(body.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_100_may_send_its_body() {
    let stack = Stack::start(Options::default()).await;
    // One body that is held, one that is guarded and one that is deferred.
    for body in [key_last("acme", 1000), key_first("acme", 100_000), key_last("acme", 3_000_000)] {
        expect_then_send(&stack, &body).await;
    }
    assert_eq!(stack.ext_proc_streams().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_service_alone_a_client_that_expects_100_may_send_its_body() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let stack = Stack::start(Options::default().chain(Chain::Service(mode))).await;
        expect_then_send(&stack, &key_last("acme", 100_000)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_wait_for_the_body() {
    let stack = Stack::start(Options::default()).await;
    let request = Request::post("/")
        .header("expect", "100-continue")
        .header("content-type", "text/plain")
        .header("content-length", "1000");
    let mut client = stack.connect().await;
    client.write(request.http1_head()).await.unwrap();
    let refused = client.response("POST").await.unwrap();
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (415, "content_type_unsupported"));
    assert_eq!(arrived(&stack), 0);
}
