//! Changes to the Envoy bootstrap of the test harness.

use serde_json::{Map, Value};

/// The HTTP connection manager in the harness's bootstrap; `None` if the bootstrap has another structure.
pub(crate) fn connection_manager(bootstrap: &mut Value) -> Option<&mut Map<String, Value>> {
    const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    bootstrap.pointer_mut(MANAGER)?.as_object_mut()
}

/// Inserts an HTTP filter before all others.
pub(crate) fn insert_filter(bootstrap: &mut Value, filter: Value) {
    let filters = connection_manager(bootstrap).and_then(|manager| manager.get_mut("http_filters")?.as_array_mut());
    if let Some(filters) = filters {
        filters.insert(0, filter);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_is_inserted_first() {
        let bootstrap = |filters: Value| {
            let chain = json!({"filters": [{"typed_config": {"http_filters": filters}}]});
            json!({"static_resources": {"listeners": [{"filter_chains": [chain]}]}})
        };
        let mut changed = bootstrap(json!(["router"]));
        insert_filter(&mut changed, json!("lua"));
        assert_eq!(changed, bootstrap(json!(["lua", "router"])));
    }
}
