//! A request is decided once: a proxy accepts the decision of a peer with a gateway's identity, and of no other peer.

mod mtls;

use cellgate_tests::client::Request;
use cellgate_tests::options::{Chain, Options, Underscores};
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{arrived, code, counted};
use mtls::{Authority, Peer};

const GATEWAY: &str = "spiffe://mesh/ns/edge/sa/gateway";
const CLIENT: &str = "spiffe://mesh/ns/apps/sa/client";

/// A body whose cell is `cell-b`.
const ACME: &str = r#"{"tenant":{"id":"acme"}}"#;

/// A proxy that accepts the gateway's decisions. With `cell`, it is a proxy of this cell.
fn inner(cell: Option<&str>) -> Options {
    let mut decided_by = json!({"peers": [GATEWAY]});
    if let Some(cell) = cell {
        decided_by["cell"] = json!(cell);
    }
    Options::default()
        .chain(Chain::Filter)
        .underscores(Underscores::Allow)
        .configure(|config| config["decided_by"] = decided_by)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateways_decision_is_accepted_and_the_body_is_not_read() {
    let authority = Authority::new();
    let inner = Stack::start(inner(None).adjust(authority.at_listener())).await;
    let gateway = Stack::start(authority.tcp_proxy(inner.address(), Peer::Named(&[GATEWAY]))).await;
    let malformed = "{]".repeat(100_000);
    for request in [
        Request::get("/get"),
        Request::post("/held").json(ACME),
        Request::post("/large").json(malformed.clone()),
        Request::post("/chunked").header("content-type", "application/json").pieces([malformed, "}".to_owned()]),
    ] {
        let request = request.header("x-cell", "cell-c").header("x-cellgate-defer", "stream;x");
        for answer in [gateway.send(&request).await, gateway.send_h2(&request).await] {
            assert_eq!(answer.cell(), "cell-c", "{request:?}");
            assert_eq!(answer.received("x-cell"), ["cell-c"]);
            assert_eq!(answer.received("x-cellgate-defer"), [""; 0]);
        }
    }
    assert_eq!(inner.envoy().access_line("/get").await.decision(), "cell=cell-c;reason=decided_before");
    counted(&inner, "decisions.cell.decided_before", 8).await;
    // Only the deferral headers are removed.
    counted(&inner, "stripped_headers", 8).await;
    assert_eq!(inner.admin().stat("wasmcustom.cellgate.inspected_bytes").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_must_send_exactly_one_decision() {
    let authority = Authority::new();
    let inner = Stack::start(inner(None).adjust(authority.at_listener())).await;
    let gateway = Stack::start(authority.tcp_proxy(inner.address(), Peer::Named(&[GATEWAY]))).await;
    for headers in [
        &[][..],
        &[("x-cell", "cell-c"), ("x-cell", "cell-c")],
        &[("x-cell", "cell-c"), ("X_Cell", "cell-c")],
        &[("x_cell", "cell-c")],
        &[("x-cell", "cell-c,cell-c")],
        &[("x-cell", "cell-z")],
        &[("x-cell", "")],
    ] {
        let request =
            headers.iter().fold(Request::post("/").json(ACME), |request, (name, value)| request.header(name, value));
        for answer in [gateway.send(&request).await, gateway.send_h2(&request).await] {
            assert_eq!(answer.cell(), "cell-b", "{headers:?}");
            assert_eq!(answer.received("x-cell"), ["cell-b"], "{headers:?}");
            assert_eq!(answer.received("x_cell"), [""; 0], "{headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_gateways_identity_is_trusted() {
    let authority = Authority::new();
    let request = Request::post("/").json(ACME).header("x-cell", "cell-c");
    let tls = Stack::start(inner(None).adjust(authority.at_listener())).await;
    // The first of several URIs counts. A mesh certificate has exactly one.
    let peers = [Peer::Named(&[CLIENT]), Peer::Named(&[CLIENT, GATEWAY]), Peer::Named(&[]), Peer::Anonymous];
    for (before, peer) in (0..).zip(peers) {
        let wire = Stack::start(authority.tcp_proxy(tls.address(), peer)).await;
        let answer = wire.send(&request).await;
        assert_eq!(answer.cell(), "cell-b");
        assert_eq!(answer.received("x-cell"), ["cell-b"]);
        counted(&tls, "stripped_headers", before + 1).await;
    }

    let plain = Stack::start(inner(None)).await;
    let wire = Stack::start(authority.tcp_proxy(plain.address(), Peer::Plain)).await;
    assert_eq!(wire.send(&request).await.cell(), "cell-b");
    counted(&plain, "stripped_headers", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused_by_tls() {
    let authority = Authority::new();
    let inner = Stack::start(inner(None).adjust(authority.at_listener())).await;
    let wire = Stack::start(authority.tcp_proxy(inner.address(), Peer::Forged(&[GATEWAY]))).await;
    let request = Request::post("/").json(ACME).header("x-cell", "cell-c");
    assert!(wire.connect().await.send(&request).await.is_err());
    let refused = inner.admin().stats("ssl.fail_verify_error").await.unwrap();
    assert_eq!(refused.into_iter().map(|(_, count)| count).sum::<u64>(), 1);
    assert_eq!(arrived(&inner), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_one_cell_rejects_requests_of_another_cell() {
    let authority = Authority::new();
    let inner = Stack::start(inner(Some("cell-a")).adjust(authority.at_listener())).await;
    let gateway = Stack::start(authority.tcp_proxy(inner.address(), Peer::Named(&[GATEWAY]))).await;
    let client = Stack::start(authority.tcp_proxy(inner.address(), Peer::Named(&[CLIENT]))).await;
    let (acme, initech) = (Request::post("/").json(ACME), Request::post("/").json(r#"{"tenant":{"id":"initech"}}"#));
    for (peer, request) in [
        (&gateway, acme.clone().header("x-cell", "cell-b")),
        (&gateway, initech.clone().header("x-cell", "cell-b")),
        (&gateway, acme.clone()),
        (&client, acme.clone()),
        (&client, acme.clone().header("x-cell", "cell-a")),
    ] {
        let answer = peer.send(&request).await;
        assert_eq!(answer.status, 421, "{request:?}");
        assert_eq!(code(&answer), "cell_mismatch", "{request:?}");
    }
    assert_eq!(arrived(&inner), 0);
    assert_eq!(gateway.send(&acme.header("x-cell", "cell-a")).await.cell(), "cell-a");
    assert_eq!(client.send(&initech).await.cell(), "cell-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_choose_its_cell_through_the_gateway() {
    let authority = Authority::new();
    let inner = Stack::start(inner(None).adjust(authority.at_listener())).await;
    let to_inner = authority.to(inner.address(), Peer::Named(&[GATEWAY]));
    let gateway = Stack::start(Options::default().chain(Chain::Filter).adjust(to_inner)).await;
    let request = Request::post("/spoofed").json(ACME).header("x-cell", "cell-c").header("x-cell", "cell-a");
    for answer in [gateway.send(&request).await, gateway.send_h2(&request).await] {
        assert_eq!(answer.cell(), "cell-b");
        assert_eq!(answer.received("x-cell"), ["cell-b"]);
    }
    counted(&gateway, "stripped_headers", 4).await;
    counted(&inner, "decisions.cell.decided_before", 2).await;
    assert_eq!(inner.admin().stat("wasmcustom.cellgate.stripped_headers").await.unwrap(), 0);
    assert_eq!(gateway.envoy().access_line("/spoofed").await.decision(), "cell=cell-b;reason=exact");
    assert_eq!(inner.envoy().access_line("/spoofed").await.decision(), "cell=cell-b;reason=decided_before");
}
