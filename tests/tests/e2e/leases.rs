//! Leases of rate limits through Envoy: the filter spends units that the service has charged for it in advance, so most
//! requests do not reach the service.

mod bodies;
mod bound;
mod expiry;
mod reconfiguration;
mod restart;
mod steady;
mod traffic;

use cellgate_tests::client::Request;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};

/// Envoy's cluster of the service.
const CLUSTER: &str = "ext-proc";

/// The series of the service.
const OUTSTANDING: &str = r#"cellgate_lease_outstanding_units{limit="per-tenant"}"#;
const OPEN: &str = r#"cellgate_syncs_total{result="open"}"#;

/// No allowance refills while a test runs.
const HUNDRED: &str = "1/h;burst=100";

/// A leased limit for each tenant.
fn per_tenant(limit: &str) -> Value {
    json!([{"name": "per-tenant", "key": ["routing_key"], "limit": limit, "lease": true}])
}

fn leased(limit: &str) -> Options {
    let limits = per_tenant(limit);
    Options::default().configure(|config| {
        config["rate_limits"] = limits;
        config["sync"] = json!({"cluster": CLUSTER});
    })
}

fn get(tenant: &str) -> Request {
    Request::get("/").header("x-tenant-id", tenant)
}

/// Makes the filter hold units, and returns how many the service has granted: it needs a demand, a report of it, and the
/// answer. Then sends a request that the service does not see.
async fn hold_units(stack: &Stack, tenant: &str, demand: usize) -> u64 {
    let before = metric(stack, OPEN).await;
    assert_eq!(stack.send(&get(tenant)).await.status, 200);
    wait::until("a report, whose answer brings the secret of the keys", || async {
        Ok((metric(stack, OPEN).await > before).then_some(()))
    })
    .await
    .unwrap();
    for _ in 0..demand {
        assert_eq!(stack.send(&get(tenant)).await.status, 200);
    }
    let granted = wait::until("a grant", || async {
        let granted = metric(stack, OUTSTANDING).await;
        Ok((granted > 0).then_some(granted))
    });
    let granted = granted.await.unwrap();
    wait::until("a request that is admitted by lease", || async {
        Ok((!is_seen_by_service(stack, tenant).await).then_some(()))
    })
    .await
    .unwrap();
    granted
}

/// Sends a request that is admitted, and tells whether the service has decided it.
async fn is_seen_by_service(stack: &Stack, tenant: &str) -> bool {
    let before = decided_by_service(stack).await;
    assert_eq!(stack.send(&get(tenant)).await.status, 200);
    decided_by_service(stack).await > before
}

/// A counter of the filter. It is at most a second old.
async fn filter(stack: &Stack, counter: &str) -> u64 {
    stack.admin().stat(&format!("wasmcustom.cellgate.{counter}")).await.unwrap()
}

/// The requests that the service has decided.
async fn decided_by_service(stack: &Stack) -> u64 {
    let text = stack.ext_proc().get("/metrics").await.unwrap().text();
    let decisions = text.lines().filter(|line| line.starts_with("cellgate_decisions_total{"));
    decisions.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// A metric of the service, which is a whole number.
async fn metric(stack: &Stack, series: &str) -> u64 {
    let value = stack.ext_proc().metric(series).await.unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let count = value as u64;
    count
}
