//! Tests of the harness: Envoy, the cells and the clients without any part of Cellgate.

use std::time::Duration;

use bytes::Bytes;
use cellgate_tests::cell::{Ending, Reading};
use cellgate_tests::client::Request;
use cellgate_tests::envoy::Envoy;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::ports::ClosedPort;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use http::StatusCode;

fn plain() -> Options {
    Options::default().chain(Chain::Plain)
}

fn to_cell_b(path: &str) -> Request {
    Request::post(path).header("x-cell", "cell-b")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routing_header_chooses_the_cell() {
    let stack = Stack::start(plain()).await;
    for cell in ["cell-a", "cell-b", "cell-c"] {
        let request = Request::post("/echo?x=1").header("x-cell", cell).json(r#"{"a":1}"#);
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert_eq!(answer.cell(), cell);
            assert_eq!(answer.sha256(), sha256(br#"{"a":1}"#));
            assert_eq!(answer.json()["path"], "/echo?x=1");
        }
        assert_eq!(stack.cell(cell).complete(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_cell_is_rejected_and_logged() {
    let stack = Stack::start(plain()).await;
    assert_eq!(stack.get("/nowhere").await.status, 421);
    let line = stack.envoy().access_line("/nowhere").await;
    assert_eq!((line.code(), line.text("details"), line.text("cell")), (421, "direct_response", ""));
    assert_eq!(stack.admin().wait_for_stat("http.in.downstream_rq_4xx", |count| count == 1).await, 1);
    let version = stack.admin().version().await.unwrap();
    assert_eq!(version.split('.').count(), 3, "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_long_bodies_arrive_over_both_protocols() {
    let stack = Stack::start(plain()).await;
    let body = Bytes::from(vec![b'x'; 3_000_000]);
    let pieces = [body.slice(..1), body.slice(1..70_000), body.slice(70_000..)];
    let request = to_cell_b("/").header("te", "trailers").pieces(pieces).trailer("checksum", "abc");
    for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
        assert_eq!(answer.sha256(), sha256(&body));
        assert_eq!(answer.received_trailer("checksum"), ["abc"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_bytes_that_are_not_text_arrive() {
    let stack = Stack::start(plain()).await;
    let answer = stack.send(&to_cell_b("/").header("x-odd", [0xa1, 0xb1])).await;
    assert_eq!(answer.received("x-odd"), ["\u{a1}\u{b1}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_and_connect_become_echoes() {
    let stack = Stack::start(plain()).await;
    let upgrade =
        Request::get("/").header("x-cell", "cell-b").header("connection", "upgrade").header("upgrade", "websocket");
    let connect = Request::new("CONNECT", "cellgate.test:80").header("x-cell", "cell-b");
    for (request, status) in [(upgrade, 101), (connect, 200)] {
        let mut tunnel = stack.connect().await;
        let answer = tunnel.send(&request).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.cell()), (status, "cell-b"));
        tunnel.write("ping").await.unwrap();
        assert_eq!(tunnel.bytes(4).await.unwrap(), "ping");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_calls_are_echoed_with_their_status() {
    let stack = Stack::start(plain()).await;
    let call = to_cell_b("/pkg.Service/Method").header("content-type", "application/grpc").header("te", "trailers");
    let answer = stack.send_h2(&call.pieces(["\0\0\0\0\x02hi"])).await;
    assert_eq!(answer.cell(), "cell-b");
    assert_eq!(answer.body, "\0\0\0\0\x02hi");
    assert_eq!(answer.trailer("grpc-status"), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_request_is_retried() {
    let stack = Stack::start(plain().retries(1)).await;
    stack.cell("cell-b").fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
    let answer = stack.send(&to_cell_b("/retry").body("once more")).await;
    assert_eq!((answer.status, answer.sha256()), (StatusCode::OK, sha256(b"once more")));
    assert_eq!(stack.envoy().access_line("/retry").await.number("attempts"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_request_counts_as_broken() {
    let stack = Stack::start(plain()).await;
    let cell = stack.cell("cell-b");
    let mut client = stack.connect().await;
    client.write(to_cell_b("/").header("content-length", "10").http1_head()).await.unwrap();
    client.write("half").await.unwrap();
    cell.wait_for_arrivals(1).await;
    client.reset().unwrap();
    let stream = stack.connect_h2().await;
    let mut stream = stream.open(&to_cell_b("/")).await.unwrap();
    stream.data("half").await.unwrap();
    cell.wait_for_arrivals(2).await;
    stream.reset();
    cell.wait_for(Ending::Broken, 2).await;
    assert_eq!(cell.complete(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_never_reads_blocks_the_client() {
    let stack = Stack::start(plain().stream_idle_timeout(Duration::from_secs(1))).await;
    stack.cell("cell-b").reading(Reading::Never);
    let answer = stack.send(&to_cell_b("/").body("unread")).await;
    assert_eq!(answer.status, 504);
    stack.cell("cell-b").reading(Reading::Early);
    assert_eq!(stack.send(&to_cell_b("/").body("unread")).await.cell(), "cell-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_accepts_every_ext_proc_mode() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let closed = ClosedPort::take().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::default().chain(Chain::Service(mode));
        let envoy = Envoy::start(&mut options, &[], Some(closed.address().unwrap()), directory.path()).await.unwrap();
        let answer = cellgate_tests::client::get(envoy.address(), "/").await.unwrap();
        assert_eq!(answer.status, 503, "a request must not bypass an unreachable service");
    }
}
