//! gRPC calls are routed by a key in their metadata, and their messages are forwarded one by one, without buffering.

use bytes::Bytes;
use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Http2, Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{arrived, counted, may_close_the_processors_stream};

/// An uncompressed gRPC message: flag, length, bytes.
fn message(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap();
    Bytes::from([&[0], length.to_be_bytes().as_slice(), bytes].concat())
}

fn call() -> Request {
    Request::post("/demo.Echo/Call").header("content-type", "application/grpc").header("te", "trailers")
}

/// An alternative order of sources: the header first. By default a header also decides after body sources.
fn header_first() -> Options {
    Options::default().configure(|config| config["key"] = json!([{"header": "x-tenant-id"}, {"json": "/tenant/id"}]))
}

fn header_after_skipping_the_body() -> Options {
    Options::default().configure(|config| config["policy"] = json!({"content_type_unsupported": "next"}))
}

/// Checks that each message comes back before the next is sent, and before the call ends.
async fn assert_bidirectional(client: &Http2, stack: &Stack) {
    let before = stack.cell("cell-b").complete();
    let stream = client.open(&call().header("x-tenant-id", "acme")).await.unwrap();
    let mut stream = stream;
    stream.data(message(b"first")).await.unwrap();
    let (head, mut sink, mut source) = stream.duplex().await.unwrap();
    assert_eq!((head.status.as_u16(), &head.headers["served-by"]), (200, &"cell-b".parse().unwrap()));
    assert_eq!(source.data().await.unwrap().unwrap(), message(b"first"));
    for text in ["second", "third"] {
        sink.send_data(message(text.as_bytes()), false).unwrap();
        assert_eq!(source.data().await.unwrap().unwrap(), message(text.as_bytes()));
    }
    assert_eq!(stack.cell("cell-b").complete(), before, "the call has not ended");
    sink.send_data(Bytes::new(), true).unwrap();
    while let Some(data) = source.data().await {
        assert_eq!(data.unwrap(), "");
    }
    assert_eq!(source.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    stack.cell("cell-b").wait_for(Ending::Complete, before + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_call_is_forwarded_message_by_message() {
    for options in [Options::default(), header_first(), header_after_skipping_the_body()] {
        let stack = Stack::start(options).await;
        assert_bidirectional(&stack.connect_h2().await, &stack).await;
        assert_eq!(stack.ext_proc_streams().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_forwards_a_streaming_call() {
    for options in [Options::default(), header_first()] {
        let stack = Stack::start(options.chain(Chain::Service(BodyMode::Streamed))).await;
        if may_close_the_processors_stream(&stack).await {
            return;
        }
        assert_bidirectional(&stack.connect_h2().await, &stack).await;
    }
}

/// The messages are JSON, but the body is not, since each message has a prefix of five bytes. So it is not inspected.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_json_messages_is_not_inspected_as_json() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    for (count, content_type) in ["application/grpc+json", "application/grpc-web+json"].into_iter().enumerate() {
        let request = Request::post("/demo.Echo/Call").header("content-type", content_type);
        let stream = client.open(&request).await.unwrap();
        stream.response().await.unwrap();
        counted(&stack, "decisions.reject.content_type_unsupported", count as u64 + 1).await;
    }
    assert_eq!(arrived(&stack), 0);
}

/// A server that parses every `+json` type would find another tenant than the header's.
#[tokio::test(flavor = "multi_thread")]
async fn json_with_a_grpc_content_type_is_not_decided_by_a_header() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(Options::default().chain(chain)).await;
        let client = stack.connect_h2().await;
        let request = Request::post("/").header("content-type", "application/grpc+json");
        let stream = client.open(&request.header("x-tenant-id", "globex")).await.unwrap();
        let answer = stream.response().await.unwrap();
        let message = answer.header("grpc-message").unwrap_or_default();
        assert!(message.starts_with("content_type_unsupported: "), "{chain:?}: {answer:?}");
        assert_eq!(arrived(&stack), 0, "{chain:?}");
    }
}

/// Both tiers use the same form: `code: sentence`.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_gets_a_message_with_code_and_sentence() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Buffered)] {
        let stack = Stack::start(Options::default().chain(chain)).await;
        let client = stack.connect_h2().await;
        let stream = client.open(&call()).await.unwrap();
        let answer = stream.response().await.unwrap();
        let message = answer.header("grpc-message").unwrap_or_default();
        assert!(message.starts_with("content_type_unsupported: "), "{chain:?}: {message}");
        assert!(!message.contains(['{', '"']), "{chain:?}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unary_call_is_routed() {
    let stack = Stack::start(header_first()).await;
    let request = call().header("x-tenant-id", "globex").pieces([message(b"hello")]);
    let answer = stack.send_h2(&request).await;
    assert_eq!(answer.cell(), "cell-c");
    assert_eq!(answer.body, message(b"hello"));
    assert_eq!(answer.trailer("grpc-status"), Some("0"));
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stream_larger_than_any_buffer_is_routed() {
    let stack = Stack::start(header_first()).await;
    let sent = message(&vec![7; 3_000_000]);
    let pieces = sent.chunks(30_000).map(Bytes::copy_from_slice);
    let answer = stack.send_h2(&call().header("x-tenant-id", "globex").pieces(pieces)).await;
    assert_eq!(answer.cell(), "cell-c");
    assert_eq!(answer.body, sent);
}

/// The cell responds while it reads, so the client already has a part of the response when the conflict is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_after_the_response_has_begun_resets_both_sides() {
    // The cells echo every content type that begins like gRPC. This body is JSON.
    let options = Options::default()
        .configure(|config| config["content_types"] = json!({"json": ["application/json", "application/grpc+x"]}));
    let stack = Stack::start(options).await;
    let client = stack.connect_h2().await;
    let conflicts = [r#","tenant":{"id":"globex"}}"#, "]"];
    for (count, conflict) in conflicts.into_iter().enumerate() {
        let start = r#"{"tenant":{"id":"acme"},"x":1"#;
        let mut stream = client.open(&Request::post("/").header("content-type", "application/grpc+x")).await.unwrap();
        stream.data(start).await.unwrap();
        let (head, mut sink, mut source) = stream.duplex().await.unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(source.data().await.unwrap().unwrap(), start);
        sink.send_data(Bytes::from(conflict), false).unwrap();
        assert!(source.data().await.unwrap().is_err(), "the stream is reset");
        stack.cell("cell-b").wait_for(Ending::Broken, count as u64 + 1).await;
    }
    assert_eq!(stack.cell("cell-b").complete(), 0);
    counted(&stack, "guard_conflicts", 2).await;
    // The VM still works.
    assert_eq!(stack.post_json("/", r#"{"tenant":{"id":"globex"}}"#).await.cell(), "cell-c");
}

/// A gRPC client cannot read a problem document, so it gets a trailers-only response (gRPC over HTTP/2).
#[track_caller]
fn assert_refused(answer: &Response) {
    assert_eq!(answer.served_by(), None);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    let status = answer.header("grpc-status").map(str::parse::<u32>);
    assert!(matches!(status, Some(Ok(1..=16))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_key_is_rejected_before_it_ends() {
    for options in [header_first(), header_after_skipping_the_body(), Options::default()] {
        let stack = Stack::start(options).await;
        let client = stack.connect_h2().await;
        let mut stream = client.open(&call()).await.unwrap();
        // The refusal may arrive before this message is sent.
        let _ = stream.data(message(b"first")).await;
        assert_refused(&stream.response().await.unwrap());
        assert_eq!(arrived(&stack), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_rejects_a_call_without_a_key() {
    let stack = Stack::start(header_first().chain(Chain::Service(BodyMode::Streamed))).await;
    let client = stack.connect_h2().await;
    let stream = client.open(&call()).await.unwrap();
    assert_refused(&stream.response().await.unwrap());
    assert_eq!(arrived(&stack), 0);
}
