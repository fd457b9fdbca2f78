//! HTTP/2 by hand, for what no client library would do.

use std::net::SocketAddr;

use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, ProcessingRequest};
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::message;
use crate::support::PATIENCE;

/// Frame types of RFC 9113.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `SETTINGS_HEADER_TABLE_SIZE`.
pub(crate) const HEADER_TABLE: u16 = 1;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub(crate) const INITIAL_WINDOW: u16 = 4;

pub(crate) const CANCEL: [u8; 4] = 8u32.to_be_bytes();

const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection after its preface and its settings.
pub(crate) async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &payload)].concat();
    connection.write_all(&begin).await.unwrap();
    // The server's own hold once they are acknowledged.
    while next(&mut connection).await.expect("closed").kind != SETTINGS {}
    connection.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
    // Before it comes, 65,535 bytes are all that may be sent.
    while next(&mut connection).await.expect("closed").kind != WINDOW_UPDATE {}
    connection
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Opens a stream as Envoy does.
pub(crate) fn open(stream: u32) -> Vec<u8> {
    open_with(stream, "POST", PATH, "application/grpc")
}

/// Opens a stream. Header fields as RFC 7541's literals without indexing.
pub(crate) fn open_with(stream: u32, method: &str, path: &str, content_type: &str) -> Vec<u8> {
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("content-type", content_type),
        ("te", "trailers"),
    ];
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// A header field that is not indexed.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).unwrap());
        field.extend(text.as_bytes());
    }
    field
}

/// A gRPC message.
pub(crate) fn data(stream: u32, message: &ProcessingRequest) -> Vec<u8> {
    let mut payload = vec![0];
    payload.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    payload.extend(message.encode_to_vec());
    payload.chunks(16_384).flat_map(|part| frame(DATA, 0, stream, part)).collect()
}

pub(crate) fn body(chunk: &[u8], end_of_stream: bool) -> ProcessingRequest {
    let body = HttpBody { body: chunk.to_vec(), end_of_stream, ..Default::default() };
    message(Request::RequestBody(body))
}

/// The next frame. None at the end of the connection, or if it was reset.
pub(crate) async fn next(connection: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let read = async {
        let mut header = [0; 9];
        connection.read_exact(&mut header).await?;
        let [a, b, c, kind, flags, id @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        connection.read_exact(&mut payload).await?;
        std::io::Result::Ok(Frame { kind, flags, stream: u32::from_be_bytes(id), payload })
    };
    tokio::time::timeout(PATIENCE, read).await.expect("nothing came").ok()
}

/// The next frame of a stream. Fails if the server ends the connection instead.
pub(crate) async fn next_of(connection: &mut TcpStream, stream: u32) -> Frame {
    loop {
        let frame = next(connection).await.expect("closed");
        assert_ne!(frame.kind, GOAWAY, "{}", String::from_utf8_lossy(&frame.payload));
        if frame.stream == stream && frame.kind != WINDOW_UPDATE {
            return frame;
        }
    }
}
