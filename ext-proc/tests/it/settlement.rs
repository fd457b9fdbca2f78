//! Settlement over gRPC: the response is answered, and a drain keeps estimates.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::{BodySendMode, HeaderSendMode};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{HeadersResponse, HttpHeaders};

use crate::peer::{Peer, head, message};
use crate::support::{CONFIG, PATIENCE, Service, until};

const LIMIT: &str = "
rate_limits:
  - name: tokens
    key: [routing_key]
    limit: 1/h;burst=20
    cost: 10
    settle: { response_header: x-used, at_most: 50, on_failure: release }
";

async fn start() -> Service {
    Service::start_with(|settings| {
        std::fs::write(&settings.config, format!("{CONFIG}{LIMIT}")).unwrap();
        settings.drain_timeout = 2 * PATIENCE;
    })
    .await
}

/// An admitted request. It has asked for the headers of its response.
async fn admitted(service: &Service) -> Peer {
    let mut peer = Peer::open(service).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    let answer = peer.next().await.unwrap().unwrap();
    assert!(matches!(answer.response, Some(Response::RequestHeaders(_))), "{answer:?}");
    let mode = answer.mode_override.unwrap();
    assert_eq!(mode.response_header_mode, HeaderSendMode::Send as i32);
    assert_eq!(mode.response_trailer_mode, HeaderSendMode::Skip as i32);
    peer
}

async fn settled(service: &Service, outcome: &str, count: u64) {
    let series = format!(r#"cellgate_settlements_total{{limit="tokens",outcome="{outcome}"}}"#);
    until("the settlements", || async { service.metric(&series).await == count }).await;
}

#[tokio::test]
async fn a_response_is_answered_unchanged_and_the_end_without_one_is_a_failure() {
    let service = start().await;
    let mut peer = admitted(&service).await;
    peer.send(message(Request::ResponseHeaders(HttpHeaders::default()))).await;
    assert_eq!(peer.response().await, Response::ResponseHeaders(HeadersResponse::default()));
    settled(&service, "kept", 1).await;
    // Of 20 units, 10 are left: each request that ends without a response gives its 10 back.
    for count in 1..=3 {
        drop(admitted(&service).await);
        settled(&service, "released", count).await;
    }
}

#[tokio::test]
async fn a_drain_keeps_the_estimates_of_the_streams_that_it_ends() {
    let service = start().await;
    let mut waits = admitted(&service).await;
    // One whose response is still answered keeps the service there, so that its metrics can be read.
    let mut uploads = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    service.stop();
    assert_eq!(waits.next().await.unwrap(), None);
    settled(&service, "kept", 1).await;
    uploads.close();
    assert!(uploads.next().await.is_err());
}
