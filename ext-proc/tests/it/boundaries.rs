//! Clients that stall at every byte boundary, many on one connection: each gets the deadline's answer, and nothing of them
//! is left.

use std::collections::BTreeMap;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingResponse;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::hostile::still_serves;
use crate::peer::{cell, head};
use crate::raw::{CANCEL, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, body, connect, data, frame, next, open};
use crate::support::{Service, until};

const MODES: [BodySendMode; 2] = [BodySendMode::Buffered, BodySendMode::FullDuplexStreamed];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const BODY: &[u8] = br#"{"x":[1,"\u00e5"],"tenant":{"id":"acme"},"y":{"z":0.5}}"#;

const EXPIRED: &str = r#"cellgate_decisions_total{outcome="reject",reason="deadline_exceeded",tier="service"}"#;
const ERRORS: &str = "cellgate_protocol_errors_total";

/// HTTP/2's header of a frame.
const FRAME_HEADER: usize = 9;

async fn impatient() -> Service {
    // Longer than it takes to send all streams, so that they wait at the same time.
    Service::start_with(|settings| settings.decision_timeout = Duration::from_secs(2)).await
}

/// The body stops after each of its bytes.
#[tokio::test]
async fn a_body_that_stalls_after_any_byte_gets_408() {
    for mode in MODES {
        let service = impatient().await;
        let mut connection = connect(service.grpc, &[]).await;
        let mut all = Vec::new();
        for (stream, count) in (1..).step_by(2).zip(0..BODY.len()) {
            all.extend(open(stream));
            all.extend(data(stream, &head(mode, &JSON, false)));
            // In BUFFERED mode the first message with a body is the whole of it.
            if mode == BodySendMode::FullDuplexStreamed && count > 0 {
                all.extend(data(stream, &body(&BODY[..count], false)));
            }
        }
        connection.write_all(&all).await.unwrap();
        until("open", || async { service.metric("cellgate_streams_open").await == BODY.len() as u64 }).await;
        assert!(service.metric("cellgate_held_bytes").await <= (BODY.len() * (BODY.len() + 128)) as u64);

        let streams = responses(&mut connection, BODY.len(), |reply| answer_of(reply).is_some()).await;
        // Up to the end of the key.
        let settled = BODY.windows(6).position(|part| part == b"\"acme\"").unwrap() + 6;
        let mut expired = 0;
        for (count, replies) in streams {
            let answer = replies.iter().find_map(answer_of);
            match answer.as_deref() {
                Some("408 cellgate_deadline_exceeded") => expired += 1,
                // Decided, and its rest may take any time.
                Some("cell-b") => assert!(count >= settled, "{count}"),
                other => panic!("{mode:?}, after {count} bytes: {other:?}"),
            }
        }
        assert!(expired >= settled, "{mode:?}: {expired}");
        assert_eq!(service.metric(EXPIRED).await, expired as u64, "{mode:?}");
        leave(&mut connection, BODY.len()).await;
        recovered(&service).await;
    }
}

/// The messages stop after each byte on the wire, which come in frames of one byte.
#[tokio::test]
async fn a_message_that_stalls_after_any_byte_ends_its_stream() {
    for mode in MODES {
        let service = impatient().await;
        let mut connection = connect(service.grpc, &[]).await;
        let begin = data(1, &head(mode, &JSON, false))[FRAME_HEADER..].to_vec();
        let rest = data(1, &body(BODY, true))[FRAME_HEADER..].to_vec();
        let wire = [begin.clone(), rest].concat();
        let mut all = Vec::new();
        for (stream, count) in (1..).step_by(2).zip(0..wire.len()) {
            all.extend(open(stream));
            wire[..count].iter().for_each(|byte| all.extend(frame(DATA, 0, stream, &[*byte])));
        }
        let (mut read, mut write) = connection.split();
        let writing = async { write.write_all(&all).await.unwrap() };
        let reading = responses(&mut read, wire.len(), |reply| answer_of(reply).is_some());
        let (streams, ()) = tokio::join!(reading, writing);
        for (count, replies) in streams {
            let answer = replies.iter().find_map(answer_of);
            // Without its head there is no request to answer.
            let expected = (count >= begin.len()).then_some("408 cellgate_deadline_exceeded");
            assert_eq!(answer.as_deref(), expected, "{mode:?}, after {count} of {} bytes", wire.len());
        }
        let (headless, bodiless) = (begin.len() as u64, (wire.len() - begin.len()) as u64);
        assert_eq!((service.metric(ERRORS).await, service.metric(EXPIRED).await), (headless, bodiless), "{mode:?}");
        leave(&mut connection, wire.len()).await;
        recovered(&service).await;
    }
}

/// The replies of each stream, until it has ended or a reply is `last`.
async fn responses(
    connection: &mut (impl tokio::io::AsyncRead + Unpin),
    count: usize,
    last: impl Fn(&ProcessingResponse) -> bool,
) -> BTreeMap<usize, Vec<ProcessingResponse>> {
    let (mut bytes, mut done) = (BTreeMap::<usize, Vec<u8>>::new(), BTreeMap::new());
    while done.len() < count {
        let frame = next(connection).await.expect("closed");
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        let number = (frame.stream as usize).wrapping_sub(1) / 2;
        // The end of a stream says with a reset that it takes no more of the request.
        if frame.stream == 0 || frame.kind == RST_STREAM && done.contains_key(&number) {
            continue;
        }
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        let payload = bytes.entry(number).or_default();
        if frame.kind == DATA {
            payload.extend(frame.payload);
        }
        let replies = decode(payload);
        let is_end = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        if is_end || replies.iter().any(&last) {
            done.insert(number, replies);
        }
    }
    done
}

fn decode(mut bytes: &[u8]) -> Vec<ProcessingResponse> {
    let mut replies = Vec::new();
    while let Some((prefix, rest)) = bytes.split_at_checked(5) {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        let Some((message, rest)) = rest.split_at_checked(length) else { break };
        replies.push(ProcessingResponse::decode(message).unwrap());
        bytes = rest;
    }
    replies
}

/// The cell, or the refusal's status and details.
fn answer_of(reply: &ProcessingResponse) -> Option<String> {
    match reply.response.as_ref()? {
        Response::ImmediateResponse(immediate) => {
            Some(format!("{} {}", immediate.status.as_ref()?.code, immediate.details))
        }
        Response::RequestHeaders(headers) => {
            let mutation = headers.response.as_ref()?.header_mutation.as_ref()?;
            (!mutation.set_headers.is_empty()).then(|| cell(mutation).to_owned())
        }
        _ => None,
    }
}

/// Cancels all streams.
async fn leave(connection: &mut TcpStream, count: usize) {
    let resets: Vec<u8> =
        (1..).step_by(2).take(count).flat_map(|stream| frame(RST_STREAM, 0, stream, &CANCEL)).collect();
    connection.write_all(&resets).await.unwrap();
}

async fn recovered(service: &Service) {
    until("nothing is open", || async { service.metric("cellgate_streams_open").await == 0 }).await;
    assert_eq!(service.metric("cellgate_held_bytes").await, 0);
    still_serves(service).await;
}
