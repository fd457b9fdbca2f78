//! Concurrency limits through Envoy: a request counts from its admission to the end of its response, however that ends.

mod pauses;

use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::process::Signal;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::json;

use crate::raw_cell::{RawCell, RawRequest};
use crate::support::{key_first, key_last, without_responses};

const IN_FLIGHT: &str = r#"cellgate_concurrency_in_flight{limit="per-tenant"}"#;

/// A stack whose `cell-b`, that of the tenant `acme`, answers when the test says so.
struct Limited {
    stack: Stack,
    cell: RawCell,
}

impl Limited {
    async fn start(at_most: u32) -> Self {
        Self::start_with(at_most, Options::default()).await
    }

    async fn start_with(at_most: u32, options: Options) -> Self {
        let cell = RawCell::start().await;
        let limits = json!([{"name": "per-tenant", "key": ["routing_key"], "at_most": at_most}]);
        let options = options.configure(|config| config["concurrency_limits"] = limits);
        let stack = Stack::start(options.adjust(cell.in_place_of("cell-b"))).await;
        Self { stack, cell }
    }

    /// Sends a request, and waits until it is at the cell.
    async fn send(&self, request: &Request) -> (Http1, RawRequest) {
        let mut client = self.stack.connect().await;
        client.write(request.to_http1()).await.unwrap();
        (client, self.cell.accept().await)
    }

    /// The answer to a request that does not reach the cell.
    async fn refused(&self, request: &Request) -> Response {
        let answer = self.stack.send(request).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        answer
    }

    /// Waits until so many requests count.
    async fn in_flight(&self, count: f64) {
        let reached = || async { Ok((self.stack.ext_proc().metric(IN_FLIGHT).await? == count).then_some(())) };
        wait::until(&format!("{count} requests in flight"), reached).await.unwrap();
    }

    /// Sends a request and answers it.
    async fn assert_admitted(&self, request: &Request) {
        let (mut client, mut arrived) = self.send(request).await;
        arrived.answer(200).await;
        assert_eq!(client.response("GET").await.unwrap().status, 200);
    }
}

fn get() -> Request {
    Request::get("/").header("x-tenant-id", "acme")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_after_the_last_place_gets_429_until_a_response_has_ended() {
    let limited = Limited::start(2).await;
    let (mut first, mut first_request) = limited.send(&get()).await;
    let (_second, _second_request) = limited.send(&Request::post("/").json(key_first("acme", 1_000))).await;
    let answer = limited.refused(&get()).await;
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&json!("concurrency_limited"), &json!(429)));
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!(["per-tenant"]));
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit")), (None, None));
    assert_eq!(limited.stack.send(&Request::get("/").header("x-tenant-id", "globex")).await.cell(), "cell-c");
    // Its place is free when its response has ended, and not when it has begun.
    first_request.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
    assert_eq!(first.head().await.unwrap().status, 200);
    limited.refused(&get()).await;
    first_request.write("final").await;
    first.bytes(10).await.unwrap();
    limited.in_flight(1.0).await;
    limited.assert_admitted(&get()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_resource_exhausted() {
    let limited = Limited::start(1).await;
    let _open = limited.send(&get()).await;
    let call = Request::post("/demo.Echo/Call")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-tenant-id", "acme");
    let answer = limited.stack.send_h2(&call).await;
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, Some("8")), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_counts_in_every_body_mode() {
    // The filter decodes no zstd.
    let mut encoded = vec![0; 1_000];
    let length = zstd_safe::compress(encoded.as_mut_slice(), key_first("acme", 500).as_bytes(), 1).unwrap();
    encoded.truncate(length);
    let streamed = Request::post("/").json(key_last("acme", 2_000_000));
    let buffered = Request::post("/").header("content-encoding", "zstd").json(encoded);
    let alone = |mode| Options::default().chain(Chain::Service(mode));
    let cases = [
        ("headers", Options::default(), get()),
        ("buffer", Options::default(), buffered),
        ("stream", Options::default(), streamed.clone()),
        ("service alone, BUFFERED", alone(BodyMode::Buffered), Request::post("/").json(key_last("acme", 2_000))),
        ("service alone, FULL_DUPLEX_STREAMED", alone(BodyMode::Streamed), streamed),
    ];
    for (name, options, request) in cases {
        let limited = Limited::start_with(1, options).await;
        let (mut client, mut arrived) = limited.send(&request).await;
        limited.refused(&request).await;
        arrived.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
        assert_eq!(client.head().await.unwrap().status, 200, "{name}");
        limited.refused(&request).await;
        arrived.write("final").await;
        limited.in_flight(0.0).await;
        limited.assert_admitted(&request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_however_it_ends() {
    let limited = Limited::start(1).await;
    for pending in [true, false] {
        // The client aborts.
        let (mut client, mut request) = limited.send(&get()).await;
        if !pending {
            request.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
            client.head().await.unwrap();
        }
        client.reset().unwrap();
        limited.in_flight(0.0).await;
        // The cell aborts.
        let (mut client, mut request) = limited.send(&get()).await;
        if !pending {
            request.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
            client.head().await.unwrap();
        }
        drop(request);
        limited.in_flight(0.0).await;
    }
    // A stream of an HTTP/2 connection that lives on.
    let connection = limited.stack.connect_h2().await;
    let body = key_first("acme", 100);
    let mut stream = connection.open(&Request::post("/").json(body.clone())).await.unwrap();
    stream.finish(body).unwrap();
    let _request = limited.cell.accept().await;
    limited.in_flight(1.0).await;
    stream.reset();
    limited.in_flight(0.0).await;
    limited.assert_admitted(&get()).await;
    limited.in_flight(0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_contradicts_its_decision_leaves() {
    let limited = Limited::start(1).await;
    let mut body = key_first("acme", 1_000_000);
    body.truncate(body.len() - 1);
    body += r#","tenant":{"id":"globex"}}"#;
    // The service sees the whole body only if the filter defers it.
    let mut late = format!(r#"{{"x":"{}","#, "p".repeat(2_000_000));
    late += &body[1..];
    let mut client = limited.stack.connect().await;
    client.write(Request::post("/").json(late).to_http1()).await.unwrap();
    assert_eq!(client.response("POST").await.unwrap().status, 400);
    limited.in_flight(0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_the_same_request() {
    let limited = Limited::start_with(1, Options::default().retries(1)).await;
    let (mut client, mut request) = limited.send(&get()).await;
    request.answer(503).await;
    let mut again = limited.cell.accept().await;
    limited.refused(&get()).await;
    limited.in_flight(1.0).await;
    again.answer(200).await;
    assert_eq!(client.response("GET").await.unwrap().status, 200);
    limited.in_flight(0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_counts_while_it_is_open() {
    let limited = Limited::start(1).await;
    let upgrade = get().header("connection", "upgrade").header("upgrade", "websocket");
    let (mut client, mut request) = limited.send(&upgrade).await;
    request.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello").await;
    assert_eq!(client.response("GET").await.unwrap().status, 101);
    assert_eq!(client.bytes(5).await.unwrap(), "hello");
    limited.refused(&get()).await;
    drop(client);
    limited.in_flight(0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_uses_no_unit_and_no_place() {
    let options = Options::default()
        .configure(|config| config["rate_limits"] = json!([{"name": "three", "key": [], "limit": "1/h;burst=3"}]));
    let limited = Limited::start_with(1, options).await;
    let (mut client, mut request) = limited.send(&get()).await;
    for _ in 0..5 {
        assert_eq!(limited.refused(&get()).await.json()["code"], "concurrency_limited");
    }
    request.answer(200).await;
    assert_eq!(client.response("GET").await.unwrap().status, 200);
    limited.in_flight(0.0).await;
    // The refused ones have used nothing: two of three units are left.
    limited.assert_admitted(&get()).await;
    limited.in_flight(0.0).await;
    limited.assert_admitted(&get()).await;
    for _ in 0..5 {
        assert_eq!(limited.refused(&get()).await.json()["code"], "rate_limited");
    }
    limited.in_flight(0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_responses_and_does_not_harm_them() {
    let limited = Limited::start_with(1, Options::default().service_option("--drain-delay", "0s")).await;
    let (mut pending, mut pending_request) = limited.send(&get()).await;
    limited.stack.ext_proc().signal(Signal::TERM).unwrap();
    assert_eq!(limited.stack.ext_proc().ended().await.unwrap(), Some(0));
    pending_request.answer(200).await;
    assert_eq!(pending.response("GET").await.unwrap().status, 200);
}

/// Envoy keeps these streams open until the response has ended, although no limit counts the requests. They were aborted at
/// the end of the drain timeout, and Envoy broke off their responses.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_response_arrives_whole_through_a_drain_although_no_limit_counts_the_request() {
    let another_cell = json!([{"name": "slow", "key": ["cell"], "at_most": 5, "applies_to": {"cells": ["cell-a"]}}]);
    let service = |mode| Options::default().chain(Chain::Service(mode)).service_option("--drain-timeout", "2s");
    let cases = [
        (
            "FULL_DUPLEX_STREAMED, a limit on another cell",
            service(BodyMode::Streamed).configure(|config| config["concurrency_limits"] = another_cell),
        ),
        ("BUFFERED, no concurrency limit", service(BodyMode::Buffered)),
    ];
    for (name, options) in cases {
        let cell = RawCell::start().await;
        let stack = Stack::start(options.adjust(cell.in_place_of("cell-b"))).await;
        let mut client = stack.connect().await;
        client.write(Request::post("/").json(key_last("acme", 2_000)).to_http1()).await.unwrap();
        let mut arrived = cell.accept().await;
        arrived.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
        assert_eq!(client.head().await.unwrap().status, 200, "{name}");
        stack.ext_proc().signal(Signal::TERM).unwrap();
        assert_eq!(stack.ext_proc().ended().await.unwrap(), Some(0), "{name}");
        arrived.write("final").await;
        let body = client.bytes(10).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(body, "firstfinal", "{name}");
        assert!(stack.ext_proc().log().contains(r#""event":"drained""#), "{name}: the drain waited for the response");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_fails_the_requests_that_it_counts() {
    let limited = Limited::start(2).await;
    let (mut pending, _pending_request) = limited.send(&get()).await;
    let (mut begun, mut begun_request) = limited.send(&get()).await;
    begun_request.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
    begun.head().await.unwrap();
    limited.stack.ext_proc().kill();
    assert_eq!(pending.response("GET").await.unwrap().status, 503);
    assert!(begun.bytes(10).await.is_err());
    limited.stack.ext_proc().restart().await.unwrap();
    // It begins with no request in flight.
    let reconnected = || async {
        let mut client = limited.stack.connect().await;
        client.write(get().to_http1()).await?;
        let answer = tokio::select! {
            mut request = limited.cell.accept() => {
                request.answer(200).await;
                client.response("GET").await?
            }
            answer = client.response("GET") => answer?,
        };
        Ok((answer.status == 200).then_some(()))
    };
    wait::until("the restarted service to admit a request", reconnected).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_settings_a_request_leaves_early_and_nothing_hangs() {
    let limited = Limited::start_with(
        1,
        Options::default().adjust(|bootstrap| without_responses(bootstrap, "response_trailer_mode")),
    )
    .await;
    for request in [get(), Request::post("/").json(key_last("acme", 2_000_000))] {
        limited.assert_admitted(&request).await;
        limited.in_flight(0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_response_with_trailers_costs_a_message_and_only_under_such_a_limit() {
    let options = Options::default().configure(|config| {
        config["rate_limits"] = json!([{"name": "many", "key": ["routing_key"], "limit": "1000/s"}]);
    });
    let limited = Limited::start_with(1, options).await;
    let sent = || async { limited.stack.admin().stat("http.in.ext_proc.cellgate.stream_msgs_sent").await.unwrap() };
    let with_trailers = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for (response, messages) in [(plain, 1), (with_trailers, 2)] {
        let before = sent().await;
        let (mut client, mut request) = limited.send(&get()).await;
        request.write(response).await;
        client.response("GET").await.unwrap();
        limited.in_flight(0.0).await;
        assert_eq!(sent().await - before, messages, "{response}");
    }
}
