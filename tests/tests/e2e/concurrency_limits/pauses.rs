//! A service that pauses while a response is on its way: Envoy waits for it, up to the message timeout.

use std::time::Duration;

use super::*;
use crate::support::without_message_timeout;

/// Sends a request in the mode `stream`. The service pauses for half a second when the response arrives, which has trailers as
/// every response of gRPC has.
#[expect(clippy::disallowed_methods, reason = "the test is about the length of the pause")]
async fn after_a_pause(options: Options) -> anyhow::Result<Response> {
    let limited = Limited::start_with(5, options).await;
    let (mut client, mut arrived) = limited.send(&Request::post("/").json(key_last("acme", 2_000_000))).await;
    limited.stack.ext_proc().freeze().await.unwrap();
    arrived.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    limited.stack.ext_proc().signal(Signal::CONT).unwrap();
    client.response("POST").await
}

/// Regression: the chart and the example had no `message_timeout` in the mode `stream`. For the trailers of a response, Envoy
/// then waits 200 ms.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_stream_a_pause_of_the_service_breaks_no_response_with_trailers() {
    let answer = after_a_pause(Options::default()).await.expect("a whole response");
    assert_eq!((answer.status.as_u16(), answer.trailer("x-sum")), (200, Some("1")), "{answer:?}");
}

/// Why `message_timeout` is needed in this mode too.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_stream_envoy_waits_200_ms_by_default() {
    let options = Options::default().adjust(|bootstrap| without_message_timeout(bootstrap, "FULL_DUPLEX_STREAMED"));
    let error = after_a_pause(options).await.expect_err("a response that breaks off");
    eprintln!("{error:#}");
}
