//! The spans of calls: their parents, attributes and phases.

use cellgate_ext_proc::{LimitHeaders, OtlpProtocol, TraceSettings};
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tonic::transport::{Channel, Endpoint};

use crate::otlp::{Receiver, attribute, value};
use crate::peer::{Peer, cell, head};
use crate::support::{CONFIG, Service};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;

const PROCESS: &str = "envoy.service.ext_proc.v3.ExternalProcessor/Process";

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

pub(crate) async fn channel(service: &Service) -> Channel {
    Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap().connect().await.unwrap()
}

async fn traced(config: &str, settings: TraceSettings) -> Service {
    Service::start_with(|service| {
        std::fs::write(&service.config, format!("{CONFIG}{config}")).unwrap();
        service.traces = Some(settings);
        service.limit_secret = Some([7; 16]);
    })
    .await
}

/// A request that is decided by its head.
pub(crate) async fn decide(service: &Service, metadata: &[(&'static str, &str)]) {
    decide_on(&channel(service).await, metadata, 1).await;
}

/// Several, one after the other.
pub(crate) async fn decide_on(channel: &Channel, metadata: &[(&'static str, &str)], requests: usize) {
    for _ in 0..requests {
        let mut peer = Peer::with_metadata(channel.clone(), metadata).await;
        peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
        assert_eq!(cell(&peer.change().await), "cell-b");
        peer.close();
        assert_eq!(peer.next().await.unwrap(), None);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_child(child: &Span, parent: &Span) -> bool {
    child.trace_id == parent.trace_id
        && child.parent_span_id == parent.span_id
        && child.start_time_unix_nano >= parent.start_time_unix_nano
        && child.end_time_unix_nano <= parent.end_time_unix_nano
}

#[tokio::test]
async fn the_parent_is_the_span_in_the_metadata_and_never_that_of_the_request() {
    let receiver = Receiver::start(None).await;
    let service = traced("", receiver.settings(OtlpProtocol::Grpc)).await;
    let mut peer =
        Peer::with_metadata(channel(&service).await, &[("traceparent", SAMPLED), ("tracestate", "a=b")]).await;
    let client = "00-11111111111111111111111111111111-2222222222222222-01";
    peer.send(head(DUPLEX, &[("content-type", "application/json"), ("traceparent", client)], false)).await;
    peer.body(br#"{"x":1,"#, false).await;
    peer.body(br#""tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    peer.piece().await;
    peer.piece().await;
    peer.close();
    assert_eq!(peer.next().await.unwrap(), None);

    let [span] = &receiver.wait_for(PROCESS, 1).await[..] else { unreachable!() };
    assert_eq!(hex(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((hex(&span.parent_span_id), &*span.trace_state), ("00f067aa0ba902b7".to_owned(), "a=b"));
    assert_eq!(span.kind(), SpanKind::Server);
    for (key, expected) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", PROCESS),
        ("rpc.response.status_code", "OK"),
        ("cellgate.tier", "service"),
        ("cellgate.outcome", "cell"),
        ("cellgate.cell", "cell-b"),
        ("cellgate.reason", "exact"),
        ("cellgate.source", "json /tenant/id"),
        ("cellgate.config_version", "one"),
        ("cellgate.request_id", "test"),
        ("cellgate.received_bytes", "30"),
        ("cellgate.inspected_bytes", "30"),
    ] {
        assert_eq!(attribute(span, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(attribute(span, "cellgate.key_hash").unwrap().len(), 32);
    assert!(span.status.as_ref().is_none_or(|status| status.code() == StatusCode::Unset));
    assert_eq!(span.events.iter().map(|event| &*event.name).collect::<Vec<_>>(), ["cellgate.decided"]);
    let children = receiver.wait_for("cellgate.", 3).await;
    let names: Vec<_> = children.iter().map(|child| &*child.name).collect();
    assert_eq!(names, ["cellgate.receive", "cellgate.scan", "cellgate.place"]);
    assert!(children.iter().all(|child| is_child(child, span)), "{children:?} {span:?}");
    assert_eq!(attribute(&children[1], "cellgate.pieces").as_deref(), Some("2"));
    let busy = |child: &Span| attribute(child, "cellgate.busy_ns").unwrap().parse::<u64>().unwrap();
    assert!(children.iter().all(|child| busy(child) <= child.end_time_unix_nano - child.start_time_unix_nano));

    let resource = receiver.resource().attributes;
    assert_eq!(value(&resource, "service.name").as_deref(), Some("cellgate"));
    assert!(value(&resource, "service.version").is_some());
    assert_eq!(value(&resource, "service.instance.id").unwrap().len(), 36, "a random UUID");
    // Nothing has the key, in whatever form.
    assert!(!format!("{:?}", receiver.spans()).contains("acme"));
}

#[tokio::test]
async fn a_key_has_one_hash_by_whatever_source_and_another_key_another_one() {
    let receiver = Receiver::start(None).await;
    let service = traced("", receiver.settings(OtlpProtocol::Grpc)).await;
    decide(&service, &[("traceparent", SAMPLED)]).await;
    for body in [r#"{"tenant":{"id":"acme"}}"#, r#"{"tenant":{"id":"globex"}}"#] {
        let mut peer = Peer::with_metadata(channel(&service).await, &[("traceparent", SAMPLED)]).await;
        peer.send(head(BodySendMode::Buffered, &[("content-type", "application/json")], false)).await;
        peer.response().await;
        peer.body(body.as_bytes(), true).await;
        peer.change().await;
        peer.close();
        assert_eq!(peer.next().await.unwrap(), None);
    }
    let spans = receiver.wait_for(PROCESS, 3).await;
    let of = |key| spans.iter().map(|span| attribute(span, key).unwrap()).collect::<Vec<_>>();
    assert_eq!(of("cellgate.source"), ["header x-tenant-id", "json /tenant/id", "json /tenant/id"]);
    let hashes = of("cellgate.key_hash");
    assert!(hashes[0] == hashes[1] && hashes[1] != hashes[2], "{hashes:?}");
}

/// Also those without any context, as `sample_percent` is 0.
#[tokio::test]
async fn an_unsampled_request_has_no_span() {
    let receiver = Receiver::start(None).await;
    let service = traced("", receiver.settings(OtlpProtocol::Grpc)).await;
    for metadata in [&[("traceparent", UNSAMPLED)][..], &[("b3", "0")], &[], &[("traceparent", "junk")]] {
        decide(&service, metadata).await;
    }
    // Sent last, and arrives alone.
    decide(&service, &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")]).await;
    let spans = receiver.wait_for(PROCESS, 1).await;
    assert_eq!(hex(&spans[0].parent_span_id), "00f067aa0ba902b7", "B3");
}

#[tokio::test]
async fn a_part_of_the_requests_without_a_context_is_sampled() {
    let receiver = Receiver::start(None).await;
    let all = TraceSettings { sample_percent: 100.0, ..receiver.settings(OtlpProtocol::Grpc) };
    let service = traced("", all).await;
    decide(&service, &[("traceparent", UNSAMPLED)]).await;
    decide(&service, &[]).await;
    decide(&service, &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")]).await;
    let spans = receiver.wait_for(PROCESS, 2).await;
    assert!(spans[0].parent_span_id.is_empty() && spans[0].trace_id != spans[1].trace_id);
    assert_eq!(hex(&spans[1].parent_span_id), "00f067aa0ba902b7");
}

/// A body in many chunks must not make a span of each.
#[tokio::test]
async fn a_thousand_chunks_are_one_span_of_each_kind() {
    let receiver = Receiver::start(None).await;
    let service = traced("", receiver.settings(OtlpProtocol::Grpc)).await;
    let mut peer = Peer::with_metadata(channel(&service).await, &[("traceparent", SAMPLED)]).await;
    peer.send(head(DUPLEX, &[("content-type", "application/json")], false)).await;
    for _ in 0..1000 {
        peer.body(b" ", false).await;
    }
    peer.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    peer.change().await;
    // Small chunks come back together.
    while !peer.piece().await.1 {}
    peer.close();
    assert_eq!(peer.next().await.unwrap(), None);
    let children = receiver.wait_for("cellgate.", 3).await;
    assert_eq!(attribute(&children[1], "cellgate.pieces").as_deref(), Some("1001"));
    receiver.wait_for(PROCESS, 1).await;
}

#[tokio::test]
async fn refusals_are_errors_only_if_the_service_is_at_fault() {
    let receiver = Receiver::start(None).await;
    let service = traced("", receiver.settings(OtlpProtocol::Grpc)).await;
    let sampled = [("traceparent", SAMPLED)];
    let mut peer = Peer::with_metadata(channel(&service).await, &sampled).await;
    peer.send(head(DUPLEX, &[("content-type", "application/json")], false)).await;
    peer.body(b"{]", true).await;
    assert_eq!(peer.immediate().await.status.unwrap().code, 400);
    let malformed = &receiver.wait_for(PROCESS, 1).await[0];
    assert_eq!(attribute(malformed, "cellgate.reason").as_deref(), Some("body_malformed"));
    assert_eq!(attribute(malformed, "http.response.status_code").as_deref(), Some("400"));
    assert!(attribute(malformed, "cellgate.source").is_none() && attribute(malformed, "cellgate.cell").is_none());
    assert!(malformed.status.as_ref().is_none_or(|status| status.code() == StatusCode::Unset));

    // Envoy is set up not to send the body.
    let mut peer = Peer::with_metadata(channel(&service).await, &sampled).await;
    peer.send(head(BodySendMode::None, &[("content-type", "application/json")], false)).await;
    assert_eq!(peer.immediate().await.status.unwrap().code, 500);
    let unread = &receiver.wait_for(PROCESS, 2).await[1];
    let status = unread.status.as_ref().unwrap();
    assert_eq!((status.code(), &*status.message), (StatusCode::Error, "body_unread"));

    // Envoy resets a stream that it no longer needs.
    let peer = Peer::with_metadata(channel(&service).await, &sampled).await;
    peer.send(head(DUPLEX, &[("content-type", "application/json")], false)).await;
    drop(peer);
    let reset = &receiver.wait_for(PROCESS, 3).await[2];
    assert_ne!(attribute(reset, "rpc.response.status_code").as_deref(), Some("OK"));
    assert!(reset.status.as_ref().is_none_or(|status| status.code() == StatusCode::Unset));
}

#[tokio::test]
async fn limits_have_a_span_with_their_names() {
    let limits = "
rate_limits: [{ name: per-tenant, key: [routing_key], limit: 1/d }]
concurrency_limits: [{ name: slow, key: [routing_key], at_most: 5 }]
";
    let receiver = Receiver::start(None).await;
    let service = traced(limits, receiver.settings(OtlpProtocol::Grpc)).await;
    for _ in 0..2 {
        let mut peer = Peer::with_metadata(channel(&service).await, &[("traceparent", SAMPLED)]).await;
        peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
        peer.response().await;
    }
    let asked = receiver.wait_for("cellgate.limit", 2).await;
    let of = |key| asked.iter().map(|span| attribute(span, key)).collect::<Vec<_>>();
    assert_eq!(of("cellgate.outcome"), [Some("admitted".to_owned()), Some("rate_limited".to_owned())]);
    assert!(of("cellgate.rate_limits").iter().flatten().all(|names| names.contains("per-tenant")));
    assert!(of("cellgate.concurrency_limits").iter().flatten().all(|names| names.contains("slow")));
    assert!(matches!(&of("cellgate.violated_limits")[..], [None, Some(names)] if names.contains("per-tenant")));
    assert!(!format!("{:?}", receiver.spans()).contains("acme"));
}

#[tokio::test]
async fn calls_of_the_rate_limit_service_have_a_span() {
    let limits = "
descriptor_limits: [{ name: per-user, domain: shop, descriptor: [{ key: user }], limit: 3/day }]
";
    let receiver = Receiver::start(None).await;
    let service = Service::start_with(|service| {
        std::fs::write(&service.config, format!("{CONFIG}{limits}")).unwrap();
        service.traces = Some(receiver.settings(OtlpProtocol::Grpc));
        service.limit_headers = LimitHeaders::All;
    })
    .await;
    let entry = Entry { key: "user".into(), value: "marked-secret".into() };
    let descriptors = vec![RateLimitDescriptor { entries: vec![entry], ..Default::default() }];
    let mut client = RateLimitServiceClient::new(channel(&service).await);
    for traceparent in [UNSAMPLED, SAMPLED] {
        let call = RateLimitRequest { domain: "shop".into(), descriptors: descriptors.clone(), hits_addend: 0 };
        let mut call = tonic::Request::new(call);
        call.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        client.should_rate_limit(call).await.unwrap();
    }
    let name = "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
    let span = &receiver.wait_for(name, 1).await[0];
    assert_eq!(attribute(span, "cellgate.outcome").as_deref(), Some("admitted"));
    assert!(is_child(&receiver.wait_for("cellgate.limit", 1).await[0], span));
    assert!(!format!("{:?}", receiver.spans()).contains("marked-secret"));
}
