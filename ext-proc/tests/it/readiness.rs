//! Readiness beyond the drain: an overloaded byte budget and an expired certificate. Liveness depends on neither.

use std::time::Duration;

use cellgate_ext_proc::OverloadLimits;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::health::check;
use crate::peer::{Peer, cell, head};
use crate::pki::{Pki, san, seconds_from_now};
use crate::support::{Service, until};
use crate::tls::{cell_of_acme, handshakes};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;

async fn is_ready(service: &Service) -> bool {
    let (status, text) = service.get("/readyz").await;
    assert!(matches!(status, 200 | 503), "{status} {text}");
    status == 200
}

/// Holds 90 % of the budget.
async fn overload(service: &Service) -> Peer {
    let peer = Peer::post(service, DUPLEX).await;
    peer.body(&vec![b' '; 90_000], false).await;
    until("held", || async { service.metric("cellgate_held_bytes").await >= 90_000 }).await;
    peer
}

#[tokio::test]
async fn an_overloaded_service_is_not_ready_until_it_has_recovered() {
    let service = Service::start_with(|settings| {
        settings.max_held_bytes = 100_000;
        let time = Duration::from_millis(300);
        settings.not_ready_when_overloaded = Some(OverloadLimits { percent: 80, time });
    })
    .await;
    let mut held = overload(&service).await;
    until("not ready", || async { !is_ready(&service).await }).await;
    assert_eq!(service.get("/readyz").await, (503, "not ready: overloaded\n".to_owned()));
    assert_eq!(service.get("/livez").await.0, 200);
    assert_eq!(check(&service, "").await, ServingStatus::NotServing as i32);
    let (_, document) = service.get("/inspect").await;
    assert!(document.contains("\"overloaded\""), "{document}");

    // It is not ready for new connections only: requests that need no room are still decided.
    let mut peer = Peer::open(&service).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    assert_eq!(cell(&peer.change().await), "cell-b");

    held.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    held.change().await;
    drop(held);
    until("ready", || async { is_ready(&service).await }).await;
    until("serving", || async { check(&service, "").await == ServingStatus::Serving as i32 }).await;
}

/// A large body may wait while much of the budget is free.
#[tokio::test]
async fn a_request_that_waits_for_the_budget_is_an_overload() {
    let service = Service::start_with(|settings| {
        settings.max_held_bytes = 100_000;
        let time = Duration::from_millis(300);
        settings.not_ready_when_overloaded = Some(OverloadLimits { percent: 100, time });
    })
    .await;
    let held = overload(&service).await;
    let waiting = Peer::post(&service, DUPLEX).await;
    waiting.body(&vec![b' '; 60_000], false).await;
    until("not ready", || async { !is_ready(&service).await }).await;
    let (_, document) = service.get("/inspect").await;
    assert!(document.contains("\"waiting_streams\": 1"), "{document}");
    drop((held, waiting));
    until("ready", || async { is_ready(&service).await }).await;
}

#[tokio::test]
async fn without_the_option_an_overloaded_service_stays_ready() {
    let service = Service::start_with(|settings| settings.max_held_bytes = 100_000).await;
    let _held = overload(&service).await;
    // Longer than two looks at the budget.
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert!(is_ready(&service).await);
    }
}

#[tokio::test]
async fn an_expired_certificate_makes_it_not_ready_until_the_next_one() {
    let pki = Pki::new();
    pki.write_identity(&pki.authority.issue_with(|params| {
        params.subject_alt_names = vec![san("localhost")];
        params.not_after = seconds_from_now(2).into();
    }));
    let service = pki.service().await;
    until("not ready", || async { !is_ready(&service).await }).await;
    assert_eq!(service.get("/readyz").await, (503, "not ready: certificate expired\n".to_owned()));
    assert_eq!(service.get("/livez").await.0, 200);
    assert!(pki.client().connect(&service).await.is_err());
    until("counted", || async { service.metric(&handshakes("refused_by_client")).await == 1 }).await;
    pki.write_identity(&pki.authority.issue("localhost"));
    until("ready", || async { is_ready(&service).await }).await;
    assert_eq!(cell_of_acme(&pki.client(), &service).await, "cell-b");
}
