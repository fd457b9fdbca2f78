use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

/// A frame on the first stream or on the connection.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let stream = u8::from(kind != SETTINGS);
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// The client's result for a response with `content-length: 5` and this body, with or without END_STREAM, directly
/// followed by a reset.
async fn answer(body: &[u8], end: bool, reason: Reason) -> Result<Response> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connection = Http2::connect(listener.local_addr().unwrap());
    // `:status: 400` and `content-length: 5` in HPACK, by its static table.
    let answer = [
        frame(SETTINGS, 0, &[]),
        frame(HEADERS, 0x4, &[0x80 | 12, 0x0f, 28 - 15, 1, b'5']),
        frame(DATA, u8::from(end), body),
        frame(RST_STREAM, 0, &u32::from(reason).to_be_bytes()),
    ];
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_exact(&mut [0; 24]).await.unwrap();
        let mut head = [0; 9];
        while head[3] != HEADERS {
            socket.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            socket.read_exact(&mut vec![0; length]).await.unwrap();
        }
        socket.write_all(&answer.concat()).await.unwrap();
        socket
    };
    let client = async {
        let connection = connection.await.unwrap();
        let stream = connection.open(&Request::post("/")).await.unwrap();
        stream.response().await
    };
    tokio::join!(server, client).1
}

#[tokio::test]
async fn a_complete_response_is_kept_when_the_rest_of_the_request_is_rejected() {
    for (end, reason) in [(true, Reason::NO_ERROR), (true, Reason::INTERNAL_ERROR), (false, Reason::INTERNAL_ERROR)] {
        let answer = answer(b"wrong", end, reason).await.unwrap();
        assert_eq!((answer.status.as_u16(), &*answer.body), (400, &b"wrong"[..]), "{end}, {reason}");
    }
}

#[tokio::test]
async fn any_other_reset_is_an_error() {
    for (body, reason) in [
        (&b"wron"[..], Reason::NO_ERROR),
        (b"wron", Reason::INTERNAL_ERROR),
        (b"wrong", Reason::CANCEL),
        (b"wrong", Reason::PROTOCOL_ERROR),
    ] {
        assert!(answer(body, false, reason).await.is_err(), "{body:?}, {reason}");
    }
}
