//! `/inspect` on the admin port: what runs, its configuration, its limits, and the last refusals, without keys or bodies.

use std::time::Duration;

use cellgate_ext_proc::config_file::digest;
use cellgate_ext_proc::inspection::{Inspection, RefusalCount};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;

use crate::peer::{Peer, head};
use crate::pki::{Pki, replace, san, seconds_from_now};
use crate::support::{CONFIG, Service, until};

/// A key that must not appear anywhere.
const SECRET: &str = "tenant-4711";

async fn inspect(service: &Service) -> Inspection {
    let (status, text) = service.get("/inspect").await;
    assert_eq!(status, 200, "{text}");
    assert!(!text.contains(SECRET), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Waits for a refusal of a request, of a stream or of a connection.
async fn refusal(service: &Service, reason: &str) -> RefusalCount {
    let find = || async {
        let Inspection { refusals, stream_errors, refused_connections, .. } = inspect(service).await;
        [refusals, stream_errors, refused_connections].concat().into_iter().find(|refusal| refusal.reason == reason)
    };
    until(reason, || async { find().await.is_some() }).await;
    find().await.unwrap()
}

fn with_request_id(id: &str) -> ProcessingRequest {
    let mut message = head(BodySendMode::Buffered, &[("content-type", "application/json")], false);
    let Some(Request::RequestHeaders(headers)) = &mut message.request else { panic!("no headers") };
    let fields = &mut headers.headers.as_mut().unwrap().headers;
    fields.iter_mut().find(|field| field.key == "x-request-id").unwrap().raw_value = id.as_bytes().to_vec();
    message
}

#[tokio::test]
async fn it_shows_what_runs() {
    let service = Service::start_with(|settings| settings.decision_timeout = Duration::from_millis(9500)).await;
    let shown = inspect(&service).await;
    assert_eq!(shown.version, env!("CARGO_PKG_VERSION"));
    assert!(shown.ready && shown.not_ready_reasons.is_empty() && shown.uptime_seconds < 60);
    assert_eq!((shown.config.version.as_str(), shown.config.refused), ("one", None));
    assert_eq!(shown.config.digest, digest(CONFIG.as_bytes()));
    assert_eq!(shown.config.file, service.config.display().to_string());
    let budget = shown.budget;
    assert_eq!((budget.used_bytes, budget.limit_bytes, budget.waiting_streams), (0, 64 << 20, 0));
    assert_eq!((shown.limits.message_bytes, shown.limits.stream_bytes), (64 << 20, 16 << 20));
    assert_eq!((shown.limits.streams_per_connection, shown.limits.decision_timeout_ms), (10_000, 9500));
    assert_eq!((shown.tls, shown.open_streams), (None, 0));
    assert_eq!(shown.refusals, []);
}

#[tokio::test]
async fn open_streams_and_held_bytes_are_shown() {
    let service = Service::start().await;
    let peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.body(b"{\"tenant\":{\"id\":\"tenant-47", false).await;
    until("held", || async { inspect(&service).await.budget.used_bytes > 0 }).await;
    assert_eq!(inspect(&service).await.open_streams, 1);
}

#[tokio::test]
async fn a_refusal_has_its_reason_count_status_and_request_id() {
    let service = Service::start().await;
    for id in ["first", "second\n{\"level\":\"ERROR\"}"] {
        let mut peer = Peer::open(&service).await;
        peer.send(with_request_id(id)).await;
        peer.change().await;
        peer.body(format!("{{\"tenant\":{{\"id\":\"{SECRET}\"}},}}").as_bytes(), true).await;
        assert_eq!(peer.immediate().await.status.unwrap().code, 400);
    }
    let refused = refusal(&service, "body_malformed").await;
    assert_eq!((refused.count, refused.last_status), (2, Some(400)));
    assert_eq!(refused.last_request_id, "second{\"level\":\"ERROR\"}");

    let mut peer = Peer::open(&service).await;
    peer.send(with_request_id(&"x".repeat(5000))).await;
    peer.change().await;
    peer.body(b"{]", true).await;
    peer.immediate().await;
    assert_eq!(refusal(&service, "body_malformed").await.last_request_id, "x".repeat(128));
}

/// The request was already released when its second key came.
#[tokio::test]
async fn a_conflict_after_the_decision_is_a_refusal() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.body(b"{\"tenant\":{\"id\":\"acme\"},", false).await;
    peer.change().await;
    peer.piece().await;
    peer.body(format!("\"tenant\":{{\"id\":\"{SECRET}\"}}}}").as_bytes(), true).await;
    peer.immediate().await;
    let refused = refusal(&service, "key_duplicated").await;
    assert_eq!((refused.count, refused.last_request_id.as_str()), (1, "test"));
}

#[tokio::test]
async fn a_stream_that_ends_with_an_error_is_counted_by_its_status() {
    let service = Service::start().await;
    let mut peer = Peer::post(&service, BodySendMode::Streamed).await;
    peer.status().await;
    let failed = refusal(&service, "FAILED_PRECONDITION").await;
    assert_eq!((failed.count, failed.last_status), (1, None));
}

/// The full text of the error quotes the key. Only the log may have it.
#[tokio::test]
async fn a_refused_file_is_shown_without_its_values() {
    let service = Service::start().await;
    let bad = CONFIG.replace("acme: cell-b", &format!("{SECRET}: nowhere"));
    replace(&service.config, &bad);
    until("refused", || async { inspect(&service).await.config.refused.is_some() }).await;
    let shown = inspect(&service).await.config;
    let error = shown.refused.unwrap().error;
    assert!(error.ends_with("cellgate.yaml:8:25: placement is not valid"), "{error}");
    assert_eq!((shown.version.as_str(), shown.digest), ("one", digest(CONFIG.as_bytes())));

    let good = CONFIG.replace("version: one", "version: two");
    replace(&service.config, &good);
    until("in force", || async { inspect(&service).await.config.version == "two" }).await;
    let shown = inspect(&service).await.config;
    assert_eq!((shown.digest, shown.refused), (digest(good.as_bytes()), None));
}

#[tokio::test]
async fn tls_has_its_expiry_its_refused_files_and_refused_connections() {
    let pki = Pki::new();
    pki.write_identity(&pki.authority.issue_with(|params| {
        params.subject_alt_names = vec![san("localhost")];
        params.not_after = seconds_from_now(3600).into();
    }));
    let service = pki.service().await;
    let tls = inspect(&service).await.tls.unwrap();
    assert!(tls.client_certificates && tls.refused.is_none());
    assert!((3000..=3600).contains(&tls.expires_in_seconds), "{}", tls.expires_in_seconds);

    replace(&pki.path("tls.crt"), &pki.authority.issue("localhost").certificate);
    until("refused", || async { inspect(&service).await.tls.unwrap().refused.is_some() }).await;
    let error = inspect(&service).await.tls.unwrap().refused.unwrap().error;
    assert!(error.contains("does not match the certificate"), "{error}");

    let mut stranger = pki.client_with(None).connect(&service).await.unwrap();
    let _refused = tokio::io::AsyncReadExt::read(&mut stranger, &mut [0]).await;
    let refused = refusal(&service, "no_certificate").await;
    assert_eq!((refused.count, refused.last_request_id.as_str()), (1, ""));
}
