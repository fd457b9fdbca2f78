//! Envoy's own json_to_metadata filter, and routes that go by the metadata: no code at all.
//!
//! It parses the document, so that escapes, nesting and the order of members are right, and what is no JSON is refused.
//! But it makes a tree of all of it, wherever the key stands; of a key that is written twice it takes the last, whatever
//! the cell behind it takes; it looks at `application/json` only, unless other types are listed; and each tenant needs a
//! route of its own, which Envoy tries in turn: three here, which cost nothing.

use serde_json::{Value, json};

use crate::bootstrap::{connection_manager, insert_filter};
use crate::cases::{Case, TENANTS};

/// Where the filter leaves the tenant, and the routes look for it.
const NAMESPACE: &str = "tenant-routing";
const KEY: &str = "tenant";

/// Puts the filter in front of all others, and a route for each tenant in the place of those that go by `x-cell`.
pub(crate) fn install(bootstrap: &mut Value) {
    let rule = json!({
        "selectors": [{"key": "tenant"}, {"key": "id"}],
        "on_present": {"metadata_namespace": NAMESPACE, "key": KEY},
    });
    let config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
        "request_rules": {"rules": [rule]},
    });
    insert_filter(bootstrap, json!({"name": "envoy.filters.http.json_to_metadata", "typed_config": config}));
    let manager = connection_manager(bootstrap);
    let routes = manager.and_then(|manager| manager.get_mut("route_config")?.pointer_mut("/virtual_hosts/0/routes"));
    if let Some(Value::Array(routes)) = routes {
        // The last one refuses what nothing else takes, and stays.
        routes.splice(..routes.len().saturating_sub(1), TENANTS.iter().map(|(tenant, cell)| route(tenant, cell)));
    }
}

/// Envoy counts the documents in which it found the tenant.
pub(crate) fn proof(_: &Case, requests: u64) -> Option<(&'static str, u64)> {
    Some(("json_to_metadata.rq.success", requests))
}

fn route(tenant: &str, cell: &str) -> Value {
    let is_tenant = json!({
        "filter": NAMESPACE,
        "path": [{"key": KEY}],
        "value": {"string_match": {"exact": tenant}},
    });
    json!({
        "match": {"prefix": "/", "dynamic_metadata": [is_tenant]},
        "route": {"cluster": cell, "timeout": "60s"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_asks_for_what_the_filter_leaves() {
        let route = route("acme", "cell-b");
        assert_eq!(route["route"]["cluster"], "cell-b");
        let wanted = &route["match"]["dynamic_metadata"][0];
        assert_eq!((&wanted["filter"], &wanted["path"][0]["key"]), (&json!(NAMESPACE), &json!(KEY)));
        assert_eq!(wanted["value"]["string_match"]["exact"], "acme");
    }

    #[test]
    fn no_route_goes_by_what_the_client_says() {
        let routes = json!([{"match": "x-cell: cell-a"}, {"match": "x-cell: cell-b"}, {"direct_response": 421}]);
        let manager = json!({"http_filters": ["router"], "route_config": {"virtual_hosts": [{"routes": routes}]}});
        let chain = json!({"filters": [{"typed_config": manager}]});
        let mut bootstrap = json!({"static_resources": {"listeners": [{"filter_chains": [chain]}]}});
        install(&mut bootstrap);
        let manager = connection_manager(&mut bootstrap).unwrap();
        assert_eq!(manager["http_filters"][1], "router");
        let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_array().unwrap();
        assert_eq!((routes.len(), &routes[TENANTS.len()]), (TENANTS.len() + 1, &json!({"direct_response": 421})));
        assert!(routes.iter().all(|route| !route.to_string().contains("x-cell")));
    }
}
