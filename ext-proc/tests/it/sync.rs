//! Leases: calls of `SyncService` over real connections, with the filter's end of leases.

mod filter;
mod shared_store;

use std::time::Duration;

use cellgate_ext_proc::{LeaseSettings, OtlpProtocol};
use cellgate_limiting::Applied;
use cellgate_proto::sync::SyncRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::task::JoinSet;
use tonic::Code;

use crate::limits::LimitedService;
use crate::otlp::{Receiver, attribute};
use crate::support::{CONFIG, Service, until};
use filter::Filter;

/// No allowance refills while a test runs.
pub(super) const LEASED: &str = "
sync: { cluster: service }
rate_limits:
  - { name: leased, key: [routing_key], limit: 1/d;burst=100, overrides: { single: 1/d }, lease: true }
  - { name: exact, key: [routing_key], limit: 1/d;burst=100 }
";

async fn start() -> LimitedService {
    LimitedService::start_with(LEASED, |_| {}).await
}

/// Units that a tenant has in use in the store.
async fn in_use(limited: &LimitedService, tenant: &str) -> u64 {
    limited.document("GET", &format!("/limits/leased?value={tenant}")).await["used"].as_u64().unwrap()
}

#[tokio::test]
async fn units_are_charged_when_they_are_granted_and_come_back_at_a_clean_end() {
    let limited = start().await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    // The first answer brings the secret of the keys, and a session without units.
    assert_eq!(filter.sync().await, Applied::Taken);
    assert!(!filter.spend("acme", 3));
    assert_eq!(filter.sync().await, Applied::Taken);
    assert_eq!(in_use(&limited, "acme").await, 6);
    assert!(filter.spend("acme", 3) && filter.spend("acme", 2) && !filter.spend("acme", 2));
    let show = limited.document("GET", "/limits/leased?value=acme").await;
    assert_eq!((&show["used"], &show["outstanding"]), (&6.into(), &6.into()));
    let list = limited.document("GET", "/limits").await;
    assert_eq!((&list["limits"][0]["outstanding"], &list["limits"][1]["outstanding"]), (&6.into(), &().into()));
    let service = &limited.service;
    assert_eq!(service.metric(r#"cellgate_lease_outstanding_units{limit="leased"}"#).await, 6);
    assert_eq!((service.metric("cellgate_lease_sessions").await, service.metric("cellgate_lease_keys").await), (1, 1));

    filter.close().await;
    assert_eq!(in_use(&limited, "acme").await, 5);
    for (metric, value) in [
        (r#"cellgate_lease_granted_units_total{limit="leased"}"#, 6),
        (r#"cellgate_lease_refunded_units_total{limit="leased"}"#, 1),
        (r#"cellgate_lease_outstanding_units{limit="leased"}"#, 0),
        (r#"cellgate_lease_lost_units_total{cause="session"}"#, 0),
        (r#"cellgate_lease_lost_units_total{cause="call"}"#, 0),
        ("cellgate_lease_sessions", 0),
        ("cellgate_lease_keys", 0),
        (r#"cellgate_syncs_total{result="open"}"#, 2),
        (r#"cellgate_syncs_total{result="unknown"}"#, 1),
        ("cellgate_sync_seconds_count", 3),
        // Requests are counted elsewhere, and this was none.
        (r#"cellgate_rate_limit_checks_total{limit="leased",outcome="within"}"#, 0),
    ] {
        assert_eq!(service.metric(metric).await, value, "{metric}");
    }
}

#[tokio::test]
async fn a_grant_is_a_part_of_what_is_left_and_all_are_at_most_half_a_burst() {
    let limited = start().await;
    let mut filters = Vec::new();
    for _ in 0..4 {
        let mut filter = Filter::connect(&limited.service, LEASED).await;
        filter.sync().await;
        filter.spend("acme", 40);
        filter.sync().await;
        filters.push(filter);
    }
    let held: Vec<_> = filters.iter().map(Filter::units).collect();
    assert_eq!(held, [25, 18, 7, 0]);
    assert_eq!(in_use(&limited, "acme").await, 50);
    // A burst of 1 is never leased.
    filters[3].spend("single", 1);
    filters[3].sync().await;
    assert_eq!((filters[3].units(), in_use(&limited, "single").await), (0, 0));
}

#[tokio::test]
async fn a_limit_that_the_rule_cannot_give_gets_no_grant() {
    let limited = start().await;
    for (leased, lied) in [("burst=100", "burst=90"), ("lease: true", "lease: false")] {
        let lies = LEASED.replacen(lied, leased, 1).replacen(leased, lied, 1);
        // It claims to have the configuration of the service.
        let mut filter = Filter::connect(&limited.service, LEASED).await.believing(&lies);
        filter.sync().await;
        filter.spend(if lied.starts_with("lease") { "exact/acme" } else { "acme" }, 3);
        assert_eq!(filter.sync().await, Applied::Taken);
        assert_eq!(filter.units(), 0, "{lied}");
    }
    assert_eq!(in_use(&limited, "acme").await, 0);
}

#[tokio::test]
async fn another_configuration_gives_up_what_it_holds() {
    let limited = start().await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    filter.sync().await;
    // A change beside the rate limits changes no lease.
    let reloaded = r#"cellgate_config_reloads_total{result="ok"}"#;
    let config = &limited.service.config;
    std::fs::write(config, format!("{CONFIG}{LEASED}").replace("version: one", "version: two")).unwrap();
    until("reloaded", || async { limited.service.metric(reloaded).await == 1 }).await;
    assert_eq!((filter.sync().await, filter.units()), (Applied::Taken, 6));
    let other = LEASED.replace("1/d;burst=100, over", "1/d;burst=80, over");
    std::fs::write(config, format!("{CONFIG}{other}")).unwrap();
    until("reloaded", || async { limited.service.metric(reloaded).await == 2 }).await;
    assert_eq!((filter.sync().await, filter.units()), (Applied::Withdrawn, 0));
    assert_eq!(filter.sync().await, Applied::Withdrawn);
    // They came back in two parts, and each part is rounded down by less than a unit.
    assert!(in_use(&limited, "acme").await <= 1);
    assert_eq!(limited.service.metric(r#"cellgate_syncs_total{result="withdrawn"}"#).await, 2);
    // A filter with the new one is served.
    let mut new = Filter::connect(&limited.service, &other).await;
    new.sync().await;
    new.spend("acme", 3);
    assert_eq!((new.sync().await, new.units()), (Applied::Taken, 6));
}

#[tokio::test]
async fn a_new_service_does_not_know_the_session() {
    let (first, second) = (start().await, start().await);
    let mut filter = Filter::connect(&first.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    filter.sync().await;
    filter.reconnect(&second.service).await;
    assert_eq!((filter.sync().await, filter.units()), (Applied::Restarted, 0));
    assert_eq!(second.service.metric(r#"cellgate_syncs_total{result="unknown"}"#).await, 1);
    // It begins anew.
    filter.sync().await;
    filter.spend("acme", 3);
    assert_eq!((filter.sync().await, filter.units()), (Applied::Taken, 6));
}

#[tokio::test]
async fn sessions_are_bounded() {
    const MAX_SESSIONS: usize = 4_096;
    // None expires while the test runs.
    let leases = LeaseSettings { term: Duration::from_secs(60), interval: Duration::from_secs(1) };
    let limited = LimitedService::start_with(LEASED, |settings| settings.leases = leases).await;
    let client = filter::client(&limited.service).await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    let mut calls = JoinSet::new();
    for session in 0..MAX_SESSIONS {
        let (mut client, report) = (client.clone(), filter.first_report(session as u64));
        calls.spawn(async move { client.sync(report).await.unwrap().into_inner().standing() });
    }
    for standing in calls.join_all().await {
        assert_eq!(standing, cellgate_proto::sync::Standing::Open);
    }
    assert_eq!(filter.sync().await, Applied::Restarted);
    assert_eq!(limited.service.metric(r#"cellgate_syncs_total{result="full"}"#).await, 1);
    assert_eq!(limited.service.metric("cellgate_lease_sessions").await, MAX_SESSIONS as u64);
}

#[tokio::test]
async fn a_sampled_report_has_a_span() {
    let receiver = Receiver::start(None).await;
    let traces = Some(receiver.settings(OtlpProtocol::Grpc));
    let limited = LimitedService::start_with(LEASED, |settings| settings.traces = traces).await;
    let filter = Filter::connect(&limited.service, LEASED).await;
    let mut client = filter::client(&limited.service).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    // The unsampled one is first, so its span would have arrived before that of the last one.
    for (flags, report) in
        [("00", filter.first_report(1)), ("01", filter.first_report(2)), ("01", SyncRequest::default())]
    {
        let mut call = tonic::Request::new(report);
        call.metadata_mut().insert("traceparent", format!("{parent}-{flags}").parse().unwrap());
        let _answer = client.sync(call).await;
    }
    let spans = receiver.wait_for("cellgate.sync.v1.SyncService/Sync", 2).await;
    let of = |key| spans.iter().map(|span| attribute(span, key).unwrap()).collect::<Vec<_>>();
    assert_eq!(of("cellgate.outcome"), ["open", "invalid"]);
    assert_eq!(of("rpc.response.status_code"), ["OK", "INVALID_ARGUMENT"]);
    for span in &spans {
        let parent = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
        assert_eq!((span.kind(), &span.parent_span_id[..]), (SpanKind::Server, &parent[..]));
        // A report that is refused is the filter's fault.
        assert!(span.status.as_ref().is_none_or(|status| status.code() == StatusCode::Unset));
    }
    assert_eq!(receiver.spans().len(), 2, "and nothing below them");
}

#[tokio::test]
async fn a_bad_report_is_refused_with_the_reason() {
    let limited = start().await;
    let mut client = filter::client(&limited.service).await;
    let refused = client.sync(SyncRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "the message has no session: do both ends have the same version?");
    let refused = filter::raw(&limited.service, b"\xff\xff").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("the message is not what cellgate.sync.v1 defines: "), "{refused}");
    let refused = filter::raw(&limited.service, &vec![0; cellgate_proto::MAX_MESSAGE_BYTES + 1]).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    assert_eq!(limited.service.metric(r#"cellgate_syncs_total{result="invalid"}"#).await, 2);
    // It is no gRPC at all.
    let (status, _) = limited.service.get("/cellgate.sync.v1.SyncService/Sync").await;
    assert_eq!(status, 404);
}

/// The store's keys depend on a secret that no filter has.
#[tokio::test]
async fn a_filter_that_names_another_limit_for_a_key_reaches_no_allowance_of_others() {
    let limited = start().await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    filter.sync().await;
    filter.spend("exact/acme", 3);
    let mut report = filter.report();
    report.leases.as_mut().unwrap().keys[0].limit_id = 0;
    let granted = filter.call(&report).await.unwrap().leases.unwrap().grants;
    assert_eq!(granted.len(), 1);
    for limit in ["exact", "leased"] {
        let document = limited.document("GET", &format!("/limits/{limit}?value=acme")).await;
        assert_eq!(document["used"], 0, "{limit}");
    }
}

#[tokio::test]
async fn a_report_that_comes_late_or_twice_gets_no_grant() {
    let limited = start().await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    let report = filter.report();
    let answer = filter.call(&report).await.unwrap();
    for _ in 0..2 {
        let again = filter.call(&report).await.unwrap();
        assert_eq!(again.standing(), cellgate_proto::sync::Standing::Unknown);
        assert_eq!(again.leases.unwrap().grants.len(), 0);
        assert_eq!(in_use(&limited, "acme").await, 6);
    }
    // A lie ends the session, and its units stay charged.
    let mut lie = filter.report();
    lie.leases = answer.leases.as_ref().map(|grants| filter::gives_up(grants, 90));
    let answer = filter.call(&lie).await.unwrap();
    assert_eq!(answer.standing(), cellgate_proto::sync::Standing::Unknown);
    assert_eq!(in_use(&limited, "acme").await, 6);
    assert_eq!(limited.service.metric(r#"cellgate_lease_lost_units_total{cause="session"}"#).await, 6);
}

#[tokio::test]
async fn a_reset_says_what_stays_with_filters() {
    let limited = start().await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    filter.sync().await;
    let forgotten = limited.document("POST", "/limits/leased/reset?value=acme").await;
    assert_eq!(
        (&forgotten["units"], &forgotten["outstanding"], &forgotten["lease_term_ms"]),
        (&6.into(), &6.into(), &10_000.into())
    );
    let forgotten = limited.document("POST", "/limits/exact/reset?value=acme").await;
    assert_eq!(forgotten["outstanding"], 0);
}

#[tokio::test]
async fn without_leased_limits_a_session_gets_nothing() {
    let service = Service::start().await;
    let mut filter = Filter::connect(&service, LEASED).await;
    assert_eq!(filter.sync().await, Applied::Withdrawn);
    filter.spend("acme", 3);
    assert_eq!((filter.sync().await, filter.units()), (Applied::Withdrawn, 0));
    assert!(!service.get("/metrics").await.1.contains(r#"cellgate_lease_outstanding_units{limit="leased"}"#));
}
