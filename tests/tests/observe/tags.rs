//! The tags of Envoy's span explain a request that reached no cell.

use cellgate_tests::client::Request;

use crate::support::{Traced, decided, deferred, has_ingress, ingress, tag};

#[tokio::test]
async fn a_request_that_the_filter_rejects_is_explained() {
    let traced = Traced::start().await;
    let answer = traced.stack.send(&Request::post("/truncated").json("{")).await;
    assert_eq!(answer.status, 400);
    let trace = traced.trace_of("/truncated", "with Envoy's span", has_ingress).await;
    let top = ingress(&trace);
    traced.assert_decision(top, "reject=400;reason=body_truncated");
    assert_eq!((tag(top, "http.status_code"), tag(top, "cellgate.cell")), ("400", ""));
}

#[tokio::test]
async fn a_clients_own_routing_header_is_in_no_tag() {
    let traced = Traced::start().await;
    let answer = traced.stack.send(&decided("/spoofed", "acme").header("x-cell", "cell-c")).await;
    assert_eq!(answer.cell(), "cell-b");
    let trace = traced.trace_of("/spoofed", "with Envoy's span", has_ingress).await;
    for span in &trace.spans {
        assert!(span.tags.values().all(|value| !value.contains("cell-c")), "{span:?}");
    }
}

#[tokio::test]
async fn a_request_that_the_service_rejects_is_explained() {
    let traced = Traced::start().await;
    let mut body = "x".repeat(40_000);
    body.insert_str(0, r#"{"x":""#);
    body.push_str(r#""}"#);
    let answer = traced.stack.send(&Request::post("/keyless").json(body)).await;
    assert_eq!(answer.status, 400);
    let trace = traced.trace_of("/keyless", "with Envoy's span", has_ingress).await;
    let top = ingress(&trace);
    traced.assert_decision(top, "defer=stream;reason=body_too_large");
    assert_eq!(tag(top, "cellgate.service.reason"), "key_missing");
}

#[tokio::test]
async fn no_tag_has_the_key() {
    let traced = Traced::start().await;
    let secret = "tenant-7f3a91";
    traced.stack.send(&decided("/secret", secret)).await;
    traced.stack.send(&deferred("/secret-late", secret)).await;
    for path in ["/secret", "/secret-late"] {
        let trace = traced.trace_of(path, "with Envoy's span", has_ingress).await;
        for span in &trace.spans {
            assert!(!format!("{span:?}").contains(secret), "{span:?}");
        }
    }
}
