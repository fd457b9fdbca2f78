//! An upload as browsers send it, with the key before and behind a file of 1 MB, which nobody holds if the key comes first.

use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, code, counted};
use crate::upload::{Framing, Upload};

const KIB: u32 = 1024;
const MB: usize = 1_000_000;
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

const TENANT: (&str, &str) = (r#"name="tenant_id""#, "acme");
const OTHER_TENANT: (&str, &str) = (r#"name="tenant_id""#, "globex");
const TITLE: (&str, &str) = (r#"name="title""#, "A holiday\r\n\r\nby the sea");

/// The settings of a chain whose key is a field of a multipart form.
fn options(buffer_limit: u32) -> Options {
    with_key(json!({"multipart": "tenant_id"}), buffer_limit)
}

fn with_key(source: Value, buffer_limit: u32) -> Options {
    Options::default().configure(|config| config["key"] = json!([source])).buffer_limit(buffer_limit)
}

/// A body with these fields before a file of `size` bytes, and these behind it.
fn form(before: &[(&str, &str)], size: usize, behind: &[(&str, &str)]) -> Vec<u8> {
    let part = |(parameters, content): &(&str, &str)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{content}\r\n").into_bytes()
    };
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n";
    let mut body: Vec<u8> = before.iter().flat_map(part).collect();
    body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}").as_bytes());
    // Every byte, and much that is nearly a delimiter.
    let pattern: Vec<u8> = (0..=u8::MAX).chain(*b"\r\n------WebKitFormBoundary7MA4YWxkTrZu0g\r\n--").collect();
    body.extend(pattern.iter().cycle().take(size));
    body.extend_from_slice(b"\r\n");
    body.extend(behind.iter().flat_map(part));
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn send(stack: &Stack, framing: Framing, body: &[u8]) -> Response {
    let request = Request::post("/").header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
    let mut upload = Upload::open_with(stack, framing, request, body.len()).await;
    upload.send(body).await;
    upload.finish().await.unwrap_or_else(|error| panic!("{framing:?}: {error:#}"))
}

async fn goes_to_cell_b(stack: &Stack, framing: Framing, body: &[u8]) {
    let answer = send(stack, framing, body).await;
    assert_eq!(answer.status, 200, "{framing:?}: {}", answer.text());
    assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(body)), "{framing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_upload_is_routed_wherever_the_key_is() {
    let stack = Stack::start(options(2048 * KIB)).await;
    for framing in [Framing::Http1, Framing::Http2] {
        for body in [form(&[TENANT, TITLE], MB, &[]), form(&[TITLE], MB, &[TENANT])] {
            goes_to_cell_b(&stack, framing, &body).await;
        }
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_must_not_be_held_is_routed_by_a_peek_or_by_the_service() {
    let stack = Stack::start(options(32 * KIB)).await;
    let (first, last) = (form(&[TITLE, TENANT], MB, &[TITLE]), form(&[TITLE], MB, &[TITLE, TENANT]));
    for framing in Framing::ALL {
        goes_to_cell_b(&stack, framing, &first).await;
        assert_eq!(stack.ext_proc_streams().await, 0, "{framing:?}: the key is in the first chunk");
    }
    for (deferred, framing) in Framing::ALL.into_iter().enumerate() {
        goes_to_cell_b(&stack, framing, &last).await;
        assert_eq!(stack.ext_proc_streams().await, deferred as u64 + 1, "{framing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_routes_both_uploads() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let stack = Stack::start(options(2048 * KIB).chain(Chain::Service(mode))).await;
        for framing in Framing::ALL {
            goes_to_cell_b(&stack, framing, &form(&[TENANT], MB, &[TITLE])).await;
            goes_to_cell_b(&stack, framing, &form(&[TITLE], MB, &[TENANT])).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_a_part_is_routed_before_and_behind_a_file() {
    let source = json!({"multipart": "payload_json", "then": {"json": "/guild/id"}});
    let stack = Stack::start(with_key(source, 32 * KIB)).await;
    let blob = (
        "name=\"payload_json\"; filename=\"blob\"\r\nContent-Type: application/json",
        r#"{"content":"hello","guild":{"id":"acme"}}"#,
    );
    goes_to_cell_b(&stack, Framing::Http1, &form(&[blob], MB, &[])).await;
    assert_eq!(stack.ext_proc_streams().await, 0);
    goes_to_cell_b(&stack, Framing::Http1, &form(&[], MB, &[blob])).await;
    assert_eq!(stack.ext_proc_streams().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_behind_the_file_ends_a_released_upload() {
    let stack = Stack::start(options(32 * KIB)).await;
    let body = form(&[TENANT], MB, &[OTHER_TENANT]);
    for (number, framing) in Framing::ALL.into_iter().enumerate() {
        let request = Request::post("/").header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        let mut upload = Upload::open_with(&stack, framing, request, body.len()).await;
        upload.send(&body[..10_000]).await;
        stack.cell("cell-b").wait_for_arrivals(number as u64 + 1).await;
        upload.send(&body[10_000..]).await;
        let answer = upload.finish().await.unwrap_or_else(|error| panic!("{framing:?}: {error:#}"));
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "key_duplicated"), "{framing:?}");
    }
    counted(&stack, "guard_conflicts", 4).await;
    stack.cell("cell-b").wait_for(Ending::Broken, 4).await;
    assert_eq!((arrived(&stack), stack.cell("cell-b").complete()), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_key_is_behind_the_limits_is_refused() {
    let limits = json!({"inspect_bytes": "32KiB", "stream_bytes": "256KiB"});
    let stack = Stack::start(options(32 * KIB).configure(|config| config["limits"] = limits)).await;
    for framing in Framing::ALL {
        let answer = send(&stack, framing, &form(&[TITLE], MB, &[TENANT])).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (413, "body_too_large"), "{framing:?}");
    }
    assert_eq!(arrived(&stack), 0);
    // With the key first, the same file passes.
    goes_to_cell_b(&stack, Framing::Http1Chunked, &form(&[TENANT], MB, &[])).await;
}
