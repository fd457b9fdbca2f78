//! Peers that are no Envoy: a clear answer, bounded work, and nobody else hurt.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, HttpTrailers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::peer::{Peer, cell, head, message};
use crate::raw::{
    CONTINUATION, END_STREAM, GOAWAY, HEADER_TABLE, HEADERS, INITIAL_WINDOW, PING, RST_STREAM, SETTINGS, body, connect,
    data, frame, literal, next, next_of, open, open_with,
};
use crate::support::{PATIENCE, Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;
const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// A request is decided as if nothing had happened.
pub(crate) async fn still_serves(service: &Service) {
    let mut peer = Peer::post(service, DUPLEX).await;
    peer.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
}

/// The status that a response's head begins with: RFC 7541's static table has the usual ones.
fn status(block: &[u8]) -> &[u8] {
    match block.first() {
        Some(0x88) => b"200",
        Some(0x8c) => b"400",
        // A literal with the name `:status`, and Huffman's digits behind it.
        _ => block.get(..5).unwrap_or(block),
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so_by_http() {
    let service = Service::start().await;
    // Without a table of fields seen before, the same is always written the same.
    let mut connection = connect(service.grpc, &[(HEADER_TABLE, 0)]).await;
    let mut stream = 1;
    let mut ask = async |method: &str, path: &str, content_type: &str| {
        connection.write_all(&open_with(stream, method, path, content_type)).await.unwrap();
        let head = next_of(&mut connection, stream).await;
        assert_eq!(head.kind, HEADERS);
        stream += 2;
        (status(&head.payload).to_vec(), head.flags & END_STREAM != 0)
    };
    let (not_allowed, unsupported) =
        (ask("GET", PROCESS, "application/grpc").await, ask("POST", PROCESS, "text/plain").await);
    assert!(not_allowed.1 && unsupported.1);
    assert_ne!(not_allowed.0, unsupported.0);
    for wrong in ["", "application/grpc-web", "application/grpcx", "application/grpc+json"] {
        assert_eq!(ask("POST", PROCESS, wrong).await, unsupported, "{wrong}");
    }
    for right in ["application/grpc", "application/grpc+proto", "application/grpc;charset=x"] {
        assert_eq!(ask("POST", PROCESS, right).await, (b"200".to_vec(), false), "{right}");
    }
    // gRPC's own answer: unimplemented, in a head that ends the stream.
    assert_eq!(ask("POST", "/no.such.Service/Method", "application/grpc").await, (b"200".to_vec(), true));
}

#[tokio::test]
async fn http_1_is_closed() {
    let service = Service::start().await;
    let mut connection = TcpStream::connect(service.grpc).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let closed = async { connection.read_to_end(&mut Vec::new()).await };
    let _end = tokio::time::timeout(PATIENCE, closed).await.expect("still open");
    still_serves(&service).await;
}

/// A stream whose peer takes nothing is not asked for more, and so cannot keep its deadline: it must not hold then.
#[tokio::test]
async fn who_takes_nothing_holds_nothing_for_long() {
    let service = Service::start_with(|settings| settings.decision_timeout = Duration::from_millis(300)).await;
    let mut connection = connect(service.grpc, &[(INITIAL_WINDOW, 0)]).await;
    let mut all = Vec::new();
    for stream in (1..21).step_by(2) {
        all.extend(open(stream));
        all.extend(data(stream, &head(DUPLEX, &[("content-type", "application/json")], false)));
        all.extend(data(stream, &body(&[b' '; 50_000], false)));
        // Is answered, and the answer is not taken.
        let response = message(Request::ResponseHeaders(HttpHeaders::default()));
        all.extend(data(stream, &response));
        all.extend(data(stream, &body(&[b' '; 50_000], false)));
    }
    connection.write_all(&all).await.unwrap();
    until("scanned", || async { service.metric("cellgate_inspected_bytes_total").await >= 500_000 }).await;
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
    still_serves(&service).await;
}

#[tokio::test]
async fn floods_end_the_connection_or_are_borne() {
    let service = Service::start().await;
    let header_flood = {
        let mut flood = frame(HEADERS, 0, 1, &literal(":method", "POST"));
        let fields = literal("x", &"y".repeat(100)).repeat(100);
        (0..200).for_each(|_| flood.extend(frame(CONTINUATION, 0, 1, &fields)));
        flood
    };
    let empty = [open(1), frame(0, 0, 1, &[]).repeat(100_000)].concat();
    let pings = frame(PING, 0, 0, b"12345678").repeat(100_000);
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(100_000);
    let unasked = (1..20_001).step_by(2).flat_map(|stream| frame(RST_STREAM, 0, stream, &[0; 4])).collect();
    let too_large = frame(0, 0, 1, &[0; 16_385]);
    for flood in [header_flood, empty, pings, settings, unasked, too_large] {
        let connection = connect(service.grpc, &[]).await;
        let (mut read, mut write) = connection.into_split();
        let writing = tokio::spawn(async move {
            let _refused = write.write_all(&flood).await;
            write
        });
        let ended = async {
            let mut bytes = vec![0; 65_536];
            while read.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        };
        tokio::select! {
            () = ended => {}
            () = still_serves(&service) => {}
        }
        writing.abort();
    }
    still_serves(&service).await;
    until("no stream is left", || async { service.metric("cellgate_streams_open").await <= 1 }).await;
}

/// In memory an empty header takes far more than the two bytes that it has on the wire.
#[tokio::test]
async fn a_flood_of_headers_is_not_unpacked() {
    let service = Service::start().await;
    let headers = HeaderMap { headers: vec![HeaderValue::default(); 1 << 20] };
    for request in [
        Request::RequestHeaders(HttpHeaders { headers: Some(headers.clone()), ..Default::default() }),
        Request::RequestTrailers(HttpTrailers { trailers: Some(headers) }),
    ] {
        let mut peer = Peer::open(&service).await;
        peer.send(message(request)).await;
        assert_eq!(peer.status().await.code(), Code::InvalidArgument);
    }
    assert_eq!(service.metric("cellgate_protocol_errors_total").await, 2);
    still_serves(&service).await;
}

#[tokio::test]
async fn compression_is_refused_by_its_name() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[(HEADER_TABLE, 0)]).await;
    let mut opening = open(1);
    let encoding = literal("grpc-encoding", "gzip");
    // The frame's length is in its first three bytes.
    let length = u32::try_from(opening.len() - 9 + encoding.len()).unwrap().to_be_bytes();
    opening[..3].copy_from_slice(&length[1..]);
    connection.write_all(&[opening, encoding].concat()).await.unwrap();
    let answer = next_of(&mut connection, 1).await;
    // `grpc-status: 12`, in a head that ends the stream.
    assert!(answer.kind == HEADERS && answer.flags & END_STREAM != 0, "{answer:?}");
    assert!(!answer.payload.is_empty());
    still_serves(&service).await;
}

/// A message that is none ends its stream with a status, and no other.
#[tokio::test]
async fn broken_messages_end_their_own_streams() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[]).await;
    let messages: [&[u8]; 7] = [
        b"\x01\0\0\0\0",
        b"\0\0\0\0\0",
        b"\0\xff\xff\xff\xff",
        b"\0\0\0\0\x02\x12\x7f",
        b"\0\0\0\0\x0b\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\0\0\0\0\x04\x0b\x0b\x0b\x0b",
        b"\0\0\0\0\x01\x0c",
    ];
    let mut all = Vec::new();
    for (stream, message) in (1..).step_by(2).zip(messages) {
        all.extend(open(stream));
        all.extend(frame(0, END_STREAM, stream, message));
    }
    connection.write_all(&all).await.unwrap();
    let mut ended = 0;
    while ended < messages.len() {
        let frame = next(&mut connection).await.expect("closed");
        assert!(frame.kind != GOAWAY && frame.kind != RST_STREAM, "{frame:?}");
        if frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
            let text = String::from_utf8_lossy(&frame.payload).into_owned();
            assert!(!frame.payload.is_empty(), "{text}");
            ended += 1;
        }
    }
    assert_eq!(service.metric("cellgate_protocol_errors_total").await, messages.len() as u64);
    still_serves(&service).await;
}
