//! Calls of `RateLimitService`, over real connections.

use cellgate_ext_proc::{LimitHeaders, Settings};
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{Entry, RateLimitOverride};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::UInt64Value;
use envoy_types::pb::google::protobuf::value::Kind;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code as GrpcCode, Status};

use crate::support::{CONFIG, Service, until};

/// No allowance refills while a test runs.
const LIMITS: &str = r#"
descriptor_limits:
  - { name: per-user, domain: shop, descriptor: [{ key: user }], limit: 3/day, overrides: { vip: 5/2d }, override_at_most: 4/h }
  - { name: writes, domain: shop, descriptor: [{ key: method, value: POST }], limit: 1/day }
  - { name: files, domain: shop, descriptor: [{ key: path, value: "/files/*", shared: true }], limit: 1/day }
  - { name: banned, domain: shop, descriptor: [{ key: user, value: eve }], always: deny }
  - { name: office, domain: shop, descriptor: [{ key: user, value: office }], always: allow }
  - { name: measured, domain: shop, descriptor: [{ key: agent }], limit: 1/day, shadow: true }
"#;

struct Caller(RateLimitServiceClient<Channel>);

impl Caller {
    async fn new(service: &Service) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap();
        Self(RateLimitServiceClient::new(endpoint.connect().await.unwrap()))
    }

    async fn call(&mut self, call: RateLimitRequest) -> Result<RateLimitResponse, Status> {
        self.0.should_rate_limit(call).await.map(tonic::Response::into_inner)
    }

    /// A call of one unit for the domain `shop`.
    async fn ask(&mut self, descriptors: &[&str]) -> RateLimitResponse {
        self.call(call(descriptors.iter().map(|text| descriptor(text)).collect())).await.unwrap()
    }
}

async fn start(headers: LimitHeaders) -> Service {
    Service::start_with(|settings: &mut Settings| {
        std::fs::write(&settings.config, format!("{CONFIG}{LIMITS}")).unwrap();
        settings.limit_headers = headers;
    })
    .await
}

fn call(descriptors: Vec<RateLimitDescriptor>) -> RateLimitRequest {
    RateLimitRequest { domain: "shop".into(), descriptors, hits_addend: 0 }
}

/// `user=acme method=POST`
fn descriptor(text: &str) -> RateLimitDescriptor {
    let entry = |text: &str| text.split_once('=').map(|(key, value)| Entry { key: key.into(), value: value.into() });
    RateLimitDescriptor { entries: text.split(' ').filter_map(entry).collect(), ..RateLimitDescriptor::default() }
}

fn is_ok(response: &RateLimitResponse) -> bool {
    let codes = [Code::Ok, Code::OverLimit].map(i32::from);
    assert!(codes.contains(&response.overall_code));
    response.overall_code == codes[0]
}

/// Code, limit, what is left, and seconds.
type Parts<'a> = (Code, Option<(&'a str, u32, Unit)>, u32, Option<i64>);

fn parts(status: &DescriptorStatus) -> Parts<'_> {
    let limit = status.current_limit.as_ref().map(|limit| (&*limit.name, limit.requests_per_unit, limit.unit()));
    let reset = status.duration_until_reset.as_ref().map(|duration| duration.seconds);
    (status.code(), limit, status.limit_remaining, reset)
}

fn headers(response: &RateLimitResponse) -> Vec<(&str, &str)> {
    response.response_headers_to_add.iter().map(|header| (&*header.key, &*header.value)).collect()
}

#[tokio::test]
async fn a_call_is_admitted_until_its_limit_is_used_up() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    for left in [2, 1, 0] {
        let response = caller.ask(&["user=acme"]).await;
        assert!(is_ok(&response) && response.dynamic_metadata.is_none() && headers(&response).is_empty());
        let [status] = &response.statuses[..] else { panic!("{response:?}") };
        let (code, limit, remaining, reset) = parts(status);
        assert_eq!((code, limit, remaining), (Code::Ok, Some(("per-user", 3, Unit::Day)), left));
        assert_eq!(reset, Some(28_800 * i64::from(3 - left)));
    }
    let response = caller.ask(&["user=acme"]).await;
    assert!(!is_ok(&response));
    let limit = Some(("per-user", 3, Unit::Day));
    assert_eq!(parts(&response.statuses[0]), (Code::OverLimit, limit, 0, Some(28_800)));
    let policy = r#""per-user";q=3;w=86400"#;
    let expected = [("RateLimit", r#""per-user";r=0;t=28800"#), ("RateLimit-Policy", policy), ("Retry-After", "28800")];
    assert_eq!(headers(&response), expected);
    let metadata = response.dynamic_metadata.unwrap().fields;
    let texts = ["rate_limit", "rate_limit_policy"].map(|name| metadata[name].kind.clone());
    assert_eq!(texts, [expected[0].1, policy].map(|text| Some(Kind::StringValue(text.into()))));
    let Some(Kind::ListValue(violated)) = &metadata["violated_policies"].kind else { panic!("{metadata:?}") };
    assert_eq!(violated.values[0].kind, Some(Kind::StringValue("per-user".into())));

    // Another value has an allowance of its own, and an override another rate: 5/2d is expressed in weeks at 17.5, in
    // months at 75.
    let response = caller.ask(&["user=vip"]).await;
    assert_eq!(parts(&response.statuses[0]).1, Some(("per-user", 75, Unit::Month)));
    for (outcome, count) in [("admitted", 4), ("refused", 1), ("invalid", 0)] {
        let name = format!("cellgate_rate_limit_calls_total{{outcome=\"{outcome}\"}}");
        assert_eq!(service.metric(&name).await, count, "{outcome}");
    }
    let refused = r#"cellgate_rate_limit_checks_total{limit="per-user",outcome="refused"}"#;
    assert_eq!(service.metric(refused).await, 1);
}

/// envoyproxy/ratelimit charges every descriptor whatever the others say.
#[tokio::test]
async fn all_descriptors_of_a_call_are_charged_or_none() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    assert!(is_ok(&caller.ask(&["user=acme", "unlimited=1", "method=POST"]).await));
    let response = caller.ask(&["user=acme", "unlimited=1", "method=POST"]).await;
    assert!(!is_ok(&response));
    let codes: Vec<_> = response.statuses.iter().map(|status| (status.code(), status.limit_remaining)).collect();
    assert_eq!(codes, [(Code::Ok, 2), (Code::Ok, 0), (Code::OverLimit, 0)]);
    assert_eq!(response.statuses[1].current_limit, None);
    // The user was charged once.
    assert_eq!(caller.ask(&["user=acme"]).await.statuses[0].limit_remaining, 1);
    // A limit that is named twice is charged for both.
    assert_eq!(caller.ask(&["user=globex", "user=globex"]).await.statuses[1].limit_remaining, 1);
}

#[tokio::test]
async fn rules_that_always_answer_and_limits_that_only_measure() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    for _ in 0..5 {
        let response = caller.ask(&["user=office"]).await;
        assert_eq!((is_ok(&response), parts(&response.statuses[0])), (true, (Code::Ok, None, 0, None)));
        let measured = caller.ask(&["agent=crawler"]).await;
        assert_eq!((is_ok(&measured), parts(&measured.statuses[0])), (true, (Code::Ok, None, 0, None)));
    }
    let over = r#"cellgate_rate_limit_checks_total{limit="measured",outcome="over"}"#;
    assert_eq!(service.metric(over).await, 4);

    let response = caller.ask(&["user=acme", "user=eve"]).await;
    assert_eq!(parts(&response.statuses[1]), (Code::OverLimit, Some(("banned", 0, Unit::Second)), 0, None));
    // Nothing can be waited for.
    assert_eq!((is_ok(&response), headers(&response)), (false, vec![]));
    assert_eq!(caller.ask(&["user=acme"]).await.statuses[0].limit_remaining, 2);

    assert!(is_ok(&caller.ask(&["path=/files/a"]).await));
    assert!(!is_ok(&caller.ask(&["path=/files/b"]).await), "a shared prefix has one allowance");
}

#[tokio::test]
async fn the_cost_is_that_of_the_descriptor_or_of_the_call() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    let with_hits = |value: Option<u64>, is_negative_hits, hits_addend| {
        let hits_addend_of_descriptor = value.map(|value| UInt64Value { value });
        let descriptor =
            RateLimitDescriptor { hits_addend: hits_addend_of_descriptor, is_negative_hits, ..descriptor("user=acme") };
        RateLimitRequest { hits_addend, ..call(vec![descriptor]) }
    };
    for (value, is_negative, addend, ok, left) in [
        (None, false, 2, true, 1),
        (Some(1), false, 9, true, 0),
        // Nothing is asked for, so nothing is refused.
        (Some(0), false, 9, true, 0),
        // Nothing is given back.
        (Some(2), true, 1, true, 0),
        (None, false, 0, false, 0),
        (None, false, u32::MAX, false, 0),
        (Some(u64::MAX), false, 0, false, 0),
    ] {
        let response = caller.call(with_hits(value, is_negative, addend)).await.unwrap();
        let status = &response.statuses[0];
        assert_eq!((is_ok(&response), status.limit_remaining), (ok, left), "{value:?} {is_negative} {addend}");
        // A cost over the burst is never admitted.
        let never = value == Some(u64::MAX) || addend == u32::MAX;
        assert_eq!(status.duration_until_reset.is_none(), never, "{value:?} {addend}");
    }
}

#[tokio::test]
async fn a_limit_that_a_descriptor_carries_is_bounded() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    for (user, requests_per_unit, unit, expected) in [
        ("a", 2, Unit::Hour, (2, Unit::Hour)),
        ("b", 1_000_000, Unit::Second, (4, Unit::Hour)),
        // None, so the configured limit counts.
        ("c", 0, Unit::Hour, (3, Unit::Day)),
        ("d", 7, Unit::Unknown, (3, Unit::Day)),
    ] {
        let limit = Some(RateLimitOverride { requests_per_unit, unit: unit.into() });
        let response = caller
            .call(call(vec![RateLimitDescriptor { limit, ..descriptor(&format!("user={user}")) }]))
            .await
            .unwrap();
        let found = parts(&response.statuses[0]).1.unwrap();
        assert_eq!((found.1, found.2), expected, "{user}");
    }
    // `writes` has no `override_at_most`.
    let limit = Some(RateLimitOverride { requests_per_unit: 9, unit: Unit::Hour.into() });
    let response = caller.call(call(vec![RateLimitDescriptor { limit, ..descriptor("method=POST") }])).await.unwrap();
    assert_eq!(parts(&response.statuses[0]).1, Some(("writes", 1, Unit::Day)));
}

#[tokio::test]
async fn what_no_limit_knows_is_admitted_and_counted() {
    let service = start(LimitHeaders::All).await;
    let mut caller = Caller::new(&service).await;
    let many = "user=a ".repeat(10_000);
    for (domain, descriptors) in [
        ("unknown", vec!["user=acme"]),
        ("shop", vec!["color=red"]),
        ("shop", vec!["user=a method=POST"]),
        ("shop", vec![&many]),
    ] {
        let descriptors = descriptors.into_iter().map(descriptor).collect();
        let response =
            caller.call(RateLimitRequest { domain: domain.into(), descriptors, hits_addend: 0 }).await.unwrap();
        assert!(is_ok(&response) && response.statuses.len() == 1 && response.statuses[0].current_limit.is_none());
    }
    assert_eq!(service.metric(r#"cellgate_rate_limit_calls_total{outcome="uncounted"}"#).await, 4);
}

#[tokio::test]
async fn malformed_calls_are_errors() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    let no_domain = RateLimitRequest { domain: String::new(), ..call(vec![descriptor("user=a")]) };
    let error = caller.call(no_domain).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (GrpcCode::InvalidArgument, "the call has no domain: set `domain` in Envoy's filter")
    );
    for count in [0, 33] {
        let error = caller.call(call(vec![descriptor("user=a"); count])).await.unwrap_err();
        let message = format!("a call has from 1 to 32 descriptors, and this one has {count}");
        assert_eq!((error.code(), error.message()), (GrpcCode::InvalidArgument, &*message));
    }
    assert_eq!(service.metric(r#"cellgate_rate_limit_calls_total{outcome="invalid"}"#).await, 3);
    // The largest number of descriptors, and a long value.
    assert!(!is_ok(&caller.ask(&["user=a"; 32]).await));
    let long = format!("user={}", "x".repeat(100 * 1024));
    assert_eq!(caller.ask(&[&long]).await.statuses[0].limit_remaining, 2);
    assert_eq!(caller.ask(&[&long]).await.statuses[0].limit_remaining, 1);
    // All headers that Envoy accepts by default, in each descriptor: a client must not escape by them.
    let largest = format!("agent={}", "x".repeat(60 * 1024));
    let response = caller.call(call(vec![descriptor(&largest); 32])).await.unwrap();
    assert_eq!(response.statuses.len(), 32);
    let huge = format!("user={}", "x".repeat(2 * 1024 * 1024));
    let error = caller.call(call(vec![descriptor(&huge)])).await.unwrap_err();
    assert_eq!(error.code(), GrpcCode::OutOfRange, "{error}");
    // The connection goes on.
    assert!(is_ok(&caller.ask(&["user=b"]).await));
}

#[tokio::test]
async fn fields_for_the_response_are_optional() {
    for (option, admitted, refused) in [
        (LimitHeaders::None, vec![], vec![]),
        (
            LimitHeaders::All,
            vec!["RateLimit", "RateLimit-Policy"],
            vec!["RateLimit", "RateLimit-Policy", "Retry-After"],
        ),
    ] {
        let service = start(option).await;
        let mut caller = Caller::new(&service).await;
        for (ok, names) in [(true, admitted), (false, refused)] {
            let response = caller.ask(&["method=POST"]).await;
            assert_eq!(is_ok(&response), ok);
            let found: Vec<_> = headers(&response).into_iter().map(|(name, _)| name).collect();
            assert_eq!(found, names, "{option:?}");
            assert_eq!(response.dynamic_metadata.is_some(), !ok || option == LimitHeaders::All, "{option:?}");
        }
    }
}

#[tokio::test]
async fn a_reload_changes_limits_and_keeps_what_was_used() {
    let service = start(LimitHeaders::Refused).await;
    let mut caller = Caller::new(&service).await;
    for _ in 0..3 {
        assert!(is_ok(&caller.ask(&["user=acme"]).await));
    }
    assert!(!is_ok(&caller.ask(&["user=acme"]).await));
    let more = LIMITS.replace("limit: 3/day", "limit: 9/day");
    std::fs::write(&service.config, format!("{CONFIG}{more}")).unwrap();
    until("reloaded", || async { service.metric(r#"cellgate_config_reloads_total{result="ok"}"#).await == 1 }).await;
    assert_eq!(caller.ask(&["user=acme"]).await.statuses[0].limit_remaining, 5);
}
