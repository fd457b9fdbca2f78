//! Header names that are not UTF-8. The proxy-wasm SDK panics on such a name, so none may reach the filter.
//!
//! Envoy's codecs reject them before any filter runs: HTTP/1.1 with a 400, HTTP/2 by closing the connection, or by
//! resetting the stream if Envoy is configured to keep connections.

use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::connection_manager;

/// Names that RFC 9110, 5.1 forbids: with bytes above ASCII, alone or within UTF-8 or Latin-1 text, and with control
/// characters.
const HOSTILE: [&[u8]; 14] = [
    b"\xff",
    b"x-\xff",
    b"\xff-x",
    b"\xe9",
    b"caf\xe9",
    b"\xc3\xa9",
    b"x-\xc3\xa9",
    b"x-\xc3",
    b"\xa1\xb1",
    b"\xed\xa0\x80",
    b"x-\x01",
    b"\x1f",
    b"x-\x7f",
    b"x\x00y",
];

const ACME: &[u8] = br#"{"tenant":{"id":"acme"}}"#;

/// Indexes in the static table of RFC 7541.
const GET: u8 = 0x80 | 2;
const POST: u8 = 0x80 | 3;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// A frame of RFC 9113, 4.1 on the first stream.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
}

/// A field of RFC 7541, 6.2.2: literal, not indexed, with a new name, not compressed.
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name, &[length(value)], value].concat()
}

/// The preface of RFC 9113, 3.4 with empty settings.
fn preface() -> Vec<u8> {
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()
}

/// The head of a request for a tenant of `cell-b`. The first field is the method.
fn head(method: u8) -> Vec<u8> {
    let json = field(b"content-type", b"application/json");
    [&[method, 0x84, 0x86], &*field(b":authority", b"x"), &field(b"x-tenant-id", b"acme"), &json].concat()
}

/// A request with a field of this name in its head.
fn with_header(name: &[u8]) -> Vec<u8> {
    [preface(), frame(HEADERS, END_STREAM | END_HEADERS, &[head(GET), field(name, b"v")].concat())].concat()
}

/// A request with a field of this name in its trailers.
fn with_trailer(name: &[u8]) -> Vec<u8> {
    let trailers = frame(HEADERS, END_STREAM | END_HEADERS, &field(name, b"v"));
    [preface(), frame(HEADERS, END_HEADERS, &head(POST)), frame(DATA, 0, ACME), trailers].concat()
}

/// The types of the frames that Envoy has sent.
fn kinds(mut sent: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, rest @ ..] = sent {
        kinds.push(*kind);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        sent = rest.get(5 + length..).unwrap_or_default();
    }
    kinds
}

async fn write(stack: &Stack, bytes: &[u8]) -> Http1 {
    let mut client = stack.connect().await;
    client.write(bytes).await.unwrap();
    client
}

/// Checks that the filter still decides and that no VM was restarted.
async fn assert_unharmed(stack: &Stack) {
    for answer in [stack.send(&Request::get("/").header("x-tenant-id", "acme")).await, stack.post_json("/", ACME).await]
    {
        assert_eq!(answer.cell(), "cell-b");
    }
    for outcome in ["success", "failure", "backoff"] {
        assert_eq!(stack.admin().stat(&format!("wasm.cellgate.vm_reload_{outcome}")).await.unwrap(), 0, "{outcome}");
    }
    assert!(!stack.envoy().process().log().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http1_envoy_answers_400() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).trailers(true)).await;
    for name in HOSTILE {
        let head = [b"GET / HTTP/1.1\r\nhost: x\r\nx-tenant-id: acme\r\n", name, b": v\r\n\r\n"].concat();
        assert_eq!(write(&stack, &head).await.response("GET").await.unwrap().status, 400, "{name:?}");
        // The request has already been routed, so whether the client still gets the response depends on timing.
        let request = Request::post("/").header("content-type", "application/json").pieces([ACME]).to_http1();
        let body = request.strip_suffix(b"\r\n").unwrap();
        let answer = write(&stack, &[body, name, b": v\r\n\r\n"].concat()).await.response("POST").await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 400), "{name:?}");
    }
    assert_eq!(stack.cell("cell-b").complete(), 0);
    assert_unharmed(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_envoy_closes_the_connection() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).trailers(true)).await;
    let mut clients = Vec::new();
    for name in HOSTILE {
        clients.push((name, write(&stack, &with_header(name)).await));
        clients.push((name, write(&stack, &with_trailer(name)).await));
    }
    let refused = clients.len() as u64;
    for (name, client) in clients {
        assert!(!kinds(&client.closed().await.unwrap()).contains(&HEADERS), "{name:?} was answered");
    }
    assert_eq!(stack.admin().stat("http2.rx_messaging_error").await.unwrap(), refused);
    assert_eq!(stack.cell("cell-b").complete(), 0);
    assert_unharmed(&stack).await;
    // The same bytes with a valid name are a valid request.
    for wire in [with_header(b"x-good"), with_trailer(b"x-good")] {
        let before = stack.cell("cell-b").complete();
        let _client = write(&stack, &wire).await;
        stack.cell("cell-b").wait_for(Ending::Complete, before + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_envoy_resets_the_stream_if_it_keeps_connections() {
    let options = Options::default().chain(Chain::Filter).adjust(|bootstrap| {
        let options = &mut connection_manager(bootstrap)["http2_protocol_options"];
        options["override_stream_error_on_invalid_http_message"] = json!(true);
    });
    let stack = Stack::start(options).await;
    for name in HOSTILE {
        let mut client = write(&stack, &with_header(name)).await;
        let mut kind = 0;
        while kind != RST_STREAM {
            let head = client.bytes(9).await.unwrap();
            kind = head[3];
            assert_ne!(kind, HEADERS, "{name:?} was answered");
            client.bytes(usize::from(head[1]) << 8 | usize::from(head[2])).await.unwrap();
        }
    }
    assert_eq!(stack.cell("cell-b").arrived(), 0);
    assert_unharmed(&stack).await;
}
