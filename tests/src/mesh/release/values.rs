//! The default chart values of a test.

use serde_json::{Map, Value, json};

use super::cells::{PORT, SERVICE};
use super::{GATEWAY, Setup};
use crate::artifacts;
use crate::mesh::gateway::labels;
use crate::options::sample_config;

/// One gateway, the cells of the setup, and the configuration of the end-to-end tests.
///
/// # Panics
/// When the filter has not been built.
pub(super) fn sample(setup: &Setup) -> Value {
    let module = artifacts::wasm().unwrap_or_else(|error| panic!("{error:#}"));
    let mut config = sample_config();
    // The chart generates the list from the cells.
    merge(&mut config, json!({"cells": null}));
    let cells: Map<String, Value> = setup.cells.iter().map(|cell| (cell.clone(), cell_values(setup, cell))).collect();
    let namespace = setup.gateway_namespace();
    json!({
        "image": {"repository": "cellgate.test/cellgate"},
        "config": config,
        "cells": cells,
        "routes": {"hosts": ["cellgate.test"], "gateways": [format!("{namespace}/{GATEWAY}")]},
        "filter": {
            "module": {"path": module},
            "attach": [{
                "name": "edge",
                "type": "gateway",
                "namespace": namespace,
                "selector": labels(&namespace, GATEWAY),
                "serviceAccount": GATEWAY,
            }],
        },
        "mtls": {"enabled": false},
    })
}

fn cell_values(setup: &Setup, cell: &str) -> Value {
    let namespace = setup.cell_namespace(cell);
    json!({
        "host": format!("{SERVICE}.{namespace}.svc.cluster.local"),
        "port": PORT,
        "namespace": namespace,
        "workload": {"app": SERVICE},
    })
}

/// Merges `over` into `base`: objects are merged, `null` removes, anything else replaces.
pub fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(&key);
                } else {
                    merge(base.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_merged_and_lists_replaced() {
        let mut values = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut values, json!({"a": {"c": [3], "e": {"f": 4}}, "d": null}));
        assert_eq!(values, json!({"a": {"b": 1, "c": [3], "e": {"f": 4}}}));
    }
}
