//! SIGTERM: what is in flight finishes, nothing new begins.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::HttpHeaders;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Code;

use crate::peer::{Peer, cell, head, message};
use crate::support::{PATIENCE, Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;

#[tokio::test]
async fn a_request_in_flight_finishes() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, DUPLEX).await;
    peer.body(br#"{"x":1,"#, false).await;
    until("held", || async { service.metric("cellgate_held_bytes").await > 0 }).await;

    service.stop();
    until("not ready", || async { service.get("/readyz").await.0 == 503 }).await;
    until("refusing", || async { TcpStream::connect(service.grpc).await.is_err() }).await;
    assert_eq!(service.get("/livez").await.0, 200);

    peer.body(br#""tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    assert_eq!(peer.piece().await, (br#"{"x":1,"#.to_vec(), false));
    assert_eq!(peer.piece().await, (br#""tenant":{"id":"acme"}}"#.to_vec(), true));
    drop(peer);
    service.ended().await.unwrap();
}

/// Envoy keeps a stream open until the response has ended in BUFFERED mode, and with `response_trailer_mode: SEND` in the
/// others too. Only streams of requests under a concurrency limit ended with OK; the others were aborted, with their response.
#[tokio::test]
async fn streams_that_only_wait_for_their_response_end_with_ok_although_no_limit_counts_them() {
    let began = Instant::now();
    let service = Service::start_with(|settings| settings.drain_timeout = 2 * PATIENCE).await;
    let body = br#"{"tenant":{"id":"acme"}}"#;
    let mut waiting = Vec::new();
    for mode in [DUPLEX, BodySendMode::Buffered] {
        let mut peer = Peer::post(&service, mode).await;
        if mode == BodySendMode::Buffered {
            peer.response().await;
        }
        peer.body(body, true).await;
        assert_eq!(cell(&peer.change().await), "cell-b", "{mode:?}");
        if mode == DUPLEX {
            assert_eq!(peer.piece().await, (body.to_vec(), true));
        }
        waiting.push(peer);
    }
    for mode in [DUPLEX, BodySendMode::None, BodySendMode::Buffered] {
        let mut peer = Peer::open(&service).await;
        peer.send(head(mode, &[("x-tenant-id", "acme")], true)).await;
        assert!(matches!(peer.response().await, Response::RequestHeaders(_)), "{mode:?}");
        waiting.push(peer);
    }
    // The response of an earlier filter comes without a request.
    let mut answered = Peer::open(&service).await;
    let mut first = message(Request::ResponseHeaders(HttpHeaders::default()));
    first.protocol_config = head(DUPLEX, &[], true).protocol_config;
    answered.send(first).await;
    assert!(matches!(answered.response().await, Response::ResponseHeaders(_)));
    waiting.push(answered);

    service.stop();
    for peer in &mut waiting {
        assert_eq!(peer.next().await.unwrap(), None);
    }
    service.ended().await.unwrap();
    assert!(began.elapsed() < PATIENCE, "by the streams, not by the timeout");
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off() {
    let service = Service::start_with(|settings| settings.drain_timeout = Duration::from_millis(100)).await;
    let mut peer = held(&service).await;
    service.stop();
    assert_eq!(peer.status().await.code(), Code::Unavailable);
    service.ended().await.unwrap();
}

#[tokio::test]
async fn a_second_signal_ends_the_drain() {
    let began = Instant::now();
    let service = Service::start().await;
    let mut peer = held(&service).await;
    service.stop();
    until("not ready", || async { service.get("/readyz").await.0 == 503 }).await;
    service.stop();
    assert_eq!(peer.status().await.code(), Code::Unavailable);
    service.ended().await.unwrap();
    assert!(began.elapsed() < PATIENCE, "by the signal, not by the timeout");
}

#[tokio::test]
async fn a_silent_connection_does_not_delay_the_drain() {
    let began = Instant::now();
    let service = Service::start().await;
    let _silent = TcpStream::connect(service.grpc).await.unwrap();
    // Accepted after it, so both are.
    let mut peer = held(&service).await;
    peer.body(br#""tenant":{"id":"acme"}}"#, true).await;
    peer.change().await;
    drop(peer);
    service.stop();
    service.ended().await.unwrap();
    assert!(began.elapsed() < PATIENCE, "by the streams, not by the timeout");
}

async fn held(service: &Service) -> Peer {
    let peer = Peer::post(service, DUPLEX).await;
    peer.body(b"{", false).await;
    until("held", || async { service.metric("cellgate_held_bytes").await > 0 }).await;
    peer
}
