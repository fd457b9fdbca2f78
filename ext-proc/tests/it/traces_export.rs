//! The export of spans: over each protocol, and when the receiver is gone, silent, unwilling or back.

use std::path::PathBuf;
use std::time::Duration;

use cellgate_ext_proc::{OtlpProtocol, ServeError, TraceError, TraceSettings};
use tokio::net::TcpListener;

use crate::otlp::{self, Behavior, Receiver};
use crate::pki::{Authority, Pki, replace};
use crate::support::{PATIENCE, Service, until};
use crate::traces::{channel, decide, decide_on};

const SAMPLED: [(&str, &str); 1] = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];

const PROTOCOLS: [OtlpProtocol; 2] = [OtlpProtocol::Grpc, OtlpProtocol::Http];

async fn traced(settings: TraceSettings) -> Service {
    Service::start_with(|service| service.traces = Some(settings)).await
}

async fn count(service: &Service, result: &str) -> u64 {
    service.metric(&format!("cellgate_trace_spans_total{{result=\"{result}\"}}")).await
}

/// Waits until the spans of one request have failed: its own, and those of the waiting and the placement.
async fn all_failed(service: &Service) {
    until("failed", || async { count(service, "failed").await == 3 }).await;
}

#[tokio::test]
async fn spans_arrive_over_each_protocol_with_the_fields_of_the_file() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        let directory = tempfile::tempdir().unwrap();
        let headers = directory.path().join("headers");
        std::fs::write(&headers, "authorization: Bearer of-the-test\n").unwrap();
        let settings = TraceSettings { headers: Some(headers), ..receiver.settings(protocol) };
        let service = traced(settings).await;
        decide(&service, &SAMPLED).await;
        receiver.wait_for("envoy.", 1).await;
        // Over HTTP on the same connection.
        decide(&service, &SAMPLED).await;
        receiver.wait_for("envoy.", 2).await;
        let fields = receiver.fields();
        let tokens: Vec<_> = fields.get_all("authorization").iter().collect();
        assert_eq!(tokens, ["Bearer of-the-test"], "{protocol:?}");
        let spans = receiver.spans().len() as u64;
        until("counted", || async { count(&service, "exported").await == spans }).await;
        assert_eq!((count(&service, "failed").await, count(&service, "dropped").await), (0, 0));
    }
}

/// Over gRPC the variable won, and over HTTP the receiver got two tokens. Another process runs the test above with the variable.
#[test]
fn the_file_wins_over_the_variable() {
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "traces_export::spans_arrive_over_each_protocol_with_the_fields_of_the_file"]);
    let output = test.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=of-the-variable").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn spans_arrive_by_tls_from_a_receiver_that_the_authority_vouches_for() {
    for protocol in PROTOCOLS {
        let pki = Pki::new();
        let receiver = Receiver::start(Some(&pki.authority.issue("localhost"))).await;
        let endpoint = format!("https://localhost:{}", receiver.address.port());
        let ca = pki.path("otlp-ca.pem");
        // Nobody vouches for the receiver yet.
        replace(&ca, &Authority::new("another").pem());
        let service = traced(TraceSettings { ca: Some(ca.clone()), ..otlp::settings(&endpoint, protocol) }).await;
        decide(&service, &SAMPLED).await;
        all_failed(&service).await;
        assert!(receiver.spans().is_empty());
        // The file is read again for each connection.
        replace(&ca, &pki.authority.pem());
        decide(&service, &SAMPLED).await;
        receiver.wait_for("envoy.", 1).await;
    }
}

#[tokio::test]
async fn requests_go_on_without_a_receiver_and_spans_arrive_when_it_is_back() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        let settings = receiver.settings(protocol);
        let address = receiver.stop().await;
        let service = traced(settings).await;
        decide(&service, &SAMPLED).await;
        all_failed(&service).await;
        let receiver = Receiver::start_at(address).await;
        decide(&service, &SAMPLED).await;
        until("exported", || async { count(&service, "exported").await > 0 }).await;
        assert!(!receiver.spans().is_empty());
    }
}

#[tokio::test]
async fn a_receiver_that_refuses_costs_only_its_spans() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        receiver.behave(Behavior::Refuse);
        let service = traced(receiver.settings(protocol)).await;
        decide(&service, &SAMPLED).await;
        all_failed(&service).await;
        receiver.behave(Behavior::Accept);
        decide(&service, &SAMPLED).await;
        until("exported", || async { count(&service, "exported").await > 0 }).await;
    }
}

#[tokio::test]
async fn a_receiver_that_is_busy_gets_the_spans_again() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        // One message has all spans.
        let settings = TraceSettings { interval: 100 * PATIENCE, ..receiver.settings(protocol) };
        let service = traced(settings).await;
        receiver.behave(Behavior::BusyOnce);
        decide(&service, &SAMPLED).await;
        service.stop();
        service.ended().await.unwrap();
        assert_eq!((receiver.messages(), receiver.spans().len()), (2, 3), "{protocol:?}");
    }
}

/// The bound holds for an attempt that has begun, and leaves nothing behind that delays the next export.
#[tokio::test]
async fn a_receiver_that_is_silent_costs_its_spans_after_the_time_of_an_export() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        receiver.behave(Behavior::Hang);
        let settings = TraceSettings { timeout: Duration::from_millis(300), ..receiver.settings(protocol) };
        let service = traced(settings).await;
        decide(&service, &SAMPLED).await;
        all_failed(&service).await;
        receiver.behave(Behavior::Accept);
        decide(&service, &SAMPLED).await;
        until("exported", || async { count(&service, "exported").await == 3 }).await;
    }
}

/// The collector answers OK, and says how many spans it did not take. They counted as exported.
#[tokio::test]
async fn spans_that_the_receiver_rejects_count_as_failed() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        let service = traced(receiver.settings(protocol)).await;
        for (behavior, expected) in [
            (Behavior::RejectWork, (1, 2)),
            (Behavior::Reject(0), (4, 2)),
            (Behavior::Reject(-5), (7, 2)),
            (Behavior::Reject(99), (7, 5)),
        ] {
            receiver.behave(behavior);
            decide(&service, &SAMPLED).await;
            let counts = async || (count(&service, "exported").await, count(&service, "failed").await);
            until("all counted", || async { counts().await.0 + counts().await.1 == expected.0 + expected.1 }).await;
            assert_eq!(counts().await, expected, "{protocol:?} {behavior:?}");
        }
        assert_eq!(count(&service, "dropped").await, 0);
    }
}

/// A Secret is rotated: the old token had to be used until a restart.
#[tokio::test]
async fn a_changed_file_with_header_fields_counts_for_the_next_export() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        let directory = tempfile::tempdir().unwrap();
        let headers = directory.path().join("headers");
        replace(&headers, "authorization: Bearer one\n");
        let settings = TraceSettings { headers: Some(headers.clone()), ..receiver.settings(protocol) };
        let service = traced(settings).await;
        for (requests, content, token) in [
            (1, "authorization: Bearer one\n", "Bearer one"),
            (2, "authorization: Bearer two\n", "Bearer two"),
            // A file that cannot be used leaves the last token.
            (3, "Bearer three\n", "Bearer two"),
            (4, "authorization: Bearer four\n", "Bearer four"),
        ] {
            replace(&headers, content);
            decide(&service, &SAMPLED).await;
            receiver.wait_for("envoy.", requests).await;
            assert_eq!(receiver.fields()["authorization"], token, "{protocol:?}");
        }
    }
}

/// The queue is bounded: what does not fit is dropped and counted, and requests are answered meanwhile.
#[tokio::test]
async fn a_receiver_that_never_answers_neither_blocks_requests_nor_grows_memory() {
    let receiver = Receiver::start(None).await;
    receiver.behave(Behavior::Hang);
    let settings = TraceSettings { timeout: 100 * PATIENCE, ..receiver.settings(OtlpProtocol::Grpc) };
    let service = traced(settings).await;
    // Each has three spans, as in `all_failed`. Exactly 4096 wait, however many there were, and the others are dropped.
    let (connection, requests) = (channel(&service).await, 1_500);
    decide_on(&connection, &SAMPLED, requests).await;
    let dropped = 3 * requests as u64 - 4096;
    until("dropped", || async { count(&service, "dropped").await == dropped }).await;
    assert_eq!((count(&service, "exported").await, count(&service, "failed").await), (0, 0));
    // The service ends by the bound of the flush, and does not wait for the receiver's timeout.
    service.stop();
    drop(connection);
    service.ended().await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_drain_exports_what_is_left() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start(None).await;
        // Nothing is sent before the end.
        let settings = TraceSettings { interval: 100 * PATIENCE, ..receiver.settings(protocol) };
        let service = traced(settings).await;
        decide(&service, &SAMPLED).await;
        assert!(receiver.spans().is_empty());
        service.stop();
        service.ended().await.unwrap();
        receiver.wait_for("envoy.", 1).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_exist_stops_nothing() {
    for endpoint in ["http://collector.invalid:4317", "https://127.0.0.1:1"] {
        let service = traced(otlp::settings(endpoint, OtlpProtocol::Grpc)).await;
        decide(&service, &SAMPLED).await;
        all_failed(&service).await;
        assert_eq!(service.get("/readyz").await.0, 200);
    }
}

/// A server that speaks another protocol, and one that closes each connection.
#[tokio::test]
async fn a_port_that_is_no_receiver_costs_only_the_spans() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _written = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH\r\n").await;
        }
    });
    for protocol in PROTOCOLS {
        let service = traced(otlp::settings(&format!("http://{address}"), protocol)).await;
        decide(&service, &SAMPLED).await;
        all_failed(&service).await;
    }
    closing.abort();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let settings = |change: fn(&mut TraceSettings)| {
        let mut settings = otlp::settings("https://127.0.0.1:1", OtlpProtocol::Grpc);
        change(&mut settings);
        Service::failed_start(|service| service.traces = Some(settings))
    };
    let ca = settings(|settings| settings.ca = Some(PathBuf::from("/nonexistent/ca.pem"))).await;
    assert!(matches!(ca, ServeError::Traces(TraceError::Ca(_))), "{ca}");
    let headers = settings(|settings| settings.headers = Some(PathBuf::from("/nonexistent/headers"))).await;
    assert!(matches!(headers, ServeError::Traces(TraceError::Headers(_))), "{headers}");
}
