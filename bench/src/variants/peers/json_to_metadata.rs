//! Envoy's json_to_metadata filter with routes that match the metadata. It needs no code.
//!
//! It parses the document, so it handles escapes, nesting and any order of members, and rejects malformed JSON. Its
//! faults:
//! - It builds a tree of the whole document, wherever the key is.
//! - It takes the last of two keys, even if the cell takes the first.
//! - It inspects `application/json` only, unless other types are listed.
//! - Each tenant needs its own route. Envoy tries routes in turn; the three here cost almost nothing.

use serde_json::{Value, json};

use crate::bootstrap::{connection_manager, insert_filter};
use crate::cases::{Case, TENANTS};

/// The metadata namespace and key where the filter writes the tenant and the routes read it.
const NAMESPACE: &str = "tenant-routing";
const KEY: &str = "tenant";

/// Inserts the filter before all others, and replaces the routes for `x-cell` with one for each tenant.
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
        // The last route rejects every other request and stays.
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
    fn a_route_matches_the_metadata_of_the_filter() {
        let route = route("acme", "cell-b");
        assert_eq!(route["route"]["cluster"], "cell-b");
        let wanted = &route["match"]["dynamic_metadata"][0];
        assert_eq!((&wanted["filter"], &wanted["path"][0]["key"]), (&json!(NAMESPACE), &json!(KEY)));
        assert_eq!(wanted["value"]["string_match"]["exact"], "acme");
    }

    #[test]
    fn no_route_matches_a_header_of_the_client() {
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
