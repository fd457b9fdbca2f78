//! What cannot route is refused with an error status, never ended with OK: Envoy would let the request pass.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, ProcessingRequest};
use tonic::Code;

use crate::peer::{Peer, head, message};
use crate::support::{Service, until};

const REFUSED: &str = "cellgate_protocol_errors_total";

async fn refused(first: ProcessingRequest) -> String {
    let service = Service::start().await;
    let mut peer = Peer::open(&service).await;
    peer.send(first).await;
    let status = peer.status().await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(service.metric(REFUSED).await, 1);
    status.message().to_owned()
}

#[tokio::test]
async fn body_modes_that_cannot_route() {
    for mode in [BodySendMode::Streamed, BodySendMode::BufferedPartial, BodySendMode::Grpc] {
        let text = refused(head(mode, &[], false)).await;
        assert!(text.contains(mode.as_str_name()) && text.contains("FULL_DUPLEX_STREAMED"), "{text}");
    }
}

#[tokio::test]
async fn observability_and_response_bodies() {
    let first = head(BodySendMode::Buffered, &[], false);
    let text = refused(ProcessingRequest { observability_mode: true, ..first.clone() }).await;
    assert!(text.contains("observability_mode"), "{text}");
    let mut responses = first;
    responses.protocol_config.as_mut().unwrap().response_body_mode = BodySendMode::Buffered as i32;
    let text = refused(responses).await;
    assert!(text.contains("response_body_mode"), "{text}");
}

#[tokio::test]
async fn a_body_mode_that_is_not_announced() {
    let first = ProcessingRequest { protocol_config: None, ..head(BodySendMode::Buffered, &[], false) };
    let text = refused(first).await;
    assert!(text.contains("protocol_config"), "{text}");
}

#[tokio::test]
async fn a_stream_that_begins_with_a_body() {
    let protocol_config = head(BodySendMode::Buffered, &[], false).protocol_config;
    let first = ProcessingRequest { protocol_config, ..message(Request::RequestBody(HttpBody::default())) };
    let text = refused(first).await;
    assert!(text.contains("request_header_mode"), "{text}");
}

#[tokio::test]
async fn a_message_beyond_the_limit() {
    let service = Service::start_with(|settings| settings.max_message_bytes = 1000).await;
    let mut peer = Peer::post(&service, BodySendMode::Buffered).await;
    peer.change().await;
    peer.body(&[b' '; 2000], true).await;
    assert_eq!(peer.status().await.code(), Code::OutOfRange);
    assert_eq!(service.metric(REFUSED).await, 1);
}

#[tokio::test]
async fn a_stream_that_ends_before_its_request() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.body(b"{", false).await;
    peer.close();
    assert_eq!(peer.status().await.code(), Code::Cancelled);
    assert_eq!(service.metric(REFUSED).await, 0);
}

#[tokio::test]
async fn a_peer_that_goes_away_is_none() {
    let service = Service::start().await;
    let peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.body(b"{", false).await;
    until("held", || async { service.metric("cellgate_held_bytes").await > 0 }).await;
    drop(peer);
    until("gone", || async { service.metric("cellgate_streams_open").await == 0 }).await;
    until("freed", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
    assert_eq!(service.metric(REFUSED).await, 0);
}

#[tokio::test]
async fn an_answered_stream_may_end() {
    let service = Service::start().await;
    let mut peer = Peer::open(&service).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    peer.change().await;
    peer.close();
    assert!(peer.next().await.unwrap().is_none());
}
