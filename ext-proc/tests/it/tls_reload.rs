//! Changed TLS files: in force for the next handshake if they are good, refused if they are not. Nothing that is open ends.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tokio::time::Instant;

use crate::peer::{Peer, cell};
use crate::pki::{Authority, Client, GATEWAY, Pki, replace, san, seconds_from_now};
use crate::support::{Service, until};
use crate::tls::{cell_of_acme, handshakes};

const RELOADED: &str = r#"cellgate_tls_reloads_total{result="ok"}"#;
const REFUSED: &str = r#"cellgate_tls_reloads_total{result="refused"}"#;

/// The certificate that the service shows.
async fn shown(client: &Client, service: &Service) -> Vec<u8> {
    let stream = client.connect(service).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_new_pair_is_in_force_and_an_open_stream_continues() {
    let pki = Pki::new();
    let service = pki.service().await;
    let client = pki.client();
    let first = shown(&client, &service).await;
    let mut open = Peer::over(client.channel(&service).await.unwrap()).await;
    open.send(crate::peer::head(BodySendMode::FullDuplexStreamed, &[("content-type", "application/json")], false))
        .await;
    open.body(b"{", false).await;
    until("begun", || async { service.metric("cellgate_held_bytes").await > 0 }).await;

    let began = Instant::now();
    let mut identity = pki.authority.issue_with(|params| {
        params.subject_alt_names = vec![san("localhost")];
        params.not_after = seconds_from_now(3600).into();
    });
    pki.write_identity(&identity);
    until("in force", || async { service.metric(RELOADED).await > 0 }).await;
    assert!(began.elapsed() < Duration::from_secs(5), "by the watch, not by the slow poll");
    assert_ne!(shown(&client, &service).await, first);
    let (_, metrics) = service.get("/metrics").await;
    let expiry =
        metrics.lines().find_map(|line| line.strip_prefix("cellgate_tls_certificate_expiry_timestamp_seconds "));
    let left = expiry.unwrap().parse::<u64>().unwrap()
        - seconds_from_now(0).duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((3000..=3600).contains(&left), "{left}");
    open.body(br#""tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&open.change().await), "cell-b");

    // A key that does not match: the last pair stays.
    let second = shown(&client, &service).await;
    let refused = service.metric(REFUSED).await;
    identity = pki.authority.issue("localhost");
    replace(&pki.path("tls.crt"), &identity.certificate);
    until("refused", || async { service.metric(REFUSED).await > refused }).await;
    assert_eq!(shown(&client, &service).await, second);
    assert_eq!(cell_of_acme(&client, &service).await, "cell-b");
    let reloaded = service.metric(RELOADED).await;
    replace(&pki.path("tls.key"), &identity.key);
    until("in force", || async { service.metric(RELOADED).await > reloaded }).await;
    assert_ne!(shown(&client, &service).await, second);
}

#[tokio::test]
async fn bad_files_are_refused_and_the_last_good_ones_stay() {
    let pki = Pki::new();
    let service = pki.service().await;
    let client = pki.client();
    let expired = pki.authority.issue_with(|params| {
        params.subject_alt_names = vec![san("localhost")];
        params.not_after = seconds_from_now(-1).into();
    });
    let good = std::fs::read_to_string(pki.path("tls.crt")).unwrap();
    for (number, (file, text)) in [
        ("tls.crt", &*expired.certificate),
        ("tls.crt", ""),
        ("tls.crt", &good[..good.len() / 2]),
        ("tls.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("tls.key", "\0"),
        ("ca.pem", "no certificate"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = std::fs::read_to_string(pki.path(file)).unwrap();
        replace(&pki.path(file), text);
        until(text, || async { service.metric(REFUSED).await > number as u64 }).await;
        assert_eq!(cell_of_acme(&client, &service).await, "cell-b");
        assert_eq!(service.get("/readyz").await.0, 200);
        // Each of them is good again.
        let reloaded = service.metric(RELOADED).await;
        replace(&pki.path(file), &before);
        until("good again", || async { service.metric(RELOADED).await > reloaded }).await;
    }
    std::fs::remove_file(pki.path("ca.pem")).unwrap();
    until("refused", || async { service.metric(REFUSED).await == 8 }).await;
    assert_eq!(cell_of_acme(&client, &service).await, "cell-b");
}

#[tokio::test]
async fn a_certificate_is_refused_until_it_is_valid() {
    let pki = Pki::new();
    let service = pki.service().await;
    let first = shown(&pki.client(), &service).await;
    pki.write_identity(&pki.authority.issue_with(|params| {
        params.subject_alt_names = vec![san("localhost")];
        params.not_before = seconds_from_now(2).into();
    }));
    until("refused", || async { service.metric(REFUSED).await > 0 }).await;
    assert_eq!(shown(&pki.client(), &service).await, first);
    // By the slow poll, without a change of the files.
    until("in force", || async { service.metric(RELOADED).await > 0 }).await;
    assert_ne!(shown(&pki.client(), &service).await, first);
}

/// A file that is read between two writes has only some of its authorities, or half of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_good_handshake_fails_while_the_authorities_are_rewritten() {
    let pki = Pki::new();
    let (first, last) = (Authority::new("first"), Authority::new("last"));
    // The client's own authority is the second one.
    let bundle = format!("{}{}", first.pem(), pki.authority.pem());
    replace(&pki.path("ca.pem"), &bundle);
    let service = pki.service().await;
    let client = pki.client();
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (path, bundle, done) = (pki.path("ca.pem"), bundle.clone(), Arc::clone(&done));
        let border = first.pem().len();
        async move {
            let mut writes = 0;
            while !done.load(Ordering::Relaxed) {
                for part in [0, border / 2, border, border + 40, bundle.len()] {
                    std::fs::write(&path, &bundle[..part]).unwrap();
                    // Less than the service waits between two reads.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                writes += 1;
            }
            writes
        }
    });
    let began = Instant::now();
    let mut served = 0;
    while began.elapsed() < Duration::from_secs(2) || served < 20 {
        assert_eq!(cell_of_acme(&client, &service).await, "cell-b", "after {served}");
        served += 1;
    }
    done.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 20);
    assert_eq!(service.metric(&handshakes("unknown_ca")).await, 0);

    let other = pki.client_with(Some(last.issue(GATEWAY)));
    replace(&pki.path("ca.pem"), &format!("{}{}", last.pem(), bundle));
    until("in force", || async {
        let channel = other.channel(&service).await;
        let Ok(channel) = channel else { return false };
        tonic_health::pb::health_client::HealthClient::new(channel)
            .check(tonic_health::pb::HealthCheckRequest::default())
            .await
            .is_ok()
    })
    .await;
    assert_eq!(cell_of_acme(&client, &service).await, "cell-b");
}

#[tokio::test]
async fn a_secret_swaps_a_link_beside_the_files() {
    let pki = Pki::new();
    let folder = pki.directory.path();
    for name in ["..one", "..two"] {
        std::fs::create_dir(folder.join(name)).unwrap();
        let identity = pki.authority.issue("localhost");
        std::fs::write(folder.join(name).join("tls.crt"), identity.certificate).unwrap();
        std::fs::write(folder.join(name).join("tls.key"), identity.key).unwrap();
        std::fs::write(folder.join(name).join("ca.pem"), pki.authority.pem()).unwrap();
    }
    symlink("..one", folder.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key", "ca.pem"] {
        std::fs::remove_file(folder.join(name)).unwrap();
        symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
    let service = pki.service().await;
    let began = Instant::now();
    symlink("..two", folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    until("in force", || async { service.metric(RELOADED).await == 1 }).await;
    assert!(began.elapsed() < Duration::from_secs(5), "by the watch, not by the slow poll");
    assert_eq!(service.metric(REFUSED).await, 0);
    assert_eq!(cell_of_acme(&pki.client(), &service).await, "cell-b");
}

#[tokio::test]
async fn a_start_with_bad_files_fails() {
    let pki = Pki::new();
    pki.write_identity(&pki.authority.issue_with(|params| params.not_after = seconds_from_now(-1).into()));
    let error = Service::failed_start(|settings| settings.tls = Some(pki.settings())).await.to_string();
    assert!(error.contains("tls.crt: the certificate expired "), "{error}");
}
