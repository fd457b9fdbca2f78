//! The guard: a request that was released early and then conflicts with its decision is reset before the cell has the
//! whole body.

use cellgate_tests::cell::Ending;
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::bodies::{key_at, key_first_then};
use crate::support::{code, counted};
use crate::upload::{Framing, Upload};

/// The end of a body after its padding, and the reason for which it is rejected.
const CONFLICTS: [(&str, &str); 4] = [
    (r#","tenant":{"id":"globex"}}"#, "key_duplicated"),
    (r#","\u0074enant":null}"#, "key_duplicated"),
    (",]", "body_malformed"),
    ("", "body_truncated"),
];

async fn stack() -> Stack {
    Stack::start(Options::default().buffer_limit(32 * 1024)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_resets_a_request_whose_later_bytes_conflict_with_its_key() {
    let stack = stack().await;
    let mut ended = 0;
    for framing in Framing::ALL {
        for (end, reason) in CONFLICTS {
            ended += 1;
            let body = key_first_then(200_000, end);
            conflict(&stack, framing, &body, 1_000, ended, reason).await;
        }
    }
    counted(&stack, "guard_conflicts", ended).await;
    assert_eq!(stack.ext_proc_streams().await, 0);
    no_cell_has_a_body(&stack, ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_resets_a_request_whose_later_bytes_conflict_with_its_key() {
    let stack = stack().await;
    let mut ended = 0;
    for framing in Framing::ALL {
        for (end, reason) in CONFLICTS {
            ended += 1;
            let body = key_at(100_000, 300_000, end);
            conflict(&stack, framing, &body, 150_000, ended, reason).await;
        }
    }
    assert_eq!(stack.ext_proc_streams().await, ended);
    let counted = stack.ext_proc().metric(r#"cellgate_conflicts_total{reason="key_duplicated"}"#).await.unwrap();
    assert_eq!(counted, 2.0 * Framing::ALL.len() as f64);
    no_cell_has_a_body(&stack, ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_body_of_5_mb_passes_both_guards_unchanged() {
    let stack = stack().await;
    for (deferred, body) in [(0, key_first_then(5_000_000, "}")), (4, key_at(100_000, 5_000_000, "}"))] {
        for framing in Framing::ALL {
            let mut upload = Upload::open(&stack, framing, "/", body.len()).await;
            upload.send(&body[..1_000]).await;
            upload.send(&body[1_000..]).await;
            let answer = upload.finish().await.unwrap();
            assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(&body)), "{framing:?}");
        }
        assert_eq!(stack.ext_proc_streams().await, deferred);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_body_is_rejected_at_its_last_byte() {
    // Over HTTP/1.1 the cell has the whole body with the last byte of the Content-Length. So the rejection must not
    // wait for the end of the client's HTTP/2 stream, which never comes here.
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024).adjust(http1_to_cells)).await;
    let body = key_first_then(200_000, "");
    let mut upload = Upload::open(&stack, Framing::Http2, "/", body.len()).await;
    upload.send(&body[..1_000]).await;
    stack.cell("cell-b").wait_for_arrivals(1).await;
    upload.send(&body[1_000..]).await;
    let answer = upload.response().await.unwrap();
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "body_truncated"));
    no_cell_has_a_body(&stack, 1).await;
}

/// Sends the first `early` bytes, waits until the cell has the request, sends the rest, and checks the rejection.
async fn conflict(stack: &Stack, framing: Framing, body: &[u8], early: usize, number: u64, reason: &str) {
    // Only a missing end is detected at the end. Every other conflict is answered before the body is complete.
    let more = if reason == "body_truncated" { 0 } else { 1_000 };
    let mut upload = Upload::open(stack, framing, "/", body.len() + more).await;
    // The filter's first chunk must end here.
    upload.send(&body[..1_000]).await;
    if early > 1_000 {
        stack.admin().wait_for_stat("cluster.ext-proc.upstream_rq_total", |count| count == number).await;
        upload.send(&body[1_000..early]).await;
    }
    stack.cell("cell-b").wait_for_arrivals(number).await;
    upload.send(&body[early..]).await;
    let answer = if more == 0 { upload.finish().await } else { upload.response().await };
    let answer = answer.unwrap_or_else(|error| panic!("{framing:?}, {reason}: {error:#}"));
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, reason), "{framing:?}");
}

async fn no_cell_has_a_body(stack: &Stack, ended: u64) {
    stack.cell("cell-b").wait_for(Ending::Broken, ended).await;
    for cell in stack.cells() {
        let arrived = if cell.name() == "cell-b" { ended } else { 0 };
        assert_eq!((cell.arrived(), cell.complete()), (arrived, 0), "{}", cell.name());
    }
}

fn http1_to_cells(bootstrap: &mut Value) {
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
    for cluster in clusters.iter_mut().filter(|cluster| cluster["name"] != "ext-proc") {
        let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let options = cluster["typed_extension_protocol_options"][name].as_object_mut().unwrap();
        options.remove("use_downstream_protocol_config");
        options.insert("explicit_http_config".to_owned(), json!({"http_protocol_options": {}}));
    }
}
