//! The chain of `examples/envoy/two-tier.yaml` with a test's addresses, filter discovery and access log.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::FILTER;
use super::access_log;
use super::bootstrap::{BootstrapPlan, STAT_PREFIX, loopback, typed};
use super::discovery::FilterDiscovery;
use super::ext_proc_chain::CLUSTER;

const EXAMPLE: &str = include_str!("../../../examples/envoy/two-tier.yaml");

/// The origin whose pages the example allows.
const ORIGIN: &str = "https://app.example.com";

/// The service's cluster in the example.
const SERVICE: &str = "cellgate";

/// The bootstrap. Only settings of the machine and of the test differ from the example.
pub(super) fn bootstrap(plan: &BootstrapPlan<'_>) -> Result<Value> {
    let mut bootstrap: Value = serde_saphyr::from_str(EXAMPLE).context("the example is not YAML")?;
    bootstrap["node"] = json!({"id": "test", "cluster": "test"});
    bootstrap["admin"]["address"] = loopback(0);
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    listener["address"] = loopback(0);
    if let Some(limit) = plan.options.buffer_limit {
        listener["per_connection_buffer_limit_bytes"] = json!(limit);
    }
    connection_manager(&mut listener["filter_chains"][0]["filters"][0]["typed_config"], plan)?;
    for cluster in bootstrap["static_resources"]["clusters"].as_array_mut().context("no clusters")? {
        address(cluster, plan)?;
    }
    if let Some(origin) = &plan.options.origin {
        replace(&mut bootstrap, ORIGIN, origin);
    }
    Ok(bootstrap)
}

fn connection_manager(manager: &mut Value, plan: &BootstrapPlan<'_>) -> Result<()> {
    let file = |path: &Path, format: &Value| {
        let log = json!({"path": path, "log_format": format});
        json!({"name": "file", "typed_config": typed("envoy.extensions.access_loggers.file.v3.FileAccessLog", log)})
    };
    // The example's own format, to a file instead of stdout.
    let example = manager["access_log"][0]["typed_config"]["log_format"].take();
    let own = file(&plan.access_log.with_file_name(super::EXAMPLE_LOG), &example);
    let of_tests = file(plan.access_log, &json!({"json_format": access_log::format("x-cell")}));
    manager["stat_prefix"] = json!(STAT_PREFIX);
    manager["access_log"] = json!([of_tests, own]);
    let filters = manager["http_filters"].as_array_mut().context("no HTTP filters")?;
    let filter = filters.iter_mut().find(|filter| filter["name"] == FILTER).context("no filter")?;
    *filter = plan.discovery.map(FilterDiscovery::http_filter).context("the example needs a chain with a filter")?;
    Ok(())
}

/// Sets the address of an example's cluster in this test. A cluster without endpoints is not changed.
fn address(cluster: &mut Value, plan: &BootstrapPlan<'_>) -> Result<()> {
    let name = cluster["name"].as_str().context("a cluster without a name")?.to_owned();
    let address = if name == SERVICE {
        // The name in the statistics of the other chains.
        cluster["alt_stat_name"] = json!(CLUSTER);
        Some(plan.ext_proc.context("the example needs a chain with a service")?)
    } else {
        plan.cells.iter().find(|cell| cell.name() == name).map(crate::cell::Cell::address)
    };
    if let Some(address) = address {
        let endpoint = json!({"endpoint": {"address": loopback(address.port())}});
        cluster["load_assignment"]["endpoints"] = json!([{"lb_endpoints": [endpoint]}]);
    }
    Ok(())
}

/// Replaces each string that equals `from`.
fn replace(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, from, to)),
        _ => (),
    }
}
