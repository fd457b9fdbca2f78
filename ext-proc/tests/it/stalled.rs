//! Streams that are not polled: what they hold is given back, and those that only wait are left alone.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, ProcessingRequest};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::peer::{Peer, cell, head, message};
use crate::raw::{
    DATA, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW, RST_STREAM, WINDOW_UPDATE, body, connect, data, frame, next,
    next_of, open, open_with,
};
use crate::support::{Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn impatient() -> Service {
    Service::start_with(|settings| settings.decision_timeout = Duration::from_millis(200)).await
}

/// Two deadlines pass, one after the other.
async fn two_deadlines(service: &Service) {
    for _ in 0..2 {
        let mut late = Peer::post(service, DUPLEX).await;
        late.immediate().await;
    }
}

fn large(end: &[u8]) -> Vec<u8> {
    let mut text = br#"{"tenant":{"id":"acme"},"x":""#.to_vec();
    text.resize(50_000, b'x');
    text.extend(end);
    text
}

/// The budget has to do with large messages, not with slow clients.
#[tokio::test]
async fn a_slow_upload_behind_a_large_chunk_goes_on() {
    let service = impatient().await;
    let mut peer = Peer::post(&service, DUPLEX).await;
    peer.body(&large(b""), false).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    assert_eq!(peer.piece().await.0.len(), 50_000);
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
    two_deadlines(&service).await;
    peer.body(b"\"}", true).await;
    assert_eq!(peer.piece().await, (b"\"}".to_vec(), true));
}

#[tokio::test]
async fn a_slow_upstream_behind_a_large_body_is_waited_for() {
    let service = impatient().await;
    let mut peer = Peer::post(&service, BodySendMode::Buffered).await;
    peer.change().await;
    peer.body(&large(b"\"}"), true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
    two_deadlines(&service).await;
    peer.send(message(Request::ResponseHeaders(HttpHeaders::default()))).await;
    assert!(peer.next().await.unwrap().is_some());
}

/// The peer's window is closed, so hyper stops polling a stream at its first answer, and the stream's own deadline never
/// fires. A stream that was polled before its chunk arrived has read none of it, holds nothing, and may stay.
#[tokio::test]
async fn what_is_held_behind_an_answer_that_is_not_taken_is_given_back() {
    const STREAMS: u32 = 20;
    const CHUNK: usize = 9_000;
    let service = impatient().await;
    let mut connection = connect(service.grpc, &[(INITIAL_WINDOW, 0)]).await;
    let protocol_config = head(DUPLEX, &[], false).protocol_config;
    let first = ProcessingRequest { protocol_config, ..message(Request::ResponseHeaders(HttpHeaders::default())) };
    for stream in (1..).step_by(2).take(STREAMS as usize) {
        let chunk = data(stream, &body(&[b' '; CHUNK], false));
        let all = [open(stream), data(stream, &first), data(stream, &head(DUPLEX, &JSON, false)), chunk];
        connection.write_all(&all.concat()).await.unwrap();
    }
    until("open", || async { service.metric("cellgate_streams_open").await == u64::from(STREAMS) }).await;
    until("ended, and what was held given back", || async {
        let inspected = service.metric("cellgate_inspected_bytes_total").await;
        let ended = service.metric("cellgate_protocol_errors_total").await;
        let held = service.metric("cellgate_held_bytes").await;
        inspected > 0 && inspected == ended * CHUNK as u64 && held == 0
    })
    .await;
}

/// Its span ends when the watchdog drops the handler. It said that Envoy had cancelled the stream.
#[tokio::test]
async fn a_stalled_stream_is_an_error_in_its_trace() {
    let receiver = crate::otlp::Receiver::start(None).await;
    let settings = receiver.settings(cellgate_ext_proc::OtlpProtocol::Grpc);
    let service = Service::start_with(|service| {
        service.decision_timeout = Duration::from_millis(200);
        service.traces = Some(cellgate_ext_proc::TraceSettings { sample_percent: 100.0, ..settings });
    })
    .await;
    let mut connection = connect(service.grpc, &[(INITIAL_WINDOW, 0)]).await;
    let protocol_config = head(DUPLEX, &[], false).protocol_config;
    let first = ProcessingRequest { protocol_config, ..message(Request::ResponseHeaders(HttpHeaders::default())) };
    for stream in (1..).step_by(2).take(20) {
        let chunk = data(stream, &body(&[b' '; 9_000], false));
        let all = [open(stream), data(stream, &first), data(stream, &head(DUPLEX, &JSON, false)), chunk];
        connection.write_all(&all.concat()).await.unwrap();
    }
    until("stalled", || async { service.metric("cellgate_protocol_errors_total").await > 0 }).await;
    until("traced", || async { receiver.spans().iter().any(|span| span.name.starts_with("envoy.")) }).await;
    let spans = receiver.spans();
    let span = spans.iter().find(|span| span.name.starts_with("envoy.")).unwrap();
    let code = crate::otlp::attribute(span, "rpc.response.status_code");
    assert_eq!(code.as_deref(), Some("DEADLINE_EXCEEDED"), "{span:?}");
}

/// Each stream waits for the budget behind an answer that is not taken. hyper does not poll it when its bytes are there, or
/// its time to wait has passed, so it would keep both its bytes and its place before all others for ever.
#[tokio::test]
async fn a_wait_behind_an_answer_that_is_not_taken_ends() {
    let service = Service::start_with(|settings| {
        settings.max_held_bytes = 100_000;
        settings.decision_timeout = Duration::from_secs(1);
    })
    .await;
    let first = Peer::post(&service, DUPLEX).await;
    first.body(&[b' '; 60_000], false).await;
    until("the first is held", || async { service.metric("cellgate_held_bytes").await >= 60_000 }).await;
    let mut connection = connect(service.grpc, &[(INITIAL_WINDOW, 0)]).await;
    let protocol_config = head(DUPLEX, &[], false).protocol_config;
    let begin = ProcessingRequest { protocol_config, ..message(Request::ResponseHeaders(HttpHeaders::default())) };
    for stream in (1..).step_by(2).take(20) {
        let chunk = data(stream, &body(&[b' '; 64_000], false));
        let part = chunk[..3 * (9 + 16_384)].to_vec();
        let all = [open(stream), data(stream, &begin), data(stream, &head(DUPLEX, &JSON, false)), part];
        connection.write_all(&all.concat()).await.unwrap();
    }
    until("waiting", || async { service.metric("cellgate_budget_waiting_streams").await > 0 }).await;
    drop(first);
    until("ended, and what was held given back", || async {
        service.metric("cellgate_budget_waiting_streams").await == 0 && service.metric("cellgate_held_bytes").await == 0
    })
    .await;
    let mut next = Peer::post(&service, DUPLEX).await;
    next.body(&[b' '; 60_000], false).await;
    next.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&next.change().await), "cell-b");
}

#[tokio::test]
async fn half_a_message_and_then_silence_ends_with_a_status() {
    let service = impatient().await;
    let mut connection = connect(service.grpc, &[]).await;
    let message = data(1, &body(&[b' '; 100_000], false));
    let begun = body(br#"{"tenant":{"id":"acme"},"a":1,"#, false);
    let all = [open(1), data(1, &head(DUPLEX, &JSON, false)), data(1, &begun), message[..4 * (9 + 16_384)].to_vec()];
    connection.write_all(&all.concat()).await.unwrap();
    loop {
        let frame = next_of(&mut connection, 1).await;
        if frame.flags & END_STREAM != 0 {
            assert_eq!(frame.kind, HEADERS, "trailers");
            break;
        }
    }
    until("closed", || async { service.metric("cellgate_streams_open").await == 0 }).await;
    assert_eq!(service.metric("cellgate_held_bytes").await, 0);
}

/// A task that always has another message to read must look at its deadline all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_tiny_messages_does_not_outrun_the_deadline() {
    let service = impatient().await;
    let mut connection = connect(service.grpc, &[]).await;
    connection.write_all(&[open(1), data(1, &head(DUPLEX, &JSON, false))].concat()).await.unwrap();
    let connection = connection.into_std().unwrap();
    let mut read = tokio::net::TcpStream::from_std(connection.try_clone().unwrap()).unwrap();
    let mut write = tokio::net::TcpStream::from_std(connection).unwrap();
    let (credits, mut given) = mpsc::unbounded_channel::<usize>();
    let writing = tokio::spawn(async move {
        let one = data(1, &body(b" ", false));
        let (batch, size) = (one.repeat(1000), (one.len() - 9) * 1000);
        let mut credit = 200_000;
        loop {
            while credit < size {
                let Some(more) = given.recv().await else { return };
                credit += more;
            }
            credit -= size;
            if write.write_all(&batch).await.is_err() {
                return;
            }
        }
    });
    loop {
        let frame = next(&mut read).await.expect("closed");
        assert!(frame.kind != GOAWAY && frame.kind != RST_STREAM, "{frame:?}");
        match (frame.kind, frame.stream) {
            (WINDOW_UPDATE, 1) => {
                let credit = u32::from_be_bytes(frame.payload.try_into().unwrap());
                credits.send(credit as usize).unwrap();
            }
            (DATA, 1) => break,
            _ => {}
        }
    }
    writing.abort();
    let answered = r#"cellgate_decisions_total{outcome="reject",reason="deadline_exceeded",tier="service"}"#;
    assert_eq!(service.metric(answered).await, 1);
}

/// A request for our health is a name.
#[tokio::test]
async fn a_large_message_to_the_health_service_is_refused() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[]).await;
    let large = [&[0][..], &4000u32.to_be_bytes(), &[b'x'; 4000]].concat();
    let opening = open_with(1, "POST", "/grpc.health.v1.Health/Check", "application/grpc");
    connection.write_all(&[opening, frame(DATA, END_STREAM, 1, &large)].concat()).await.unwrap();
    let answer = next_of(&mut connection, 1).await;
    assert!(answer.kind == HEADERS && answer.flags & END_STREAM != 0, "an error, and nothing else: {answer:?}");
}
