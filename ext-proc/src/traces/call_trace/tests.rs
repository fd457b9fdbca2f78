use std::cell::Cell;

use cellgate_limiting::KeyHasher;
use hyper::header::HeaderValue;

use super::*;
use crate::metrics::Metrics;
use crate::traces::TraceSettings;

const PARENT: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

/// Tracing to a port on which nobody answers.
fn tracing() -> Tracing {
    let settings = TraceSettings::new("http://127.0.0.1:1".parse().unwrap());
    let metrics = Metrics::new().unwrap();
    Tracing::start(&settings, &KeyHasher::new([7; 16]), metrics.traces().clone()).unwrap()
}

fn metadata(fields: &[(&'static str, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

/// A call in which everything happens that has a place in a trace. Returns how many attributes were made.
fn call(tracing: Option<&Tracing>, metadata: &HeaderMap) -> (usize, CallTrace) {
    let made = Cell::new(0);
    let make = |key: &'static str| {
        made.set(made.get() + 1);
        vec![KeyValue::new(key, "value".to_owned())]
    };
    let mut trace = CallTrace::begin(tracing, TracedMethod::Process, metadata);
    let begun = trace.now();
    trace.worked(Work::Receive, begun);
    trace.measured(Work::Scan, Phase::default());
    trace.describe(Work::Limit, || make("cellgate.outcome"));
    trace.set(|| make("cellgate.cell"));
    trace.event("cellgate.decided");
    trace.failed("body_unread");
    trace.answered();
    trace.end(Code::Ok);
    (made.get(), trace)
}

/// The property on which the cost of tracing rests. What remains is a look at the metadata, which borrows them.
#[tokio::test]
async fn nothing_is_made_for_a_call_that_is_not_sampled() {
    let tracing = tracing();
    let unsampled = [
        metadata(&[]),
        metadata(&[("traceparent", format!("00-{PARENT}-00")), ("tracestate", "a=b".to_owned())]),
        metadata(&[("traceparent", "junk".repeat(16_384))]),
        metadata(&[("b3", format!("{PARENT}-0"))]),
        metadata(&[("b3", PARENT.to_owned())]),
        metadata(&[("x-b3-sampled", "0".to_owned())]),
    ];
    let sampled = metadata(&[("traceparent", format!("00-{PARENT}-01"))]);
    // Without tracing, nobody samples.
    let calls = unsampled.iter().map(|metadata| (Some(&tracing), metadata)).chain([(None, &sampled)]);
    for (tracing, metadata) in calls {
        let (made, trace) = call(tracing, metadata);
        assert_eq!(made, 0, "{metadata:?}");
        assert!(trace.recorded.is_none() && trace.hasher().is_none() && trace.now().is_none());
    }
    let (made, trace) = call(Some(&tracing), &sampled);
    assert!(made == 2 && trace.recorded.is_some() && trace.hasher().is_some() && trace.now().is_some());
}

/// Whether it is sampled or not: without a span of its own, a call has the ids of its caller.
#[tokio::test]
async fn log_lines_have_the_ids_of_the_span_or_of_the_caller() {
    let tracing = tracing();
    let ids = |tracing, value: &str| {
        let (_, trace) = call(tracing, &metadata(&[("traceparent", value.to_owned())]));
        trace.ids().map(|ids| format!("{}-{}", ids.trace, ids.span))
    };
    let (sampled, unsampled) = (format!("00-{PARENT}-01"), format!("00-{PARENT}-00"));
    assert_eq!(ids(None, &sampled).unwrap(), PARENT);
    assert_eq!(ids(Some(&tracing), &unsampled).unwrap(), PARENT);
    let own = ids(Some(&tracing), &sampled).unwrap();
    assert!(own.starts_with("4bf92f3577b34da6a3ce929d0e0e4736-") && own != PARENT, "{own}");
    assert_eq!(ids(Some(&tracing), "00-junk-01"), None);
}
