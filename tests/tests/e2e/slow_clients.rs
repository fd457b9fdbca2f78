//! Slow clients in front of the filter: those that stall after any byte of their body, and those that send it byte by byte.
//! Envoy's timeouts end both; nothing reaches a cell, and others are served meanwhile.

use std::time::Duration;

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::json;
use tokio::task::JoinSet;

use crate::memory::resident;
use crate::support::{arrived, connection_manager, counted, key_last, wait_until_nothing_is_buffered};

const BODY: &str = r#"{"x":[1,"\u00e5"],"tenant":{"id":"acme"},"y":{"z":0.5}}"#;

/// The most memory of Envoy for all slow clients together.
const BOUND: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_after_any_byte_gets_408() {
    let stack = Stack::start(Options::default().stream_idle_timeout(Duration::from_secs(3))).await;
    let before = resident(stack.envoy().process().pid());
    let head = Request::post("/").json(BODY).http1_head();
    let mut clients = JoinSet::new();
    for count in 0..BODY.len() {
        let mut client = stack.connect().await;
        client.write([&head, &BODY.as_bytes()[..count]].concat()).await.unwrap();
        clients.spawn(async move { (count, client.response("POST").await) });
    }
    while let Some(ended) = clients.join_next().await {
        let (count, answer) = ended.unwrap();
        assert_eq!(answer.unwrap().status, 408, "after {count} bytes");
    }
    ended(&stack, BODY.len() as u64, before).await;
}

/// Each byte begins the idle timeout again, so that only the limit of the whole request ends them.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_byte_by_byte_gets_408() {
    const CLIENTS: u64 = 50;
    let options = Options::default().adjust(|bootstrap| {
        connection_manager(bootstrap)["request_timeout"] = json!("3s");
    });
    let stack = Stack::start(options).await;
    let before = resident(stack.envoy().process().pid());
    let body = key_last("acme", 30_000);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = stack.connect().await;
        client.write(Request::post("/").json(body.clone()).http1_head()).await.unwrap();
        clients.spawn(drip(client));
    }
    // Others are served meanwhile.
    assert_eq!(stack.post_json("/", BODY).await.cell(), "cell-b");
    let mut sent = 0;
    while let Some(client) = clients.join_next().await {
        sent += client.unwrap();
    }
    assert!(sent > CLIENTS as usize, "{sent} bytes: the clients sent too few to keep their streams");
    assert_eq!(arrived(&stack), 1);
    ended(&stack, CLIENTS, before).await;
}

/// Sends a byte at a time until the answer comes. Returns how many it sent.
async fn drip(mut client: Http1) -> usize {
    let mut sent = 0;
    loop {
        // The answer is awaited for a moment between two bytes.
        match tokio::time::timeout(Duration::from_millis(100), client.response("POST")).await {
            Ok(answer) => {
                assert_eq!(answer.unwrap().status, 408);
                return sent;
            }
            Err(_) => {
                // A write that fails has its answer.
                drop(client.write(b" ").await);
                sent += 1;
            }
        }
    }
}

/// The clients were counted, and nothing of them is left.
async fn ended(stack: &Stack, count: u64, before: u64) {
    counted(stack, "abandoned", count).await;
    let grown = resident(stack.envoy().process().pid()).saturating_sub(before);
    println!("{} KiB in Envoy after {count} slow clients", grown / 1024);
    assert!(grown <= BOUND, "{} KiB", grown / 1024);
    let is_idle = || async { Ok((stack.admin().stat("http.in.downstream_rq_active").await? == 0).then_some(())) };
    wait::until("Envoy to have no request", is_idle).await.unwrap();
    assert_eq!(stack.post_json("/", key_last("globex", 3_000_000)).await.cell(), "cell-c");
    wait_until_nothing_is_buffered(stack).await;
}
