//! FULL_DUPLEX_STREAMED: silence until the key is known, then every byte back.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;

use crate::peer::{Peer, cell};
use crate::support::{Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;

/// Sends a body in chunks and collects what comes back.
async fn round_trip(peer: &mut Peer, body: &[u8], chunk: usize) -> (String, Vec<u8>) {
    for (index, part) in body.chunks(chunk).enumerate() {
        peer.body(part, (index + 1) * chunk >= body.len()).await;
    }
    let cell = cell(&peer.change().await).to_owned();
    let mut back = Vec::new();
    loop {
        let (bytes, last) = peer.piece().await;
        assert!(bytes.len() <= 62_000);
        back.extend_from_slice(&bytes);
        if last {
            return (cell, back);
        }
    }
}

#[tokio::test]
async fn five_megabytes_with_a_late_key_come_back_byte_for_byte() {
    let service = Service::start().await;
    let pad: String = (0..4_900_000u32).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
    let body = format!(r#"{{"x":"{pad}","tenant":{{"id":"acme"}},"y":"{}"}}"#, "-".repeat(100_000));
    for chunk in [100_000, 1_000_000] {
        let mut peer = Peer::post(&service, DUPLEX).await;
        let (cell, back) = round_trip(&mut peer, body.as_bytes(), chunk).await;
        assert_eq!(cell, "cell-b");
        assert!(back == body.as_bytes(), "bytes differ, in chunks of {chunk}");
    }
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
}

#[tokio::test]
async fn an_early_key_is_answered_before_the_body_ends() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, DUPLEX).await;
    peer.body(br#"{"tenant":{"id":"acme"},"#, false).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    assert_eq!(peer.piece().await, (br#"{"tenant":{"id":"acme"},"#.to_vec(), false));
    peer.body(br#""x":1}"#, true).await;
    assert_eq!(peer.piece().await, (br#""x":1}"#.to_vec(), true));
}

#[tokio::test]
async fn a_second_key_behind_the_release_ends_the_request() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, DUPLEX).await;
    peer.body(br#"{"tenant":{"id":"acme"}"#, false).await;
    peer.change().await;
    peer.piece().await;
    peer.body(br#","tenant":{"id":"other"}}"#, true).await;
    let answer = peer.immediate().await;
    assert_eq!(answer.status.unwrap().code, 400);
    assert_eq!(answer.details, "cellgate_key_duplicated");
    assert_eq!(service.metric(r#"cellgate_conflicts_total{reason="key_duplicated"}"#).await, 1);
}

#[tokio::test]
async fn trailers_end_the_body_and_lose_reserved_names() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, DUPLEX).await;
    peer.body(br#"{"tenant":{"id":"acme"}}"#, false).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    assert!(!peer.piece().await.1);
    peer.trailers(&[("x-cell", "evil"), ("x-sum", "1")]).await;
    let Response::RequestTrailers(trailers) = peer.response().await else { panic!("no trailers") };
    assert_eq!(trailers.header_mutation.unwrap().remove_headers, ["x-cell"]);
}

#[tokio::test]
async fn a_body_beyond_the_limit_gets_413() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, DUPLEX).await;
    let pad = vec![b' '; 1 << 20];
    for _ in 0..17 {
        peer.body(&pad, false).await;
    }
    let answer = peer.immediate().await;
    assert_eq!(answer.status.unwrap().code, 413);
    assert_eq!(answer.details, "cellgate_body_too_large");
}
