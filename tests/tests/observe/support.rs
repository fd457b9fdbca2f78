//! A stack whose Envoy and service send their spans to a Jaeger.

use cellgate_tests::client::Request;
use cellgate_tests::envoy::Tracing;
use cellgate_tests::jaeger::{Jaeger, Span, Trace};
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;

/// The service name of Envoy's spans, as in the example.
pub(crate) const GATEWAY: &str = "gateway";

/// The service name of the service's spans.
pub(crate) const SERVICE: &str = "cellgate";

/// The filter's limit: a body that names its key later goes to the service.
pub(crate) const LIMIT: u32 = 32 * 1024;

/// Envoy, the service and Jaeger.
pub(crate) struct Traced {
    pub(crate) stack: Stack,
    pub(crate) jaeger: Jaeger,
    /// Envoy 1.36 has no tag for the filter's decision.
    has_filter_tag: bool,
}

impl Traced {
    /// All requests without a context of their own are traced.
    pub(crate) async fn start() -> Self {
        Self::start_with(100).await
    }

    /// As many percent of the requests without a context of their own are traced.
    pub(crate) async fn start_with(percent: u8) -> Self {
        let jaeger = Jaeger::start().await.unwrap();
        let collector = jaeger.otlp().unwrap();
        let tracing = Tracing { percent, ..Tracing::to(collector).unwrap() };
        let options = Options::default()
            .buffer_limit(LIMIT)
            .service_option("--otlp-endpoint", &format!("http://{collector}"))
            .adjust(move |bootstrap| tracing.add_to(bootstrap));
        let stack = Stack::start(options).await;
        Self { stack, jaeger, has_filter_tag: tracing.has_filter_tag }
    }

    /// Asserts that the span has the filter's decision as a tag, where this Envoy has such tags.
    #[track_caller]
    pub(crate) fn assert_decision(&self, span: &Span, decision: &str) {
        let expected = if self.has_filter_tag { decision } else { "" };
        assert_eq!(tag(span, "cellgate.filter"), expected, "{span:?}");
    }

    /// The trace of the request with this path, by the request id in Envoy's access log, when it meets a condition.
    pub(crate) async fn trace_of(&self, path: &str, what: &str, is_met: impl Fn(&Trace) -> bool) -> Trace {
        let line = self.stack.envoy().access_line(path).await;
        let tags = [("guid:x-request-id", line.text("id"))];
        let what = format!("a trace of {path} {what}");
        let found = cellgate_tests::wait::until(&what, || async {
            let found = self.jaeger.search(GATEWAY, &tags).await?;
            assert!(found.len() < 2, "one request has {} traces", found.len());
            Ok(found.into_iter().find(&is_met))
        });
        found.await.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

/// A client's context: `traceparent` with this trace id. The client's own span is `00f067aa0ba902b7`.
pub(crate) fn traceparent(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{CLIENT_SPAN}-{flags}")
}

/// The id of the client's own span.
pub(crate) const CLIENT_SPAN: &str = "00f067aa0ba902b7";

/// `POST path` with the key at the end of a body that is too large for the filter.
pub(crate) fn deferred(path: &str, tenant: &str) -> Request {
    let body = format!(r#"{{"x":"{}","tenant":{{"id":"{tenant}"}}}}"#, "p".repeat(LIMIT as usize));
    Request::post(path).json(body)
}

/// `POST path` with the key at the beginning.
pub(crate) fn decided(path: &str, tenant: &str) -> Request {
    Request::post(path).json(format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#))
}

/// The span of the request in Envoy: the only one without a parent in the trace.
#[track_caller]
pub(crate) fn ingress(trace: &Trace) -> &Span {
    let roots: Vec<&Span> = trace.roots().collect();
    assert!(roots.len() == 1 && roots[0].service == GATEWAY, "not one trace with Envoy's span at its top:\n{trace}");
    roots[0]
}

/// Envoy's span of the request, which it sends last.
pub(crate) fn has_ingress(trace: &Trace) -> bool {
    trace.of(GATEWAY).any(|span| tag(span, "span.kind") == "server")
}

/// The span of the call in the service.
pub(crate) fn is_service(span: &Span) -> bool {
    span.service == SERVICE && tag(span, "span.kind") == "server"
}

/// The spans of the request in both tiers.
pub(crate) fn is_whole(trace: &Trace) -> bool {
    has_ingress(trace) && trace.spans.iter().any(is_service)
}

/// The tag of a span, or nothing.
pub(crate) fn tag<'a>(span: &'a Span, name: &str) -> &'a str {
    span.tags.get(name).map_or("", String::as_str)
}
