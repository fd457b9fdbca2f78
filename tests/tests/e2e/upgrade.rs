//! Tunnels have no body to wait for: they are decided from the head at once, or refused.

use bytes::Bytes;
use cellgate_tests::client::{Http1, Request, latin1};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use cellgate_tests::{ports, sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{arrived, bytes_read, code, read_by_envoy};

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
async fn a_websocket_that_looks_like_a_post_is_not_waited_for() {
    let stack = Stack::start(Options::default()).await;
    let mut client = stack.connect().await;
    let request = websocket("POST").header("content-type", "application/json").header("x-tenant-id", "acme");
    client.write(request.to_http1()).await.unwrap();
    let answer = client.response("POST").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.cell()), (101, "cell-b"));
    assert_echo(&mut client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_key_is_refused() {
    let stack = Stack::start(Options::default()).await;
    for request in [websocket("GET"), websocket("GET").header("x-cell", "cell-b")] {
        let answer = stack.send(&request).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (421, "upgrade"));
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
async fn connect_without_key_is_refused() {
    let stack = Stack::start(Options::default()).await;
    let request = Request::new("CONNECT", "db.internal:5432").header("x-cell", "cell-b");
    for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
        assert_eq!(answer.status, 421);
        assert_eq!(answer.served_by(), None);
    }
    assert_eq!(arrived(&stack), 0);
}

/// RFC 8441: a WebSocket over HTTP/2 is a CONNECT with a protocol.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_over_http2_is_placed_by_a_header_and_echoes() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    // The server's settings are there after the first answer, and with them the leave for what follows.
    client.send(&Request::get("/").header("x-tenant-id", "acme")).await.unwrap();
    let socket = Request::new("CONNECT", "/socket").protocol("websocket");
    let stream = client.open(&socket.clone().header("x-tenant-id", "globex")).await.unwrap();
    let (head, mut sink, mut source) = stream.duplex().await.unwrap();
    assert_eq!(head.status, 200);
    sink.send_data(Bytes::from_static(b"ping"), false).unwrap();
    assert_eq!(source.data().await.unwrap().unwrap(), "ping");
    assert_eq!(stack.cell("cell-c").arrived(), 1);

    let refused = client.open(&socket).await.unwrap().response().await.unwrap();
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (421, "upgrade"));
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_without_connection_is_an_ordinary_request() {
    let stack = Stack::start(Options::default()).await;
    let body = r#"{"tenant":{"id":"acme"}}"#;
    let plain = Request::post("/").header("upgrade", "websocket").json(body);
    // Envoy speaks HTTP/2 by prior knowledge only, so this upgrade is none either (RFC 9113 has dropped it).
    let h2c = Request::post("/").header("connection", "upgrade").header("upgrade", "h2c").json(body);
    for request in [plain, h2c] {
        let answer = stack.send(&request).await;
        assert_eq!(answer.cell(), "cell-b", "{request:?}");
        assert_eq!(answer.sha256(), sha256(body.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_envoy_does_not_accept_reaches_no_cell() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).upgrades(&[])).await;
    let request = websocket("GET").header("x-tenant-id", "acme");
    assert_eq!(stack.send(&request).await.status, 403);
    assert_eq!(arrived(&stack), 0);
}

/// An upgrade may be ignored (RFC 9110, 7.8). If the body went along, a cell that does so would read one that nobody has
/// looked into: here, of another tenant. Envoy keeps it back until the cell agrees to the upgrade, and this relies on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_ignores_an_upgrade_gets_no_body() {
    let cell = TcpListener::bind(ports::ANY).await.unwrap();
    let port = cell.local_addr().unwrap().port();
    let options = Options::default().upgrades(&["websocket", "custom"]).adjust(move |bootstrap| {
        for cluster in bootstrap["static_resources"]["clusters"].as_array_mut().unwrap() {
            if cluster["name"] == "cell-c" {
                let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
                endpoint["address"]["socket_address"]["port_value"] = port.into();
            }
        }
    });
    let stack = Stack::start(options).await;
    for protocol in ["websocket", "custom"] {
        let before = bytes_read(&stack).await;
        let request = Request::post("/").header("connection", "upgrade").header("upgrade", protocol);
        let wire = request.header("x-tenant-id", "globex").json(r#"{"tenant":{"id":"acme"}}"#).to_http1();
        let mut client = stack.connect().await;
        client.write(&wire).await.unwrap();
        read_by_envoy(&stack, before + wire.len()).await;
        let (mut connection, _) = cell.accept().await.unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        client.response("POST").await.unwrap();
        let mut received = Vec::new();
        connection.read_to_end(&mut received).await.unwrap();
        assert!(received.ends_with(b"\r\n\r\n"), "{}", latin1(&received));
    }
}

/// In BUFFERED mode Envoy would wait for the end of the tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_places_a_websocket_in_its_streamed_mode() {
    let stack = Stack::start(Options::default().chain(Chain::Service(BodyMode::Streamed))).await;
    assert_eq!(code(&stack.send(&websocket("GET")).await), "upgrade");
    assert_eq!(arrived(&stack), 0);
    let mut client = stack.connect().await;
    client.write(websocket("GET").header("x-tenant-id", "acme").to_http1()).await.unwrap();
    let answer = client.response("GET").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.cell()), (101, "cell-b"));
    assert_echo(&mut client).await;
}
