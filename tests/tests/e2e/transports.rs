//! A body gets the same decision and arrives unchanged with every protocol and framing.

use bytes::Bytes;
use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, DEFAULT_BUFFER_LIMIT, Options, sample_config};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{code, counted, key_first, key_last, read_by_envoy};

const TENANTS: [(&str, &str); 3] = [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")];
const KIB: usize = 1024;

fn json_type() -> Request {
    Request::post("/").header("content-type", "application/json")
}

/// The body with a Content-Length, and in chunks of `size` bytes without one.
fn framings(body: &str, size: usize) -> [Request; 2] {
    let pieces = body.as_bytes().chunks(size).map(Bytes::copy_from_slice);
    [json_type().body(body.to_owned()), json_type().pieces(pieces)]
}

/// Sends each body in every framing over both protocols and checks cell and bytes.
async fn deliver(stack: &Stack, tenant: &str, cell: &str, body: &str, piece: usize) {
    for request in framings(body, piece) {
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert_eq!(answer.cell(), cell, "{tenant}, {} bytes", body.len());
            assert_eq!(answer.sha256(), sha256(body.as_bytes()), "{tenant}, {} bytes", body.len());
            assert_eq!(answer.received("x-cell"), [cell]);
            assert_eq!(answer.received("x-cellgate-defer"), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_unchanged() {
    let stack = Stack::start(Options::default()).await;
    for size in [40, 1000, 16 * KIB, 32 * KIB, 32 * KIB + 1, 100 * KIB, 1024 * KIB + 1] {
        for (tenant, cell) in TENANTS {
            deliver(&stack, tenant, cell, &key_first(tenant, size), 7000).await;
            deliver(&stack, tenant, cell, &key_last(tenant, size), 7000).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_forwards_bodies_of_every_size() {
    for (mode, sizes) in [
        (BodyMode::Buffered, [40, 1000, 62_000, 62_001, DEFAULT_BUFFER_LIMIT as usize]),
        (BodyMode::Streamed, [40, 1000, 62_000, 62_001, 3 * 1024 * KIB]),
    ] {
        let stack = Stack::start(Options::default().chain(Chain::Service(mode))).await;
        for size in sizes {
            for (tenant, cell) in TENANTS {
                deliver(&stack, tenant, cell, &key_last(tenant, size), 50_000).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_arrive_one_byte_at_a_time() {
    let stack = Stack::start(Options::default()).await;
    for (tenant, cell) in TENANTS {
        deliver(&stack, tenant, cell, &key_last(tenant, 300), 1).await;
    }
}

/// The client waits until Envoy has read each byte, so each byte is a separate callback.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_body_may_arrive_in_one_byte_callbacks() {
    let stack = Stack::start(Options::default().chain(Chain::Filter)).await;
    let body = key_last("acme", 60);
    let request = json_type().body(body.clone());
    let mut client = stack.connect().await;
    let wire = request.to_http1();
    let head = wire.len() - body.len();
    client.write(&wire[..head]).await.unwrap();
    for sent in head..wire.len() {
        read_by_envoy(&stack, sent).await;
        client.write(&wire[sent..=sent]).await.unwrap();
    }
    let answer = client.response("POST").await.unwrap();
    assert_eq!(answer.cell(), "cell-b");
    assert_eq!(answer.sha256(), sha256(body.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_arrives_unchanged_in_every_framing() {
    let stack = Stack::start(Options::default()).await;
    for (tenant, cell) in TENANTS {
        let body = format!("a={}&tenant_id={tenant}&b=%00%ff", "x".repeat(40 * KIB));
        let form = || Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        for request in [form().body(body.clone()), form().pieces([body.clone()])] {
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                assert_eq!(answer.cell(), cell);
                assert_eq!(answer.sha256(), sha256(body.as_bytes()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninspected_body_is_forwarded_unchanged() {
    let options = Options::default().configure(|config| config["key"] = serde_json::json!([{"header": "x-tenant-id"}]));
    let stack = Stack::start(options).await;
    let body: Vec<u8> = (0..=255_u8).cycle().take(3 * 1024 * KIB + 5).collect();
    let request = Request::post("/").header("x-tenant-id", "globex");
    for request in [request.clone().body(body.clone()), request.pieces(body.chunks(60_000).map(Bytes::copy_from_slice))]
    {
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert_eq!(answer.cell(), "cell-c");
            assert_eq!(answer.sha256(), sha256(&body));
        }
    }
    counted(&stack, "decisions.cell.exact", 4).await;
    assert_eq!(stack.admin().stat("wasmcustom.cellgate.inspected_bytes").await.unwrap(), 0);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_each_reach_their_own_cell() {
    let stack = Stack::start(Options::default()).await;
    let mut wire = Vec::new();
    let mut expected = Vec::new();
    for round in 0..20 {
        for (tenant, cell) in TENANTS {
            let body = key_last(tenant, 200 + 37 * round);
            let [sized, chunked] = framings(&body, 50);
            wire.extend_from_slice(&if round % 2 == 0 { sized } else { chunked }.to_http1());
            expected.push((cell, sha256(body.as_bytes())));
        }
    }
    let mut client = stack.connect().await;
    client.write(&wire).await.unwrap();
    for (cell, hash) in expected {
        let answer = client.response("POST").await.unwrap();
        assert_eq!(answer.cell(), cell);
        assert_eq!(answer.sha256(), hash);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_request_consumes_no_byte_of_the_next_one() {
    let stack = Stack::start(Options::default()).await;
    let good = key_last("globex", 300);
    let bad = [
        ("{}", "key_missing"),
        ("{]", "body_malformed"),
        (r#"{"tenant":{"id":null}}"#, "key_null"),
        (r#"{"tenant":{"id":"acme"}}x"#, "body_malformed"),
    ];
    let mut clients = Vec::new();
    for (body, reason) in bad {
        let wire = [json_type().body(body).to_http1(), json_type().body(good.clone()).to_http1()].concat();
        let mut client = stack.connect().await;
        client.write(&wire).await.unwrap();
        assert_eq!(code(&client.response("POST").await.unwrap()), reason);
        clients.push(client);
    }
    for mut client in clients {
        // Envoy may close the connection instead, but must not confuse the requests.
        if let Ok(answer) = client.response("POST").await {
            assert_eq!(answer.cell(), "cell-c");
            assert_eq!(answer.sha256(), sha256(good.as_bytes()));
        }
    }
    assert_eq!(stack.cell("cell-b").arrived(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_open_after_a_rejected_request() {
    let mut config = sample_config();
    config["policy"] = json!({"key_missing": {"reject": 422}});
    let stack = Stack::start(Options::default().config(config)).await;
    let mut h1 = stack.connect().await;
    let h2 = stack.connect_h2().await;
    let (refused, good) = (Request::post("/").json("{}"), Request::post("/").json(key_last("acme", 500)));
    for _ in 0..3 {
        for answer in [h1.send(&refused).await.unwrap(), h2.send(&refused).await.unwrap()] {
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (422, "key_missing"));
        }
        for answer in [h1.send(&good).await.unwrap(), h2.send(&good).await.unwrap()] {
            assert_eq!(answer.cell(), "cell-b");
        }
    }
}

/// Envoy takes a 400 for a sign of a malformed message, and closes an HTTP/1 connection behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_400_closes_an_http1_connection_only() {
    let stack = Stack::start(Options::default()).await;
    let (refused, good) = (Request::post("/").json("{}"), Request::post("/").json(key_last("acme", 500)));
    let mut h1 = stack.connect().await;
    let answer = h1.send(&refused).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("connection")), (400, Some("close")));
    let h2 = stack.connect_h2().await;
    assert_eq!(h2.send(&refused).await.unwrap().status, 400);
    assert_eq!(h2.send(&good).await.unwrap().cell(), "cell-b");
}
