//! The admin port.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;

use crate::peer::{Peer, head};
use crate::support::{Service, until};

#[tokio::test]
async fn it_is_alive_ready_and_says_what_it_is() {
    let service = Service::start().await;
    assert_eq!(service.get("/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(service.get("/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(service.get("/nothing").await.0, 404);
    let (status, text) = service.get("/version").await;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["config"]["version"], "one");
}

#[tokio::test]
async fn decisions_and_streams_are_counted() {
    let service = Service::start().await;
    let mut peer = Peer::open(&service).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    peer.change().await;
    let decided = r#"cellgate_decisions_total{outcome="cell",reason="exact",tier="service"}"#;
    assert_eq!(service.metric(decided).await, 1);
    assert_eq!(service.metric("cellgate_decision_seconds_count").await, 1);
    assert_eq!(service.metric("cellgate_streams_open").await, 1);
    drop(peer);
    until("closed", || async { service.metric("cellgate_streams_open").await == 0 }).await;
}

#[tokio::test]
async fn inspected_bytes_are_counted() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::Buffered).await;
    peer.change().await;
    let body = br#"{"tenant":{"id":"acme"}}"#;
    peer.body(body, true).await;
    peer.change().await;
    assert_eq!(service.metric("cellgate_inspected_bytes_total").await, body.len() as u64);
}
