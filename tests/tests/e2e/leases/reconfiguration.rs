//! Another configuration, and one whose cluster does not exist.

use cellgate_tests::options::sample_config;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};

use super::{
    CLUSTER, HUNDRED, OUTSTANDING, decided_by_service, filter, get, hold_units, is_seen_by_service, leased, metric,
    per_tenant,
};
use crate::doctor::{assert_finding, doctor};
use crate::support::wait_for_metric;

const REFUNDED: &str = r#"cellgate_lease_refunded_units_total{limit="per-tenant"}"#;
const LOST: &str = r#"cellgate_lease_lost_units_total{cause="session"}"#;
const WITHDRAWN: &str = r#"cellgate_syncs_total{result="withdrawn"}"#;
const RELOADED: &str = r#"cellgate_config_reloads_total{result="ok"}"#;

fn config(limit: &str, version: &str) -> Value {
    let mut config = sample_config();
    config["rate_limits"] = per_tenant(limit);
    config["sync"] = json!({"cluster": CLUSTER});
    config["version"] = json!(version);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_survive_a_change_beside_the_limits_and_another_limit_ends_them() {
    let stack = Stack::start(leased(HUNDRED)).await;
    hold_units(&stack, "acme", 10).await;
    stack.apply(&config(HUNDRED, "two")).await.unwrap();
    wait_for_metric(&stack, RELOADED, 1.0).await;
    assert!(!is_seen_by_service(&stack, "acme").await, "the filter has no units any more");
    assert_eq!(metric(&stack, "cellgate_lease_sessions").await, 1);

    stack.apply(&config("1/h;burst=90", "three")).await.unwrap();
    wait_for_metric(&stack, RELOADED, 2.0).await;
    wait::until("the units of the earlier limit to be given up", || async {
        Ok((metric(&stack, OUTSTANDING).await == 0).then_some(()))
    })
    .await
    .unwrap();
    let refunded = metric(&stack, REFUNDED).await;
    assert!(refunded > 0 && metric(&stack, LOST).await == 0, "{refunded} units came back");
    // Under the new limit, too, units are leased.
    hold_units(&stack, "acme", 5).await;
}

/// Its calls succeed, so nothing else tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_other_limits_leases_nothing_and_doctor_says_so() {
    let stack = Stack::start(leased(HUNDRED)).await;
    stack.ext_proc().write_config(&config("1/h;burst=90", "two").to_string()).unwrap();
    wait_for_metric(&stack, RELOADED, 1.0).await;
    let mut requests = 0;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    while filter(&stack, "syncs_withdrawn").await < 2 {
        assert_eq!(stack.send(&get("acme")).await.status, 200);
        requests += 1;
        assert!(requests < 90, "no answer has withdrawn the leases");
        ticks.tick().await;
    }
    assert_eq!(decided_by_service(&stack).await, requests);
    assert_eq!((filter(&stack, "leases.spent").await, filter(&stack, "sync_failures").await), (0, 0));
    assert!(metric(&stack, WITHDRAWN).await >= 2);
    let (_, findings) = doctor(&stack).await;
    assert_finding(&findings, "warning", "took the units back: the service has other rate limits than the filter");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_cluster_that_does_not_exist_the_service_decides_every_request() {
    let stack = Stack::start(leased(HUNDRED).configure(|config| config["sync"] = json!({"cluster": "nowhere"}))).await;
    let mut requests = 0;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    while filter(&stack, "sync_failures").await < 3 {
        assert_eq!(stack.send(&get("acme")).await.status, 200);
        requests += 1;
        assert!(requests < 100, "no call has failed");
        ticks.tick().await;
    }
    assert_eq!(decided_by_service(&stack).await, requests);
    assert_eq!(filter(&stack, "leases.spent").await, 0);
    let log = stack.envoy().process().log();
    let warnings = log.matches("Sync failed: cluster nowhere: not reachable").count();
    assert_eq!(warnings, 1, "{log}");
}
