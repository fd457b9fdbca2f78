//! Both tiers' metrics in a real Prometheus.

use cellgate_tests::options::Options;
use cellgate_tests::prometheus::{Prometheus, Target};
use cellgate_tests::stack::Stack;

use crate::support::{LIMIT, decided, deferred};

#[tokio::test]
async fn prometheus_reads_the_metrics_of_both_tiers() {
    let stack = Stack::start(Options::default().example().buffer_limit(LIMIT)).await;
    stack.send(&decided("/filter", "acme")).await;
    stack.send(&deferred("/service", "acme")).await;
    let service = Target { job: "cellgate", address: stack.ext_proc().addresses().admin, path: "/metrics" };
    let envoy = Target { job: "envoy", address: stack.admin().address(), path: "/stats/prometheus" };
    let prometheus = Prometheus::start(&[service, envoy], &[]).await.unwrap();
    for expression in [
        r#"cellgate_decisions_total{tier="service", outcome="cell", reason="exact"} == 1"#,
        r#"cellgate_decisions{outcome="cell", reason="exact"} == 1"#,
        r#"cellgate_decisions{outcome="defer", reason="body_too_large"} == 1"#,
        r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="cell-b"} == 2"#,
    ] {
        prometheus.query_that(expression, |series| series.len() == 1).await.unwrap();
    }
}
