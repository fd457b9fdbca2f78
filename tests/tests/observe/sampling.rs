//! Which requests are traced.

use cellgate_tests::process::Signal;

use crate::support::{Traced, deferred, is_whole, traceparent};

#[tokio::test]
async fn a_request_whose_client_does_not_sample_has_no_span_anywhere() {
    let traced = Traced::start().await;
    let (unsampled, sampled) = ("11111111111111111111111111111111", "22222222222222222222222222222222");
    let answer = traced.stack.send(&deferred("/no", "acme").header("traceparent", traceparent(unsampled, "00"))).await;
    let forwarded = answer.received("traceparent").concat();
    assert!(forwarded.starts_with(&format!("00-{unsampled}-")) && forwarded.ends_with("-00"), "{forwarded}");

    // The spans of a later request have arrived: those of the earlier one would have, too.
    traced.stack.send(&deferred("/yes", "acme").header("traceparent", traceparent(sampled, "01"))).await;
    traced.jaeger.trace_that(sampled, "is whole", is_whole).await.unwrap();
    assert!(traced.jaeger.trace(unsampled).await.unwrap().is_none());
}

#[tokio::test]
async fn at_0_percent_a_request_without_a_context_has_no_span_in_either_tier() {
    let traced = Traced::start_with(0).await;
    let answer = traced.stack.send(&deferred("/alone", "acme")).await;
    assert_eq!(answer.cell(), "cell-b");
    let forwarded = answer.received("traceparent").concat();
    assert!(forwarded.ends_with("-00"), "the cell is told that the request is not sampled: {forwarded}");
    // The service sends the spans that it still has before it ends.
    traced.stack.ext_proc().signal(Signal::TERM).unwrap();
    traced.stack.ext_proc().ended().await.unwrap();
    let id = forwarded.split('-').nth(1).unwrap();
    assert!(traced.jaeger.trace(id).await.unwrap().is_none());
}
