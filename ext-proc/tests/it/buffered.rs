//! BUFFERED: the head is answered at once, the body's answer names the cell.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;

use crate::peer::{Peer, cell, head};
use crate::support::Service;

#[tokio::test]
async fn the_bodys_answer_names_the_cell() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::Buffered).await;
    let change = peer.change().await;
    assert_eq!(change.remove_headers, ["x-cell"]);
    assert!(change.set_headers.is_empty());
    peer.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
}

#[tokio::test]
async fn a_bad_body_is_answered_with_a_problem_document() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::Buffered).await;
    peer.change().await;
    peer.body(br#"{"tenant":{"id":"acme"},}"#, true).await;
    let answer = peer.immediate().await;
    assert_eq!(answer.status.unwrap().code, 400);
    assert_eq!(answer.details, "cellgate_body_malformed");
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["code"], "body_malformed");
    let headers = answer.headers.unwrap();
    let content_type = headers.set_headers[0].header.as_ref().unwrap();
    assert_eq!(content_type.raw_value, b"application/problem+json");
    assert!(peer.next().await.unwrap().is_none(), "the stream ends with OK");
}

#[tokio::test]
async fn a_body_as_large_as_envoys_stream_window() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::Buffered).await;
    peer.change().await;
    let body = format!(r#"{{"x":"{}","tenant":{{"id":"acme"}}}}"#, "-".repeat((16 << 20) - 64));
    peer.body(body.as_bytes(), true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
}

#[tokio::test]
async fn a_request_without_body_is_decided_at_its_head() {
    let service = Service::start().await;
    let mut peer = Peer::open(&service).await;
    peer.send(head(BodySendMode::Buffered, &[("x-tenant-id", "acme")], true)).await;
    let response = peer.next().await.unwrap().unwrap();
    let metadata = response.dynamic_metadata.unwrap();
    let text = format!("{metadata:?}");
    assert!(text.contains("cellgate") && text.contains("cell-b") && text.contains("exact"), "{text}");
}
