//! TLS on the gRPC port: who is admitted, who is refused and counted, and how long a handshake may take.

use std::time::Duration;

use cellgate_ext_proc::MinVersion;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::{Peer, cell, head};
use crate::pki::{Client, Pki, TLS12, TLS13};
use crate::support::{PATIENCE, Service, until};
use crate::tls_cases;

pub(crate) fn handshakes(result: &str) -> String {
    format!("cellgate_tls_handshakes_total{{result=\"{result}\"}}")
}

/// The cell of a request over a connection of its own.
pub(crate) async fn cell_of_acme(client: &Client, service: &Service) -> String {
    let mut peer = Peer::over(client.channel(service).await.unwrap()).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    cell(&peer.change().await).to_owned()
}

#[tokio::test]
async fn a_client_with_an_admitted_name_is_served() {
    let pki = Pki::new();
    let service = pki.service().await;
    assert_eq!(cell_of_acme(&pki.client(), &service).await, "cell-b");
    assert_eq!(service.metric(&handshakes("ok")).await, 1);
    let (_, metrics) = service.get("/metrics").await;
    assert!(metrics.contains("cellgate_tls_certificate_expiry_timestamp_seconds 67"), "4096-01-01: {metrics}");
}

#[tokio::test]
async fn every_other_client_is_refused_and_counted_by_its_reason() {
    let pki = Pki::new();
    let service = pki.service().await;
    for case in tls_cases::cases(&pki) {
        let counted = handshakes(case.reason);
        let before = service.metric(&counted).await;
        case.run(&service).await;
        until(case.name, || async { service.metric(&counted).await == before + 1 }).await;
    }
    assert_eq!(service.metric(&handshakes("ok")).await, 0);
    assert_eq!(cell_of_acme(&pki.client(), &service).await, "cell-b");
}

#[tokio::test]
async fn without_names_each_certificate_of_the_authority_is_admitted() {
    let pki = Pki::new();
    let mut tls = pki.settings();
    tls.client_names.clear();
    let service = Service::start_with(|settings| settings.tls = Some(tls)).await;
    let nameless = pki.client_with(Some(pki.authority.issue_with(|_| {})));
    assert_eq!(cell_of_acme(&nameless, &service).await, "cell-b");
}

#[tokio::test]
async fn without_an_authority_no_client_needs_a_certificate() {
    let pki = Pki::new();
    let mut tls = pki.settings();
    (tls.client_ca, tls.client_names) = (None, Vec::new());
    let service = Service::start_with(|settings| settings.tls = Some(tls)).await;
    assert_eq!(cell_of_acme(&pki.client_with(None), &service).await, "cell-b");
}

#[tokio::test]
async fn tls_1_2_is_accepted_where_it_is_asked_for() {
    let pki = Pki::new();
    let mut tls = pki.settings();
    tls.min_version = MinVersion::Tls12;
    let service = Service::start_with(|settings| settings.tls = Some(tls)).await;
    for versions in [TLS12, TLS13] {
        assert_eq!(cell_of_acme(&Client { versions, ..pki.client() }, &service).await, "cell-b");
    }
    // The names are verified there too.
    let other = pki.client_with(Some(pki.authority.issue("other.example.com")));
    assert!(Client { versions: TLS12, ..other }.connect(&service).await.is_err());
    until("counted", || async { service.metric(&handshakes("san_not_admitted")).await == 1 }).await;
}

#[tokio::test]
async fn unfinished_handshakes_end_in_time_and_block_nobody() {
    let pki = Pki::new();
    let service = Service::start_with(|settings| {
        settings.tls = Some(pki.settings());
        settings.preface_timeout = Duration::from_secs(2);
    })
    .await;
    let mut silent = Vec::new();
    // More than may speak at a time: who is silent takes no turn.
    for number in 0..300 {
        let mut stream = TcpStream::connect(service.grpc).await.unwrap();
        if number < 100 {
            stream.write_all(b"\x16\x03\x01").await.unwrap();
        }
        silent.push(stream);
    }
    assert_eq!(cell_of_acme(&pki.client(), &service).await, "cell-b");
    for mut stream in silent {
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let _end = tokio::time::timeout(PATIENCE, end).await.expect("still open");
    }
    until("counted", || async { service.metric(&handshakes("timeout")).await == 300 }).await;
}

/// They held all turns until their deadlines, which is longer than Envoy waits for a connection.
#[tokio::test]
async fn handshakes_that_stall_give_way_to_others_after_a_second() {
    let pki = Pki::new();
    let service = Service::start_with(|settings| {
        settings.tls = Some(pki.settings());
        settings.preface_timeout = 3 * PATIENCE;
    })
    .await;
    let mut stalled = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(service.grpc).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        stalled.push(stream);
    }
    let served = tokio::time::timeout(PATIENCE, cell_of_acme(&pki.client(), &service)).await;
    assert_eq!(served.expect("the stalled handshakes block it"), "cell-b");
    let ended = service.metric(&handshakes("timeout")).await;
    assert!((1..=300).contains(&ended), "{ended}");
}

#[tokio::test]
async fn the_certificate_of_another_name_is_refused_by_clients() {
    let pki = Pki::new();
    pki.write_identity(&pki.authority.issue("other.example.com"));
    let service = pki.service().await;
    assert!(pki.client().connect(&service).await.is_err());
    until("counted", || async { service.metric(&handshakes("refused_by_client")).await == 1 }).await;
}

#[tokio::test]
async fn who_is_silent_after_the_handshake_is_closed() {
    let pki = Pki::new();
    let service = Service::start_with(|settings| {
        settings.tls = Some(pki.settings());
        settings.preface_timeout = Duration::from_millis(500);
    })
    .await;
    let mut stream = pki.client().connect(&service).await.unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    let _end = tokio::time::timeout(PATIENCE, end).await.expect("still open");
    assert_eq!(service.metric(&handshakes("ok")).await, 1);
}

#[tokio::test]
async fn a_client_that_only_connects_is_counted_as_closed() {
    let pki = Pki::new();
    let service = pki.service().await;
    drop(TcpStream::connect(service.grpc).await.unwrap());
    until("counted", || async { service.metric(&handshakes("closed")).await == 1 }).await;
}

#[tokio::test]
async fn tls_on_a_plain_text_port_is_counted() {
    let pki = Pki::new();
    let service = Service::start().await;
    assert!(pki.client().connect(&service).await.is_err());
    until("counted", || async { service.metric(&handshakes("tls_on_plain_text")).await == 1 }).await;
}
