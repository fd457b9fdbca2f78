//! Bodies that are larger than the filter may hold: they arrive unchanged, and the service's memory stays bounded.

use cellgate_tests::client::Request;
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::bodies::key_at;
use crate::support::{arrived, code, key_last, service_sends_encoded_to, wait_until_nothing_is_buffered};
use crate::upload::{Framing, Upload};

/// The increase of the service's peak memory that 5 MB bodies, one after the other, may cause. The service buffers one
/// body at a time; keeping all eight would need 40 MB.
const ALLOWED_KIB: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_5_mb_with_a_late_key_is_routed_in_bounded_memory() {
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
    let before = peak_memory(&stack);
    let body = key_at(4_900_000, 5_000_000, "}");
    for (number, framing) in Framing::ALL.into_iter().chain(Framing::ALL).enumerate() {
        let answer = upload(&stack, framing, &body).await;
        assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(&body)), "{framing:?}");
        assert_eq!(stack.ext_proc_streams().await, number as u64 + 1);
    }
    let used = peak_memory(&stack) - before;
    assert!(used < ALLOWED_KIB, "{used} KiB");
    wait_until_nothing_is_buffered(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_20_mb_without_a_key_is_rejected_at_the_limit() {
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
    let body = key_last("acme", 20_000_000);
    for framing in Framing::ALL {
        let answer = upload(&stack, framing, body.as_bytes()).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (413, "body_too_large"), "{framing:?}");
    }
    assert_eq!(arrived(&stack), 0);
    assert_eq!(stack.admin().stat("http.in.downstream_rq_too_large").await.unwrap(), 0, "Envoy's own 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_body_in_one_piece_keeps_its_content_length() {
    let stack = Stack::start(Options::default()).await;
    service_sends_encoded_to(&stack, "cell-c").await;
    let request = Request::post("/").json("\u{1f}not really br").header("content-encoding", "br");
    for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
        assert_eq!((answer.cell(), answer.received("content-length")), ("cell-c", vec!["14".to_owned()]));
        assert_eq!(answer.sha256(), sha256("\u{1f}not really br".as_bytes()));
    }
    assert_eq!(stack.ext_proc_streams().await, 2);
}

async fn upload(stack: &Stack, framing: Framing, body: &[u8]) -> cellgate_tests::client::Response {
    let mut upload = Upload::open(stack, framing, "/", body.len()).await;
    upload.send(body).await;
    upload.finish().await.unwrap_or_else(|error| panic!("{framing:?}: {error:#}"))
}

/// The service's peak memory, in KiB.
fn peak_memory(stack: &Stack) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stack.ext_proc().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
