//! Tunnels have no body to wait for: they are decided from the head at once, or rejected.

use std::time::Duration;

use bytes::Bytes;
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::support::{arrived, code};

const BODY: &str = r#"{"tenant":{"id":"acme"}}"#;

fn websocket(method: &str) -> Request {
    Request::new(method, "/socket")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

async fn assert_echo(client: &mut Http1) {
    for message in ["one", "and another"] {
        client.write(message).await.unwrap();
        assert_eq!(client.bytes(message.len()).await.unwrap(), message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_placed_by_a_header_and_echoes() {
    let stack = Stack::start(Options::default()).await;
    for (tenant, cell) in [("acme", "cell-b"), ("globex", "cell-c")] {
        let mut client = stack.connect().await;
        client.write(websocket("GET").header("x-tenant-id", tenant).to_http1()).await.unwrap();
        let answer = client.response("GET").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.cell()), (101, cell));
        assert_echo(&mut client).await;
        assert_eq!(stack.cell(cell).seen()[0].header("x-cell"), [cell]);
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_with_body_headers_is_decided_at_once() {
    let stack = Stack::start(Options::default()).await;
    let mut client = stack.connect().await;
    let request = websocket("POST").header("content-type", "application/json").header("x-tenant-id", "acme");
    client.write(request.to_http1()).await.unwrap();
    let answer = client.response("POST").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.cell()), (101, "cell-b"));
    assert_echo(&mut client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_a_key_is_rejected() {
    let stack = Stack::start(Options::default()).await;
    for request in [websocket("GET"), websocket("GET").header("x-cell", "cell-b")] {
        let answer = stack.send(&request).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "upgrade"));
    }
    assert_eq!(arrived(&stack), 0);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_placed_by_a_header_and_echoes() {
    let stack = Stack::start(Options::default()).await;
    let connect = || Request::new("CONNECT", "db.internal:5432").header("x-tenant-id", "acme");

    let mut h1 = stack.connect().await;
    h1.write(connect().to_http1()).await.unwrap();
    assert_eq!(h1.response("CONNECT").await.unwrap().cell(), "cell-b");
    assert_echo(&mut h1).await;

    let h2 = stack.connect_h2().await;
    let stream = h2.open(&connect()).await.unwrap();
    let (head, mut sink, mut source) = stream.duplex().await.unwrap();
    assert_eq!(head.status, 200);
    sink.send_data(Bytes::from_static(b"ping"), false).unwrap();
    assert_eq!(source.data().await.unwrap().unwrap(), "ping");
    assert_eq!(stack.cell("cell-b").arrived(), 2);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_without_a_key_is_rejected() {
    let stack = Stack::start(Options::default()).await;
    let request = Request::new("CONNECT", "db.internal:5432").header("x-cell", "cell-b");
    for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.served_by(), None);
    }
    assert_eq!(arrived(&stack), 0);
}

/// RFC 8441: a WebSocket over HTTP/2 is a CONNECT with a protocol.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_over_http2_is_placed_by_a_header_and_echoes() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    // After the first response the client has the server's settings, which allow extended CONNECT.
    client.send(&Request::get("/").header("x-tenant-id", "acme")).await.unwrap();
    let socket = Request::new("CONNECT", "/socket").protocol("websocket");
    let stream = client.open(&socket.clone().header("x-tenant-id", "globex")).await.unwrap();
    let (head, mut sink, mut source) = stream.duplex().await.unwrap();
    assert_eq!(head.status, 200);
    sink.send_data(Bytes::from_static(b"ping"), false).unwrap();
    assert_eq!(source.data().await.unwrap().unwrap(), "ping");
    assert_eq!(stack.cell("cell-c").arrived(), 1);

    let refused = client.open(&socket).await.unwrap().response().await.unwrap();
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (400, "upgrade"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_without_a_connection_header_is_an_ordinary_request() {
    let stack = Stack::start(Options::default()).await;
    let plain = Request::post("/").header("upgrade", "websocket").json(BODY);
    // Envoy supports HTTP/2 with prior knowledge only, so it ignores this upgrade too (RFC 9113 has removed h2c
    // upgrades).
    let h2c = Request::post("/").header("connection", "upgrade").header("upgrade", "h2c").json(BODY);
    for request in [plain, h2c] {
        let answer = stack.send(&request).await;
        assert_eq!(answer.cell(), "cell-b", "{request:?}");
        assert_eq!(answer.sha256(), sha256(BODY.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_envoy_does_not_accept_reaches_no_cell() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).upgrades(&[])).await;
    let request = websocket("GET").header("x-tenant-id", "acme");
    assert_eq!(stack.send(&request).await.status, 403);
    assert_eq!(arrived(&stack), 0);
}

/// A cell may ignore an upgrade (RFC 9110, 7.8) and read the body, which has another tenant than the head. Envoy 1.40
/// withholds the body until the cell accepts the upgrade; 1.36 does so for WebSockets only.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_whose_body_takes_precedence_over_its_head_is_rejected() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(Options::default().chain(chain).upgrades(&["websocket", "custom"])).await;
        for protocol in ["websocket", "custom"] {
            let request = Request::post("/").header("connection", "upgrade").header("upgrade", protocol);
            let answer = stack.send(&request.header("x-tenant-id", "globex").json(BODY)).await;
            assert_eq!(code(&answer), "upgrade", "{chain:?} {protocol}");
        }
        assert_eq!(arrived(&stack), 0);
    }
}

/// In BUFFERED mode, Envoy would wait for the end of the tunnel. Envoy 1.39 also does so in the streamed mode, until
/// its idle timeout. Earlier and later versions do not.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_places_a_websocket_in_streamed_mode() {
    let options = Options::default().chain(Chain::Service(BodyMode::Streamed));
    let stack = Stack::start(options.stream_idle_timeout(Duration::from_secs(3))).await;
    assert_eq!(code(&stack.send(&websocket("GET")).await), "upgrade");
    assert_eq!(arrived(&stack), 0);
    let mut client = stack.connect().await;
    client.write(websocket("GET").header("x-tenant-id", "acme").to_http1()).await.unwrap();
    let answer = client.response("GET").await.unwrap();
    if stack.admin().version().await.unwrap().starts_with("1.39.") {
        assert_eq!((answer.status.as_u16(), answer.served_by()), (408, None));
    } else {
        assert_eq!((answer.status.as_u16(), answer.cell()), (101, "cell-b"));
        assert_echo(&mut client).await;
    }
}
