//! The service crashes, freezes, drains or is overloaded: the client gets an error with a code, no cell gets the
//! request, and the next request is routed.

use std::time::Duration;

use bytes::Bytes;
use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::process::Signal;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use tokio::task::JoinSet;

use crate::bodies::key_at;
use crate::support::{arrived, code, key_first, key_last, wait_for_metric, wait_until_nothing_is_buffered};
use crate::upload::{Framing, Upload};

const SIZE: usize = 200_000;

fn two_tiers() -> Options {
    Options::default().buffer_limit(32 * 1024)
}

fn buffered() -> Options {
    Options::default().chain(Chain::Service(BodyMode::Buffered))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_crash_fails_open_requests_and_the_next_one_is_routed() {
    for options in [two_tiers(), buffered()] {
        let stack = Stack::start(options).await;
        for framing in Framing::ALL {
            let upload = in_flight(&stack, framing, "/killed").await;
            stack.ext_proc().kill();
            assert_eq!(upload.response().await.unwrap().status, 503, "{framing:?}");
            assert_eq!(arrived(&stack), 0);
            stack.ext_proc().restart().await.unwrap();
        }
        assert!(stack.envoy().access_line("/killed").await.text("details").starts_with("ext_proc_error"));
        routed(&stack).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_service_fails_open_requests_and_the_next_one_is_routed() {
    // The connection's keep-alive ends a stream after at most 7 s. A single message has its own timeout.
    let cases = [(two_tiers(), 503), (buffered().message_timeout(Duration::from_millis(1500)), 504)];
    for (options, status) in cases {
        let stack = Stack::start(options).await;
        let mut upload = in_flight(&stack, Framing::Http1, "/frozen").await;
        stack.ext_proc().freeze().await.unwrap();
        upload.send(&late_key().as_bytes()[SIZE / 2..]).await;
        assert_eq!(upload.finish().await.unwrap().status, status);
        assert_eq!(arrived(&stack), 0);
        assert!(stack.envoy().access_line("/frozen").await.text("details").starts_with("ext_proc_error"));
        stack.ext_proc().signal(Signal::CONT).unwrap();
        routed(&stack).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_service_fails_deferred_requests_only() {
    let stack = Stack::start(two_tiers()).await;
    stack.ext_proc().kill();
    assert_eq!(
        stack.post_json("/", key_first("acme", SIZE)).await.cell(),
        "cell-b",
        "the filter decides without the service"
    );
    assert_eq!(stack.post_json("/", late_key()).await.status, 503);
    assert_eq!(arrived(&stack), 1);
    stack.ext_proc().restart().await.unwrap();
    routed(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_after_the_decision_timeout_gets_408() {
    for options in [two_tiers(), buffered()] {
        let stack = Stack::start(options.service_option("--decision-timeout", "1s")).await;
        let mut late = Vec::new();
        for framing in Framing::ALL {
            late.push((framing, half(&stack, framing, "/late").await));
        }
        for (framing, upload) in late {
            let answer = upload.response().await.unwrap();
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (408, "deadline_exceeded"), "{framing:?}");
        }
        assert_eq!(arrived(&stack), 0);
        routed(&stack).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_byte_budget_gets_503() {
    let stack = Stack::start(two_tiers().service_option("--max-held-bytes", "256KiB")).await;
    for framing in Framing::ALL {
        let answer = send(&stack, framing, key_last("acme", 1_000_000).as_bytes()).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (503, "overloaded"), "{framing:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(arrived(&stack), 0);
    // The reservation is released, and a long body with its key within the budget needs no more than that.
    let body = key_at(100_000, 1_000_000, "}");
    assert_eq!(send(&stack, Framing::Http1, &body).await.cell(), "cell-b");
    wait_until_nothing_is_buffered(&stack).await;
}

/// Four times as much as the budget. Envoy keeps the clients waiting.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_above_the_byte_budget_wait_and_arrive_whole() {
    const UPLOADS: usize = 12;
    for options in [two_tiers(), Options::default().chain(Chain::Service(BodyMode::Streamed))] {
        let options = options.service_option("--max-held-bytes", "3MiB").service_option("--budget-timeout", "60s");
        let (stack, body) = (Stack::start(options).await, Bytes::from(key_last("acme", 1_000_000)));
        let (address, sized) = (stack.address(), Request::post("/").json(body.clone()));
        let pieces = body.chunks(50_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let chunked = Request::post("/").header("content-type", "application/json").pieces(pieces);
        let mut uploads = JoinSet::new();
        for number in 0..UPLOADS {
            let request = if number % 4 == 0 { chunked.clone() } else { sized.clone() };
            uploads.spawn(async move { Http1::connect(address).await?.send(&request).await });
        }
        while let Some(answer) = uploads.join_next().await {
            let answer = answer.unwrap().unwrap();
            assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(&body)));
        }
        assert!(stack.ext_proc().metric("cellgate_budget_wait_seconds_count").await.unwrap() > 0.0, "nothing waited");
        wait_until_nothing_is_buffered(&stack).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_during_a_drain_completes() {
    for options in [two_tiers(), buffered()] {
        let stack = Stack::start(options).await;
        let mut upload = in_flight(&stack, Framing::Http1, "/drained").await;
        stack.ext_proc().signal(Signal::TERM).unwrap();
        let unready = || async { Ok((stack.ext_proc().get("/readyz").await?.status == 503).then_some(())) };
        cellgate_tests::wait::until("the drain to begin", unready).await.unwrap();
        upload.send(&late_key().as_bytes()[SIZE / 2..]).await;
        let answer = upload.finish().await.unwrap();
        assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(late_key().as_bytes())));
        assert_eq!(stack.ext_proc().ended().await.unwrap(), Some(0));
    }
}

fn late_key() -> String {
    key_last("acme", SIZE)
}

/// Sends half of a body with the key at its end, and waits until the service has the request.
async fn in_flight(stack: &Stack, framing: Framing, path: &str) -> Upload {
    let upload = half(stack, framing, path).await;
    wait_for_metric(stack, "cellgate_streams_open", 1.0).await;
    upload
}

/// A request with half of its body sent.
async fn half(stack: &Stack, framing: Framing, path: &str) -> Upload {
    let mut upload = Upload::open(stack, framing, path, SIZE).await;
    upload.send(&late_key().as_bytes()[..SIZE / 2]).await;
    upload
}

async fn send(stack: &Stack, framing: Framing, body: &[u8]) -> Response {
    let mut upload = Upload::open(stack, framing, "/", body.len()).await;
    upload.send(&body[..1_000]).await;
    upload.send(&body[1_000..]).await;
    upload.finish().await.unwrap_or_else(|error| panic!("{framing:?}: {error:#}"))
}

/// Waits until the service decides again.
async fn routed(stack: &Stack) {
    let streams = stack.ext_proc_streams().await;
    let answer = stack.post_json("/", late_key()).await;
    assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(late_key().as_bytes())));
    assert_eq!(stack.ext_proc_streams().await, streams + 1);
}
