//! The service's own deadline: Envoy has none in FULL_DUPLEX_STREAMED mode.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tonic::Code;

use crate::peer::{Peer, cell};
use crate::support::{Service, until};

async fn impatient() -> Service {
    Service::start_with(|settings| settings.decision_timeout = Duration::from_millis(200)).await
}

#[tokio::test]
async fn a_body_that_stops_is_answered() {
    let service = impatient().await;
    for mode in [BodySendMode::Buffered, BodySendMode::FullDuplexStreamed] {
        let mut peer = Peer::post(&service, mode).await;
        if mode == BodySendMode::Buffered {
            peer.change().await;
        } else {
            peer.body(b"{", false).await;
        }
        let answer = peer.immediate().await;
        assert_eq!(answer.status.unwrap().code, 408, "{mode:?}");
        assert_eq!(answer.details, "cellgate_deadline_exceeded");
    }
}

#[tokio::test]
async fn a_decided_request_has_no_deadline() {
    let service = impatient().await;
    let mut decided = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    decided.body(br#"{"tenant":{"id":"acme"}"#, false).await;
    assert_eq!(cell(&decided.change().await), "cell-b");
    decided.piece().await;
    // Another request, begun later, runs into its deadline: that of the first has passed.
    let mut late = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    late.immediate().await;
    decided.body(b"}", true).await;
    assert_eq!(decided.piece().await, (b"}".to_vec(), true));
}

#[tokio::test]
async fn a_stream_without_a_request_ends_with_an_error() {
    let service = impatient().await;
    let mut peer = Peer::open(&service).await;
    assert_eq!(peer.status().await.code(), Code::DeadlineExceeded);
    assert_eq!(service.metric("cellgate_protocol_errors_total").await, 1);
}

#[tokio::test]
async fn a_peer_that_does_not_read_loses_its_share_of_the_budget() {
    // Longer than it takes to send the body.
    let service = Service::start_with(|settings| settings.decision_timeout = Duration::from_secs(3)).await;
    let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    let pad = vec![b' '; 1 << 20];
    for _ in 0..4 {
        peer.body(&pad, false).await;
    }
    peer.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    until("held", || async { service.metric("cellgate_held_bytes").await > 3 << 20 }).await;
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
    let status = loop {
        match peer.next().await {
            Ok(reply) => assert!(reply.is_some(), "never OK"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
}
