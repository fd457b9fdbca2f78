//! The log beside traces: the ids on its lines, and the lines about the receiver.

use cellgate_ext_proc::{OtlpProtocol, TraceSettings};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

use super::ProcessLog;
use crate::limits::{LIMITS, LimitedService};
use crate::otlp::{self, Behavior, Receiver};
use crate::peer::{Peer, head};
use crate::support::{Service, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A request of a call with this context.
async fn request(service: &Service, id: &str, traceparent: &str) {
    let channel = Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap().connect().await.unwrap();
    let mut peer = Peer::with_metadata(channel, &[("traceparent", traceparent)]).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme"), ("x-request-id", id)], true)).await;
    peer.response().await;
    peer.close();
    assert_eq!(peer.next().await.unwrap(), None);
}

#[tokio::test]
async fn the_lines_of_a_request_name_its_span_or_that_of_envoy() {
    let (log, _turn) = ProcessLog::start().await;
    let receiver = Receiver::start(None).await;
    let (logging, traces) = (log.logging.clone(), receiver.settings(OtlpProtocol::Grpc));
    let limited = LimitedService::start_with(LIMITS, |settings| {
        settings.logging = Some(logging);
        settings.traces = Some(traces);
    })
    .await;
    limited.document("PUT", "/log-level?level=debug").await;
    for (id, context) in [
        ("sampled", format!("00-{TRACE}-{SPAN}-01")),
        ("unsampled", format!("00-{TRACE}-{SPAN}-00")),
        ("none", "junk".into()),
    ] {
        request(&limited.service, id, &context).await;
    }
    limited.document("DELETE", "/log-level").await;
    let line = |id: &str| log.of("request_decided").into_iter().find(|line| line["request_id"] == id);
    until("lines", || async { ["sampled", "unsampled", "none"].into_iter().all(|id| line(id).is_some()) }).await;
    let [sampled, unsampled, none] = ["sampled", "unsampled", "none"].map(|id| line(id).unwrap());
    // The line and the span lead to each other.
    let span = &receiver.wait_for("envoy.", 1).await[0];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((&sampled["trace_id"], &sampled["span_id"]), (&TRACE.into(), &hex(&span.span_id).into()));
    assert_eq!((&unsampled["trace_id"], &unsampled["span_id"]), (&TRACE.into(), &SPAN.into()));
    assert!(none.get("trace_id").is_none() && none.get("span_id").is_none(), "{none}");
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_once_and_once_more_when_it_works_again() {
    let (log, _turn) = ProcessLog::start().await;
    let receiver = Receiver::start(None).await;
    let traces = TraceSettings { sample_percent: 100.0, ..receiver.settings(OtlpProtocol::Grpc) };
    let address = receiver.stop().await;
    let logging = log.logging.clone();
    let limited = LimitedService::start_with(LIMITS, |settings| {
        settings.logging = Some(logging);
        settings.traces = Some(traces);
    })
    .await;
    let service = &limited.service;
    let spans = |result: &str| format!("cellgate_trace_spans_total{{result=\"{result}\"}}");
    // Before any request, so that nobody waits for a first span.
    log.line("traces_failing").await;
    let fail = async |requests: u64| {
        for _ in 0..requests {
            let failed = service.metric(&spans("failed")).await;
            limited.send("acme", "k").await;
            until("failed", || async { service.metric(&spans("failed")).await > failed }).await;
        }
    };
    fail(3).await;
    assert_eq!((log.of("traces_failing").len(), log.of("traces_exported_again").len()), (1, 0));
    let failing = log.line("traces_failing").await;
    assert_eq!((&failing["level"], &failing["endpoint"]), (&"WARN".into(), &format!("http://{address}").into()));
    assert!(failing["remedy"].as_str().unwrap().contains("--otlp-endpoint"), "{failing}");

    let receiver = Receiver::start_at(address).await;
    for _ in 0..3 {
        let exported = service.metric(&spans("exported")).await;
        limited.send("acme", "k").await;
        until("exported", || async { service.metric(&spans("exported")).await > exported }).await;
    }
    log.line("traces_exported_again").await;
    receiver.stop().await;
    fail(2).await;
    until("again", || async { log.of("traces_failing").len() == 2 }).await;
    assert_eq!(log.of("traces_exported_again").len(), 1);
    // The crates of OpenTelemetry log each failure, unless they are compiled without that.
    let of_exporter = |line: &&serde_json::Value| line.to_string().contains("opentelemetry");
    let library = log.of("library");
    assert_eq!(library.iter().find(of_exporter), None);
}

#[tokio::test]
async fn a_receiver_that_rejects_spans_is_told_once_and_once_more_when_it_takes_all() {
    let (log, _turn) = ProcessLog::start().await;
    let receiver = Receiver::start(None).await;
    let traces = TraceSettings { sample_percent: 100.0, ..receiver.settings(OtlpProtocol::Grpc) };
    let logging = log.logging.clone();
    let limited = LimitedService::start_with(LIMITS, |settings| {
        settings.logging = Some(logging);
        settings.traces = Some(traces);
    })
    .await;
    let send = async |behavior, result: &str, requests: usize| {
        receiver.behave(behavior);
        let spans = format!("cellgate_trace_spans_total{{result=\"{result}\"}}");
        for _ in 0..requests {
            let before = limited.service.metric(&spans).await;
            limited.send("acme", "k").await;
            until(result, || async { limited.service.metric(&spans).await > before }).await;
        }
    };
    send(Behavior::Reject(1), "failed", 3).await;
    let rejected = log.line("traces_rejected").await;
    assert_eq!((&rejected["level"], &rejected["spans"]), (&"WARN".into(), &1.into()));
    assert!(
        !rejected.to_string().contains("the quota is used up"),
        "a receiver's text may repeat a part of the request"
    );
    assert_eq!((log.of("traces_rejected").len(), log.of("traces_exported_again").len()), (1, 0));
    send(Behavior::Accept, "exported", 2).await;
    log.line("traces_exported_again").await;
    // A warning without rejected spans.
    send(Behavior::Reject(0), "exported", 2).await;
    until("again", || async { log.of("traces_rejected").len() == 2 }).await;
    assert_eq!(log.of("traces_rejected")[1]["spans"], 0);
    assert_eq!(log.of("traces_exported_again").len(), 1);
    // The exporter tells of rejected spans by its log, which the level does not stop and no line repeats.
    limited.document("PUT", "/log-level?level=off").await;
    send(Behavior::Reject(1), "failed", 1).await;
    limited.document("PUT", "/log-level?level=debug,opentelemetry-otlp=trace").await;
    send(Behavior::Reject(1), "failed", 1).await;
    limited.document("DELETE", "/log-level").await;
    assert_eq!(log.of("library").iter().find(|line| line.to_string().contains("opentelemetry")), None);
}

/// The crate calls each failure of a connection a network error.
#[tokio::test]
async fn a_connection_over_http_that_ends_early_is_told_with_its_reason() {
    let (log, _turn) = ProcessLog::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let closing = tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let traces = TraceSettings { sample_percent: 100.0, ..otlp::settings(&endpoint, OtlpProtocol::Http) };
    let logging = log.logging.clone();
    let limited = LimitedService::start_with(LIMITS, |settings| {
        settings.logging = Some(logging);
        settings.traces = Some(traces);
    })
    .await;
    limited.send("acme", "k").await;
    let error = log.line("traces_failing").await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("connection") && !error.contains("network error"), "{error}");
    closing.abort();
}

#[tokio::test]
async fn a_changed_file_with_header_fields_is_told_once() {
    let (log, _turn) = ProcessLog::start().await;
    let receiver = Receiver::start(None).await;
    let directory = tempfile::tempdir().unwrap();
    let headers = directory.path().join("headers");
    std::fs::write(&headers, "authorization: Bearer first-secret\n").unwrap();
    let traces = receiver.settings(OtlpProtocol::Http);
    let traces = TraceSettings { sample_percent: 100.0, headers: Some(headers.clone()), ..traces };
    let logging = log.logging.clone();
    let limited = LimitedService::start_with(LIMITS, |settings| {
        settings.logging = Some(logging);
        settings.traces = Some(traces);
    })
    .await;
    let spans = "cellgate_trace_spans_total{result=\"exported\"}";
    for content in ["second-secret\n", "authorization: Bearer third-secret\n"] {
        std::fs::write(&headers, content).unwrap();
        for _ in 0..3 {
            let before = limited.service.metric(spans).await;
            limited.send("acme", "k").await;
            until("exported", || async { limited.service.metric(spans).await > before }).await;
        }
    }
    let refused = log.line("otlp_headers_refused").await;
    log.line("otlp_headers_reloaded").await;
    assert_eq!((log.of("otlp_headers_refused").len(), log.of("otlp_headers_reloaded").len()), (1, 1));
    assert!(refused["error"].as_str().unwrap().contains("headers: line 1: "), "{refused}");
    assert!(!log.lines().iter().any(|line| line.to_string().contains("-secret")), "secret");
}
