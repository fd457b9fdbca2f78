//! A request that was released early and then contradicts itself ends before its cell has a complete body.

use cellgate_tests::cell::Ending;
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::bodies::{key_at, key_first_then};
use crate::support::code;
use crate::upload::{Framing, Upload};

/// How a body ends after its padding, and what it is refused for.
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
async fn the_filter_ends_a_request_whose_later_bytes_contradict_its_key() {
    let stack = stack().await;
    let mut ended = 0;
    for framing in Framing::ALL {
        for (end, reason) in CONFLICTS {
            ended += 1;
            let body = key_first_then(200_000, end);
            conflict(&stack, framing, &body, 1_000, ended, reason).await;
        }
    }
    assert_eq!(stack.admin().stat("wasmcustom.cellgate.guard_conflicts").await.unwrap(), ended);
    assert_eq!(stack.ext_proc_streams().await, 0);
    no_cell_has_a_body(&stack, ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_ends_a_request_whose_later_bytes_contradict_its_key() {
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

/// Sends the first `early` bytes, waits until the cell has the request, and sends the rest, which is refused.
async fn conflict(stack: &Stack, framing: Framing, body: &[u8], early: usize, number: u64, reason: &str) {
    let mut upload = Upload::open(stack, framing, "/", body.len()).await;
    // The filter's first look must not see what comes after these bytes.
    upload.send(&body[..1_000]).await;
    if early > 1_000 {
        stack.admin().wait_for_stat("cluster.ext-proc.upstream_rq_total", |count| count == number).await;
        upload.send(&body[1_000..early]).await;
    }
    stack.cell("cell-b").wait_for_arrivals(number).await;
    upload.send(&body[early..]).await;
    let answer = upload.finish().await.unwrap_or_else(|error| panic!("{framing:?}, {reason}: {error:#}"));
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, reason), "{framing:?}");
}

async fn no_cell_has_a_body(stack: &Stack, ended: u64) {
    stack.cell("cell-b").wait_for(Ending::Broken, ended).await;
    for cell in stack.cells() {
        let arrived = if cell.name() == "cell-b" { ended } else { 0 };
        assert_eq!((cell.arrived(), cell.complete()), (arrived, 0), "{}", cell.name());
    }
}
