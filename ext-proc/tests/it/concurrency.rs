//! Concurrency limits over gRPC: a request leaves with its stream, however that ends.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::{BodySendMode, HeaderSendMode};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, HttpTrailers};

use crate::peer::{Peer, head, message};
use crate::support::{CONFIG, PATIENCE, Service, until};

const LIMIT: &str = "
concurrency_limits:
  - { name: two, key: [routing_key], at_most: 2, applies_to: { paths: [/] } }
rate_limits:
  - { name: rate, key: [routing_key], limit: 1/h;burst=5 }
";

const IN_FLIGHT: &str = r#"cellgate_concurrency_in_flight{limit="two"}"#;

async fn start() -> Service {
    Service::start_with(|settings| {
        std::fs::write(&settings.config, format!("{CONFIG}{LIMIT}")).unwrap();
        settings.drain_timeout = 2 * PATIENCE;
    })
    .await
}

/// A request that is decided by its headers, and the answer.
async fn send(service: &Service, mode: BodySendMode) -> (Peer, Response) {
    let mut peer = Peer::open(service).await;
    peer.send(head(mode, &[("x-tenant-id", "acme")], true)).await;
    let answer = peer.response().await;
    (peer, answer)
}

async fn enter(service: &Service) -> Peer {
    let (peer, answer) = send(service, BodySendMode::None).await;
    assert!(matches!(answer, Response::RequestHeaders(_)), "{answer:?}");
    peer
}

async fn assert_refused(service: &Service) {
    let (_, answer) = send(service, BodySendMode::None).await;
    let Response::ImmediateResponse(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!((refusal.status.unwrap().code, &*refusal.details), (429, "cellgate_concurrency_limited"));
}

async fn in_flight(service: &Service, count: u64) {
    until("requests in flight", || async { service.metric(IN_FLIGHT).await == count }).await;
}

#[tokio::test]
async fn a_request_leaves_with_its_stream() {
    let service = start().await;
    let (mut first, second) = (enter(&service).await, enter(&service).await);
    assert_refused(&service).await;
    in_flight(&service, 2).await;
    // Envoy closes its half.
    first.close();
    assert_eq!(first.next().await.unwrap(), None);
    in_flight(&service, 1).await;
    // Envoy resets the stream, or loses the connection.
    drop(second);
    in_flight(&service, 0).await;
    drop((enter(&service).await, enter(&service).await));
    in_flight(&service, 0).await;
}

#[tokio::test]
async fn the_response_does_not_end_the_request() {
    let service = start().await;
    let mut peer = enter(&service).await;
    peer.send(message(Request::ResponseHeaders(HttpHeaders::default()))).await;
    assert!(matches!(peer.response().await, Response::ResponseHeaders(_)));
    peer.send(message(Request::ResponseTrailers(HttpTrailers::default()))).await;
    assert!(matches!(peer.response().await, Response::ResponseTrailers(_)));
    in_flight(&service, 1).await;
    peer.close();
    assert_eq!(peer.next().await.unwrap(), None);
    in_flight(&service, 0).await;
}

#[tokio::test]
async fn a_request_that_is_refused_after_it_has_entered_leaves() {
    let service = start().await;
    let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.body(br#"{"tenant":{"id":"acme"},"#, false).await;
    peer.change().await;
    in_flight(&service, 1).await;
    peer.piece().await;
    peer.body(br#""tenant":{"id":"globex"}}"#, true).await;
    assert_eq!(peer.immediate().await.status.unwrap().code, 400);
    in_flight(&service, 0).await;
    // Five units: one is used. A refusal by the rate limit leaves too.
    for _ in 0..4 {
        drop(enter(&service).await);
    }
    in_flight(&service, 0).await;
    let (mut refused, answer) = send(&service, BodySendMode::None).await;
    let Response::ImmediateResponse(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.details, "cellgate_rate_limited");
    in_flight(&service, 0).await;
    refused.close();
}

#[tokio::test]
async fn only_a_request_under_such_a_limit_asks_for_its_response() {
    let asked = async |service: &Service| -> Option<ProcessingMode> {
        let mut peer = Peer::open(service).await;
        peer.send(head(BodySendMode::None, &[("x-tenant-id", "globex")], true)).await;
        peer.next().await.unwrap().unwrap().mode_override
    };
    let trailers = asked(&start().await).await.map(|mode| mode.response_trailer_mode);
    assert_eq!(trailers, Some(HeaderSendMode::Send as i32));
    assert_eq!(asked(&Service::start().await).await, None);
}

#[tokio::test]
async fn a_drain_ends_the_streams_that_only_wait_with_ok() {
    let service = start().await;
    let mut waits = enter(&service).await;
    let mut uploads = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    uploads.body(br#"{"tenant":{"id":"acme"},"#, false).await;
    uploads.change().await;
    uploads.piece().await;
    in_flight(&service, 2).await;
    service.stop();
    assert_eq!(waits.next().await.unwrap(), None);
    in_flight(&service, 1).await;
    // A request that is not complete goes on, and ends then.
    uploads.body(b"\"x\":1}", true).await;
    uploads.piece().await;
    assert_eq!(uploads.next().await.unwrap(), None);
    let ended = tokio::time::timeout(PATIENCE.max(Duration::from_secs(1)), service.ended());
    ended.await.expect("the drain does not wait").unwrap();
}
