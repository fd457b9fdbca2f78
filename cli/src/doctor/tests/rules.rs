//! DestinationRules of other teams for the cells' services. The expected findings are in `tests/fixtures/doctor/`.

use serde_json::{Value, json};

use super::{Finding, istiod, snapshot};

const CELLS: [&str; 2] = ["cell-a", "cell-b"];

/// The clusters of cell-a and cell-b with the chart's rules, changed.
fn clusters(change: impl Fn(&str, &mut Value)) -> Vec<Finding> {
    istiod(|dump| {
        let clusters = dump.pointer_mut("/configs/0/dynamicActiveClusters").unwrap().as_array_mut().unwrap();
        for cell in CELLS {
            let name = format!("outbound|8080||api.{cell}.svc.cluster.local");
            let cluster = clusters.iter_mut().find(|entry| entry["cluster"]["name"] == name.as_str()).unwrap();
            by_rule(cell, &format!("edge-{cell}"), &mut cluster["cluster"]);
            change(cell, &mut cluster["cluster"]);
        }
    })
}

fn by_rule(cell: &str, name: &str, cluster: &mut Value) {
    let config = format!("/apis/networking.istio.io/v1/namespaces/{cell}/destination-rule/{name}");
    cluster["metadata"] = json!({"filterMetadata": {"istio": {"config": config, "services": []}}});
}

/// The cluster of a rule with a load balancer only.
fn bare(cluster: &mut Value) {
    let unlimited = u32::MAX;
    cluster["outlierDetection"] = Value::Null;
    cluster["circuitBreakers"] = json!({"thresholds": [{
        "maxConnections": unlimited, "maxPendingRequests": unlimited, "maxRequests": unlimited, "maxRetries": unlimited,
    }]});
}

#[track_caller]
fn expect(name: &str, change: impl Fn(&str, &mut Value)) {
    snapshot(name, &clusters(|_, _| {}), &clusters(change));
}

#[test]
fn an_older_rule_is_named() {
    expect("other-rule", |cell, cluster| {
        if cell == "cell-b" {
            by_rule(cell, "legacy", cluster);
            bare(cluster);
        }
    });
}

#[test]
fn an_older_rule_with_limits_is_named() {
    expect("other-rule-with-limits", |cell, cluster| {
        if cell == "cell-b" {
            by_rule(cell, "legacy", cluster);
        }
    });
}

/// The name of the release is unknown.
#[test]
fn rules_of_others_for_all_cells_are_named() {
    expect("other-rules-everywhere", |cell, cluster| {
        by_rule(cell, "legacy", cluster);
        bare(cluster);
    });
}

#[test]
fn a_cell_without_the_rule_that_others_have_is_found() {
    expect("no-rule", |cell, cluster| {
        if cell == "cell-a" {
            cluster["metadata"] = Value::Null;
            cluster["outlierDetection"] = Value::Null;
            cluster["circuitBreakers"] = Value::Null;
        }
    });
}

#[test]
fn incomplete_rules_of_the_cells_are_named() {
    expect("own-rules", |_, cluster| bare(cluster));
}
