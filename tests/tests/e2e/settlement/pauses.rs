//! A service that pauses while a response is on its way: Envoy waits for it, up to the message timeout.

use std::time::Duration;

use cellgate_tests::process::Signal;

use super::*;
use crate::support::without_message_timeout;

/// Sends a request in the mode `stream`. The service pauses for half a second when the response arrives.
#[expect(clippy::disallowed_methods, reason = "the test is about the length of the pause")]
async fn after_a_pause(settle: Value, options: Options, response: &str) -> anyhow::Result<Response> {
    let settled = Settled::start_with(settle, options).await;
    let (mut client, mut arrived) = settled.send(&Request::post("/counted").json(key_last("acme", 2_000_000))).await;
    settled.stack.ext_proc().freeze().await.unwrap();
    arrived.write(response).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    settled.stack.ext_proc().signal(Signal::CONT).unwrap();
    client.response("POST").await
}

/// Regression: the chart and the example had no `message_timeout` in the mode `stream`. For the headers and the trailers of a
/// response, Envoy then waits 200 ms.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_stream_a_pause_of_the_service_loses_no_response() {
    for (settle, response) in
        [(by_header(), with_headers(200, "x-used: 3\r\n")), (by_trailer(), with_trailers(200, "x-used: 3\r\n"))]
    {
        let answer = after_a_pause(settle, Options::default(), &response).await.expect("a whole response");
        assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "ok"), "{answer:?}");
    }
}

/// Why `message_timeout` is needed in this mode too.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_stream_envoy_waits_200_ms_by_default() {
    let options = Options::default().adjust(|bootstrap| without_message_timeout(bootstrap, "FULL_DUPLEX_STREAMED"));
    let answer = after_a_pause(by_header(), options, &with_headers(200, "x-used: 3\r\n")).await.unwrap();
    assert_eq!(answer.status, 504, "{answer:?}");
}

/// A service that hangs: each response waits for it, and the message timeout ends the wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_costs_the_response_after_the_message_timeout() {
    let options = Options::default().message_timeout(Duration::from_secs(2));
    let settled = Settled::start_with(by_header(), options).await;
    let (mut client, mut arrived) = settled.send(&get()).await;
    settled.stack.ext_proc().freeze().await.unwrap();
    arrived.write(&with_headers(200, "x-used: 3\r\n")).await;
    assert_eq!(client.response("GET").await.unwrap().status, 504);
}
