//! Keys in protobuf messages: plain, and in gRPC and gRPC-Web calls.

mod tonic_peer;
mod web;

use std::io::Write;

use bytes::Bytes;
use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Http2, Request};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use flate2::write::GzEncoder;
use prost::Message;
use serde_json::json;

use crate::support::{arrived, code, counted, may_close_the_processors_stream};

/// The message of these tests. The key is at `1.1`.
#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(message, optional, tag = "1")]
    tenant: Option<Tenant>,
    #[prost(bytes = "vec", tag = "2")]
    payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Tenant {
    #[prost(string, tag = "1")]
    id: String,
}

impl Order {
    fn of(tenant: &str) -> Self {
        Self { tenant: Some(Tenant { id: tenant.to_owned() }), payload: b"order".to_vec() }
    }

    fn without_tenant(payload: usize) -> Self {
        Self { tenant: None, payload: vec![7; payload] }
    }
}

/// A message of a call: flag, length, bytes.
fn frame(flags: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap();
    Bytes::from([&[flags], length.to_be_bytes().as_slice(), message].concat())
}

fn plain(order: &Order) -> Bytes {
    frame(0, &order.encode_to_vec())
}

fn gzip(order: &Order) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&order.encode_to_vec()).unwrap();
    frame(1, &encoder.finish().unwrap())
}

fn options() -> Options {
    Options::default().configure(|config| config["key"] = json!([{"protobuf": "1.1"}, {"header": "x-tenant-id"}]))
}

fn call() -> Request {
    Request::post("/shop.Orders/Place").header("content-type", "application/grpc").header("te", "trailers")
}

/// Sends each message only after the one before has come back, so the cell has it before the next is sent.
async fn assert_bidirectional(client: &Http2, stack: &Stack, request: &Request, messages: &[Bytes]) {
    let cell = stack.cell("cell-b");
    let (arrivals, complete) = (cell.arrived(), cell.complete());
    let mut stream = client.open(request).await.unwrap();
    stream.data(messages[0].clone()).await.unwrap();
    let (head, mut sink, mut source) = stream.duplex().await.unwrap();
    assert_eq!((head.status.as_u16(), &head.headers["served-by"]), (200, &"cell-b".parse().unwrap()));
    assert_eq!(source.data().await.unwrap().unwrap(), messages[0]);
    for message in &messages[1..] {
        sink.send_data(message.clone(), false).unwrap();
        assert_eq!(source.data().await.unwrap().unwrap(), message);
    }
    assert_eq!((cell.arrived(), cell.complete()), (arrivals + 1, complete), "the call has not ended");
    sink.send_data(Bytes::new(), true).unwrap();
    while let Some(data) = source.data().await {
        assert_eq!(data.unwrap(), "");
    }
    assert_eq!(source.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    cell.wait_for(Ending::Complete, complete + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_forwards_the_first_message_before_the_second_is_sent() {
    let stack = Stack::start(options()).await;
    let messages = [plain(&Order::of("acme")), plain(&Order::without_tenant(10)), plain(&Order::of("acme"))];
    assert_bidirectional(&stack.connect_h2().await, &stack, &call(), &messages).await;
    assert_eq!(stack.ext_proc_streams().await, 0);
}

/// The filter defers the call at its head. The service releases it after the first message.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_forwards_the_first_compressed_message_before_the_second_is_sent() {
    let stack = Stack::start(options()).await;
    if may_close_the_processors_stream(&stack).await {
        return;
    }
    let messages = [gzip(&Order::of("acme")), plain(&Order::of("acme")), gzip(&Order::without_tenant(10))];
    let request = call().header("grpc-encoding", "gzip");
    assert_bidirectional(&stack.connect_h2().await, &stack, &request, &messages).await;
    assert_eq!(stack.ext_proc_streams().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_forwards_the_first_message_before_the_second_is_sent() {
    let stack = Stack::start(options().chain(Chain::Service(BodyMode::Streamed))).await;
    if may_close_the_processors_stream(&stack).await {
        return;
    }
    let messages = [plain(&Order::of("acme")), plain(&Order::without_tenant(10)), plain(&Order::of("acme"))];
    assert_bidirectional(&stack.connect_h2().await, &stack, &call(), &messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_message_is_routed_by_both_tiers() {
    let body = Order::of("acme").encode_to_vec();
    let late = [Order::without_tenant(200_000).encode_to_vec(), body.clone()].concat();
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Buffered), Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(options().chain(chain)).await;
        for body in [&body, &late] {
            let request = Request::post("/orders").header("content-type", "application/x-protobuf");
            for answer in [
                stack.send(&request.clone().body(body.clone())).await,
                stack.send_h2(&request.body(body.clone())).await,
            ] {
                assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(body)), "{chain:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_one_message_is_routed_by_both_tiers() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Buffered), Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(options().chain(chain)).await;
        for (request, message) in [
            (call(), plain(&Order::of("globex"))),
            (call().header("grpc-encoding", "gzip"), gzip(&Order::of("globex"))),
        ] {
            let answer = stack.send_h2(&request.pieces([message.clone()])).await;
            assert_eq!((answer.cell(), &answer.body), ("cell-c", &message), "{chain:?}");
            assert_eq!(answer.trailer("grpc-status"), Some("0"), "{chain:?}");
        }
        // No key in the message: the next source.
        let request = call().header("x-tenant-id", "acme").pieces([plain(&Order::without_tenant(1))]);
        assert_eq!(stack.send_h2(&request).await.cell(), "cell-b", "{chain:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stream_larger_than_any_buffer_is_routed() {
    let stack = Stack::start(options().buffer_limit(32 * 1024)).await;
    let first = [plain(&Order::of("globex")), plain(&Order::without_tenant(3_000_000))].concat();
    let last = [plain(&Order::without_tenant(500_000)), plain(&Order::of("globex"))].concat();
    for (deferred, sent) in [(0, first), (1, last)] {
        // The cell begins its response with the first message, while the service still sends the rest.
        if deferred > 0 && may_close_the_processors_stream(&stack).await {
            continue;
        }
        let pieces = sent.chunks(30_000).map(Bytes::copy_from_slice);
        let answer = stack.send_h2(&call().pieces(pieces)).await;
        assert_eq!(answer.cell(), "cell-c");
        assert_eq!(answer.body, sent);
        assert_eq!(stack.ext_proc_streams().await, deferred);
    }
}

/// The upstream never has the whole of the message that contradicts the first one.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_message_of_another_tenant_resets_the_call() {
    let stack = Stack::start(options()).await;
    let client = stack.connect_h2().await;
    let conflicts = [plain(&Order::of("globex")), frame(0, &[0x0a, 9]), frame(7, b""), gzip(&Order::of("acme"))];
    for (count, conflict) in conflicts.into_iter().enumerate() {
        let first = plain(&Order::of("acme"));
        let mut stream = client.open(&call()).await.unwrap();
        stream.data(first.clone()).await.unwrap();
        let (head, mut sink, mut source) = stream.duplex().await.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(source.data().await.unwrap().unwrap(), first);
        sink.send_data(conflict, false).unwrap();
        assert!(source.data().await.unwrap().is_err(), "the stream is reset");
        stack.cell("cell-b").wait_for(Ending::Broken, count as u64 + 1).await;
    }
    assert_eq!(stack.cell("cell-b").complete(), 0);
    assert!(stack.cell("cell-b").seen().iter().all(|seen| seen.body_bytes == plain(&Order::of("acme")).len() as u64));
    counted(&stack, "guard_conflicts", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_gets_a_grpc_status() {
    let both = [plain(&Order::of("acme")), plain(&Order::of("globex"))].concat();
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(options().chain(chain)).await;
        for (request, message, reason) in [
            (call(), Bytes::from(both.clone()), "key_conflict: "),
            (call(), frame(0, &[0x0f]), "body_malformed: "),
            (call(), plain(&Order::of("")), "key_missing: "),
            (call(), frame(0, &[0x0a, 2, 0x0a, 0]), "key_empty: "),
            (call().header("grpc-encoding", "zstd"), plain(&Order::of("acme")), "body_encoded: "),
            (call(), gzip(&Order::of("acme")), "body_malformed: "),
        ] {
            let answer = stack.send_h2(&request.pieces([message])).await;
            assert_eq!(answer.status, 200, "{chain:?}: {reason}");
            let message = answer.header("grpc-message").unwrap_or_default();
            assert!(message.starts_with(reason), "{chain:?}: {reason}, not {message}");
            let status = answer.header("grpc-status").map(str::parse::<u32>);
            assert!(matches!(status, Some(Ok(1..=16))), "{chain:?}: {answer:?}");
        }
        let request = Request::post("/").header("content-type", "application/x-protobuf").body(vec![0x0f]);
        assert_eq!(code(&stack.send(&request).await), "body_malformed");
        assert_eq!(arrived(&stack), 0, "{chain:?}");
    }
}
