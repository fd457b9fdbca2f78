//! One request is one trace: Envoy's spans, the filter's decision on them, and the service's spans.

use cellgate_tests::jaeger::Trace;

use crate::support::{
    CLIENT_SPAN, GATEWAY, SERVICE, Traced, decided, deferred, ingress, is_service, is_whole, tag, traceparent,
};

#[tokio::test]
async fn a_deferred_request_is_one_trace_of_envoy_and_the_service() {
    let traced = Traced::start().await;
    let answer = traced.stack.send(&deferred("/deferred", "acme")).await;
    assert_eq!(answer.cell(), "cell-b");
    let trace = traced.trace_of("/deferred", "with the service's span", is_whole).await;
    let top = ingress(&trace);
    traced.assert_decision(top, "defer=stream;reason=body_too_large");
    assert_eq!((tag(top, "cellgate.service.cell"), tag(top, "cellgate.cell")), ("cell-b", "cell-b"));
    let call = trace.only("Envoy's call of the service", |span| span.name.contains("ExternalProcessor.Process"));
    assert_eq!(call.parent.as_ref(), Some(&top.id), "{trace}");
    let service = trace.only("the service's span", is_service);
    assert_eq!(service.parent.as_ref(), Some(&call.id), "{trace}");
    assert_eq!(tag(service, "cellgate.cell"), "cell-b");
    assert_eq!(tag(service, "cellgate.reason"), tag(top, "cellgate.service.reason"), "both tell of one decision");
    for span in trace.of(SERVICE).filter(|span| span.id != service.id) {
        assert!(trace.is_below(span, service), "{} is not below the service's span:\n{trace}", span.name);
    }
    // The cell continues the same trace, below Envoy's span for the try.
    let cell = trace.only("Envoy's request to the cell", |span| span.name.contains("router cell-b"));
    assert_eq!(cell.parent.as_ref(), Some(&top.id), "{trace}");
    assert_eq!(answer.received("traceparent"), [format!("00-{}-{}-01", trace.id, cell.id)]);
}

#[tokio::test]
async fn a_clients_context_is_continued_and_is_not_the_services_parent() {
    let traced = Traced::start().await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request =
        deferred("/own", "acme").header("traceparent", traceparent(id, "01")).header("tracestate", "vendor=1");
    let answer = traced.stack.send(&request).await;
    let trace = traced.jaeger.trace_that(id, "is whole", is_whole).await.unwrap();
    let top = ingress(&trace);
    assert_eq!(top.parent.as_deref(), Some(CLIENT_SPAN), "Envoy's span is below the client's");
    let service = trace.only("the service's span", is_service);
    assert!(trace.is_below(service, top), "{trace}");
    // The forwarded request has the client's context: a service that took it from there would be beside Envoy's span.
    assert_ne!(service.parent.as_deref(), Some(CLIENT_SPAN), "{trace}");
    assert_eq!(answer.received("tracestate"), ["vendor=1"]);
}

#[tokio::test]
async fn a_request_that_the_filter_decides_has_its_decision_on_envoys_span() {
    let traced = Traced::start().await;
    let id = "0af7651916cd43dd8448eb211c80319c";
    traced.stack.send(&decided("/filter", "acme").header("traceparent", traceparent(id, "01"))).await;
    let is_there = |trace: &Trace| trace.of(GATEWAY).count() == 2;
    let trace = traced.jaeger.trace_that(id, "has both spans of Envoy", is_there).await.unwrap();
    let top = ingress(&trace);
    traced.assert_decision(top, "cell=cell-b;reason=exact");
    assert_eq!(tag(top, "cellgate.cell"), "cell-b");
    assert_eq!(tag(top, "cellgate.service.reason"), "", "the service took no part");
    assert_eq!(traced.stack.ext_proc_streams().await, 0);
    assert_eq!(trace.of(SERVICE).count(), 0, "{trace}");
}
