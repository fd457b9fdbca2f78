//! Requests that end before their time.

use cellgate_tests::client::Request;
use cellgate_tests::wait;

use crate::support::{LIMIT, Traced, has_ingress, ingress, is_service, is_whole, tag, traceparent};

#[tokio::test]
async fn a_request_that_is_aborted_after_its_release_names_both_decisions() {
    let traced = Traced::start().await;
    // The second key comes after the filter has released the beginning.
    let start = format!(r#"{{"tenant":{{"id":"acme"}},"x":"{}""#, "p".repeat(2 * LIMIT as usize));
    let request = Request::post("/conflict").header("content-type", "application/json");
    let request = request.pieces([start, r#","tenant":{"id":"globex"}}"#.to_owned()]);
    let _ = traced.stack.connect().await.send(&request).await;
    let trace = traced.trace_of("/conflict", "with Envoy's span", has_ingress).await;
    traced.assert_decision(ingress(&trace), "reject=400;reason=key_duplicated;after=cell-b");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_spans_of_both_tiers() {
    let traced = Traced::start().await;
    let id = "33333333333333333333333333333333";
    let half = format!(r#"{{"x":"{}"#, "p".repeat(2 * LIMIT as usize));
    let request = Request::post("/left").header("content-type", "application/json").header("content-length", "1000000");
    let request = request.header("traceparent", traceparent(id, "01"));
    let mut client = traced.stack.connect().await;
    client.write(&request.to_http1()).await.unwrap();
    client.write(half.as_bytes()).await.unwrap();
    let is_open =
        || async { Ok((traced.stack.ext_proc().metric("cellgate_streams_open").await? == 1.0).then_some(())) };
    wait::until("the service to have the request", is_open).await.unwrap();
    drop(client);
    let trace = traced.jaeger.trace_that(id, "has the spans of both", is_whole).await.unwrap();
    let top = ingress(&trace);
    traced.assert_decision(top, "defer=stream;reason=body_too_large");
    assert_eq!(tag(top, "response_flags"), "DC", "the client left: {top:?}");
    let service = trace.only("the service's span", is_service);
    assert!(trace.is_below(service, top), "{trace}");
}
