//! A request with ambiguous framing reaches no cell. Two readers that disagree about the end of a body allow request
//! smuggling (RFC 9112, 11.2).

use cellgate_tests::client::{Http2Stream, Request};
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;

use crate::support::arrived;

const GOOD: &str = r#"{"tenant":{"id":"acme"}}"#;
const SMUGGLED: &str = "POST /smuggled HTTP/1.1\r\nhost: x\r\nx-cell: cell-c\r\ncontent-length: 0\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_http1_framing_is_rejected() {
    let stack = Stack::start(Options::default()).await;
    let length = GOOD.len();
    let framings = [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: {length}\r\ncontent-length: {}", length + SMUGGLED.len()),
        format!("content-length: {length}, {length}"),
        format!("content-length: +{length}"),
        format!("content-length: 0x{length:x}"),
        "content-length: -1".to_owned(),
        "transfer-encoding: identity, chunked".to_owned(),
        "transfer-encoding: chunked, chunked".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
    ];
    let mut refused = Vec::new();
    for framing in framings {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{framing}\r\n\r\n");
        let mut client = stack.connect().await;
        // Envoy may close the connection before the client has written everything.
        let _ = client.write([head.as_str(), GOOD, SMUGGLED].concat()).await;
        let answer = client.response("POST").await.unwrap();
        assert!(matches!(answer.status.as_u16(), 400 | 501), "{framing}: {answer:?}");
        assert_eq!(answer.served_by(), None, "{framing}");
        refused.push((framing, client));
    }
    for (framing, client) in refused {
        assert_eq!(client.closed().await.unwrap(), "", "{framing}: Envoy sent more than one response");
    }
    assert_eq!(arrived(&stack), 0);
}

/// Waits until Envoy resets the stream.
async fn assert_protocol_error(stream: Http2Stream) {
    let error = format!("{:#}", stream.response().await.unwrap_err());
    assert!(error.contains("protocol error"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_body_longer_than_its_content_length_reaches_no_cell_whole() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    for rest in [" ", r#"{"tenant":{"id":"globex"}}"#] {
        let request = Request::post("/").header("content-length", GOOD.len().to_string());
        let mut stream = client.open(&request.header("content-type", "application/json")).await.unwrap();
        stream.data(GOOD).await.unwrap();
        let _ = stream.finish(rest);
        assert_protocol_error(stream).await;
    }
    assert_eq!(stack.cells().iter().map(|cell| cell.complete()).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_body_shorter_than_its_content_length_reaches_no_cell_whole() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    // One body that the filter can hold, and one that is too long.
    for length in [GOOD.len() + 1, 100_000] {
        let request = Request::post("/").header("content-length", length.to_string());
        let mut stream = client.open(&request.header("content-type", "application/json")).await.unwrap();
        stream.finish(GOOD).unwrap();
        assert_protocol_error(stream).await;
    }
    assert_eq!(stack.cells().iter().map(|cell| cell.complete()).sum::<u64>(), 0);
}
