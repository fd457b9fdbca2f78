//! The filter holds small bodies and peeks at others, so that Envoy itself never answers a body with a 413.
//!
//! Envoy answers 413 when a filter holds a body and more bytes arrive than its buffer limit. Each body here comes in
//! two bursts, the second after Envoy has read the first, because this pattern shows a filter that holds too much.

use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::support::{bytes_read, key_first, key_last, read_by_envoy};
use crate::upload::{Framing, Upload};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

#[tokio::test(flavor = "multi_thread")]
async fn bursts_around_a_limit_of_32_kib_are_routed_over_http1() {
    let limit = 32 * KIB;
    let bursts = [(100, limit - 100), (100, limit - 99), (100, limit - 68), (16_000, limit), (100, 300_000)];
    let stack = Stack::start(Options::default().buffer_limit(limit as u32)).await;
    every_burst(&stack, limit, &bursts, &[Framing::Http1, Framing::Http1Chunked]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_around_a_limit_of_1_mib_are_routed_over_http1() {
    let bursts = [(100, MIB - 100), (100, MIB - 99), (100, 1_100_000), (16_000, 3_000_000)];
    let stack = Stack::start(Options::default().buffer_limit(MIB as u32)).await;
    every_burst(&stack, MIB, &bursts, &[Framing::Http1, Framing::Http1Chunked]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_around_a_small_window_are_routed_over_http2() {
    // For HTTP/2 the limit is the stream's window, which is at least 65535.
    let window = 64 * KIB;
    let bursts = [(100, window - 101), (100, window - 100), (100, window - 99), (16_000, 300_000)];
    let options = Options::default().buffer_limit(window as u32).h2_window(window as u32);
    every_burst(&Stack::start(options).await, window, &bursts, &[Framing::Http2, Framing::Http2Unsized]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_around_a_limit_of_1_mib_are_routed_over_http2_with_the_default_window() {
    let bursts = [(100, MIB - 100), (100, MIB - 99), (100, 1_100_000), (16_000, 3_000_000)];
    let stack = Stack::start(Options::default().buffer_limit(MIB as u32)).await;
    every_burst(&stack, MIB, &bursts, &[Framing::Http2, Framing::Http2Unsized]).await;
}

/// Sends bodies with the key first and last and checks each response. Checks also that a request is deferred if and
/// only if its body cannot be held and has no key in the first burst.
async fn every_burst(stack: &Stack, limit: usize, bursts: &[(usize, usize)], framings: &[Framing]) {
    let mut deferred = 0;
    for &(first, rest) in bursts {
        for &framing in framings {
            for (place, body) in [("first", key_first("acme", first + rest)), ("last", key_last("acme", first + rest))]
            {
                let what = format!("{first} + {rest}, {framing:?}, key {place}");
                burst(stack, framing, body.as_bytes(), first, &what).await;
                let held = framing.has_length() && body.len() <= limit;
                deferred += u64::from(place == "last" && !held);
                assert_eq!(stack.ext_proc_streams().await, deferred, "{what}");
            }
        }
    }
    assert!(deferred > 0, "nothing was deferred");
    assert_eq!(stack.admin().stat("http.in.downstream_rq_too_large").await.unwrap(), 0);
}

async fn burst(stack: &Stack, framing: Framing, body: &[u8], first: usize, what: &str) {
    let requests = stack.admin().stat("http.in.downstream_rq_total").await.unwrap();
    let mut upload = Upload::open(stack, framing, "/", body.len()).await;
    stack.admin().wait_for_stat("http.in.downstream_rq_total", |count| count > requests).await;
    let before = bytes_read(stack).await;
    upload.send(&body[..first]).await;
    read_by_envoy(stack, before + first).await;
    upload.send(&body[first..]).await;
    let answer = upload.finish().await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(body)), "{what}");
}
