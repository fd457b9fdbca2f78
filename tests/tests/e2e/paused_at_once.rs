//! Many requests held at the same time: each keeps its own body and gets its own cell.

use bytes::Bytes;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::support::{arrived, bytes_read, key_last, read_by_envoy};

const TENANTS: [(&str, &str); 3] = [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")];
const COUNT: usize = 200;

/// RFC 9113, 4.1.
const FRAME_HEAD: usize = 9;

/// The body and the cell of the request with this number. All bodies differ.
fn nth(number: usize) -> (String, &'static str) {
    let (tenant, cell) = TENANTS[number % TENANTS.len()];
    (key_last(tenant, 1000 + 97 * number), cell)
}

#[track_caller]
fn check(number: usize, answer: &Response) {
    let (body, cell) = nth(number);
    assert_eq!(answer.cell(), cell, "request {number}");
    assert_eq!(answer.sha256(), sha256(body.as_bytes()), "request {number}");
}

/// Waits until Envoy has read all sent bytes, and checks that no request has reached a cell.
async fn assert_paused(stack: &Stack, sent: usize) {
    read_by_envoy(stack, sent).await;
    stack.admin().wait_for_stat("http.in.downstream_rq_active", |active| active == COUNT as u64).await;
    assert_eq!(arrived(stack), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_held_connections_each_get_their_own_response() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).concurrency(2)).await;
    let mut clients = Vec::new();
    let mut sent = 0;
    for number in 0..COUNT {
        let wire = Request::post("/").json(nth(number).0).to_http1();
        let half = wire.len() - 500;
        let mut client = stack.connect().await;
        client.write(&wire[..half]).await.unwrap();
        sent += half;
        clients.push((number, client, wire.slice(half..)));
    }
    assert_paused(&stack, sent).await;
    // In another order than they were opened.
    for (number, client, rest) in clients.iter_mut().rev() {
        client.write(&rest).await.unwrap();
        check(*number, &client.response("POST").await.unwrap());
    }
    assert_eq!(arrived(&stack), COUNT as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_held_streams_each_get_their_own_response() {
    let stack = Stack::start(Options::default().chain(Chain::Filter)).await;
    // Two connections: some Envoys allow a hundred streams on each.
    let clients = [stack.connect_h2().await, stack.connect_h2().await];
    let mut streams = Vec::new();
    for number in 0..COUNT {
        let body = Bytes::from(nth(number).0);
        let stream = clients[number % 2].open(&Request::post("/").json(body.clone())).await.unwrap();
        streams.push((number, stream, body));
    }
    stack.admin().wait_for_stat("http.in.downstream_rq_active", |active| active == COUNT as u64).await;
    let mut sent = bytes_read(&stack).await;
    for (_, stream, body) in &mut streams {
        let half = body.split_to(body.len() - 500);
        sent += FRAME_HEAD + half.len();
        stream.data(half).await.unwrap();
    }
    assert_paused(&stack, sent).await;
    for (number, mut stream, rest) in streams.into_iter().rev() {
        stream.finish(rest).unwrap();
        check(number, &stream.response().await.unwrap());
    }
    assert_eq!(arrived(&stack), COUNT as u64);
}
