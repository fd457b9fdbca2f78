//! Many clients share Envoy's one connection: what one of them cancels must not end the others' requests.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, ProcessingRequest};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::{head, message};
use crate::support::{PATIENCE, Service, until};

/// Frame types and flags of RFC 9113.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;

const CANCEL: [u8; 4] = 8u32.to_be_bytes();

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Opens a stream. Header fields as RFC 7541's literals without indexing.
fn open(stream: u32) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/envoy.service.ext_proc.v3.ExternalProcessor/Process"),
        (":authority", "test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// A gRPC message.
fn data(stream: u32, message: &ProcessingRequest) -> Vec<u8> {
    let mut payload = vec![0];
    payload.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    payload.extend(message.encode_to_vec());
    frame(DATA, 0, stream, &payload)
}

fn body(chunk: &[u8], end_of_stream: bool) -> ProcessingRequest {
    let body = HttpBody { body: chunk.to_vec(), end_of_stream, ..Default::default() };
    message(Request::RequestBody(body))
}

/// Reads until the server answers on this stream with a message, and fails if it ends the connection instead.
async fn answered(connection: &mut TcpStream, stream: u32) {
    loop {
        let mut header = [0; 9];
        connection.read_exact(&mut header).await.unwrap();
        let [a, b, c, kind, _, id @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        connection.read_exact(&mut payload).await.unwrap();
        assert_ne!(kind, GOAWAY, "{}", String::from_utf8_lossy(&payload));
        if kind == DATA && u32::from_be_bytes(id) == stream {
            return;
        }
    }
}

#[tokio::test]
async fn a_thousand_at_once_leave_a_held_request_alone() {
    let service = Service::start().await;
    let mut connection = TcpStream::connect(service.grpc).await.unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[]));
    begin.extend(open(1));
    let json = [("content-type", "application/json")];
    begin.extend(data(1, &head(BodySendMode::FullDuplexStreamed, &json, false)));
    begin.extend(data(1, &body(b"{\"x\":1,", false)));
    connection.write_all(&begin).await.unwrap();
    until("held", || async { service.metric("cellgate_held_bytes").await > 0 }).await;

    let mut resets = Vec::new();
    for stream in (3..2003).step_by(2) {
        resets.extend(open(stream));
        resets.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    resets.extend(data(1, &body(b"\"tenant\":{\"id\":\"acme\"}}", true)));
    connection.write_all(&resets).await.unwrap();
    tokio::time::timeout(PATIENCE, answered(&mut connection, 1)).await.expect("no answer");
    assert_eq!(service.metric("cellgate_protocol_errors_total").await, 0);
}
