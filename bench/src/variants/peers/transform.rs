//! Envoy's transform filter (since 1.40). It sets a header to a value from the body, and Envoy selects the route again.
//!
//! Its parser rejects a second key, a repeated name anywhere, a syntax error, and nesting deeper than 100. Its faults:
//! - When it rejects a body, it forwards the request unchanged. The same happens to a body without a key and to one
//!   whose type is not `application/json`. **The client's own header stays**, so the client chooses its cell. A
//!   mutation that removes the header first only works if the body is an object that parses.
//! - It holds the whole body and builds a tree of it, wherever the key is.
//! - Each tenant needs its own route; here there are three.

use serde_json::{Value, json};

use crate::bootstrap::{connection_manager, insert_filter};
use crate::cases::{Case, TENANTS};

/// Inserts the filter before all others, and replaces the routes for each cell with one for each tenant.
pub(crate) fn install(bootstrap: &mut Value) {
    let tenant = json!({
        "header": {"key": "x-cell", "value": "%REQUEST_BODY(tenant:id)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    });
    let config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.transform.v3.TransformConfig",
        "request_transformation": {"headers_mutations": [{"append": tenant}]},
        "clear_route_cache": true,
    });
    insert_filter(bootstrap, json!({"name": "envoy.filters.http.transform", "typed_config": config}));
    let manager = connection_manager(bootstrap);
    let routes = manager.and_then(|manager| manager.get_mut("route_config")?.pointer_mut("/virtual_hosts/0/routes"));
    if let Some(Value::Array(routes)) = routes {
        // The last route rejects every other request and stays.
        routes.splice(..routes.len().saturating_sub(1), TENANTS.iter().map(|(tenant, cell)| route(tenant, cell)));
    }
}

/// Envoy counts the requests whose headers the filter has changed.
pub(crate) fn proof(_: &Case, requests: u64) -> Option<(&'static str, u64)> {
    Some(("http.in..http_transform.rq_transformed", requests))
}

fn route(tenant: &str, cell: &str) -> Value {
    json!({
        "match": {"prefix": "/", "headers": [{"name": "x-cell", "string_match": {"exact": tenant}}]},
        "route": {"cluster": cell, "timeout": "60s"},
    })
}

#[cfg(test)]
mod tests {
    use cellgate_tests::client::{Request, Response};
    use cellgate_tests::options::{Chain, Options};
    use cellgate_tests::stack::Stack;

    use super::*;
    use crate::cases::BUFFER_LIMIT;

    /// A tenant that no body has. Its cell is `cell-c`.
    const CLAIMED: &str = "globex";

    async fn stack(install: fn(&mut Value)) -> Stack {
        Stack::start(Options::default().chain(Chain::Plain).buffer_limit(BUFFER_LIMIT).adjust(install)).await
    }

    /// Sends a body with the header of another tenant.
    async fn claiming(stack: &Stack, content_type: &str, body: &str) -> Response {
        let request = Request::post("/").header("x-cell", CLAIMED).header("content-type", content_type);
        stack.send(&request.body(body.to_owned())).await
    }

    const JSON: &str = "application/json";

    #[tokio::test]
    async fn the_body_takes_precedence_over_the_clients_header() {
        let stack = stack(install).await;
        for body in [r#"{"tenant":{"id":"acme"}}"#, r#"{"x":[1],"tenant":{"i\u0064":"a\u0063me"}}"#] {
            let answer = claiming(&stack, JSON, body).await;
            assert_eq!((answer.cell(), answer.received("x-cell")), ("cell-b", vec!["acme".to_owned()]), "{body}");
        }
        assert_eq!(stack.admin().stat("http.in..http_transform.rq_transformed").await.unwrap(), 2);
        assert_eq!(claiming(&stack, JSON, r#"{"tenant":{"id":7}}"#).await.status, 421);
    }

    /// Requests whose body gives no tenant.
    fn undecided() -> Vec<(&'static str, &'static str, String)> {
        let deep = format!(r#"{{"a":{}{},"tenant":{{"id":"acme"}}}}"#, "[".repeat(120), "]".repeat(120));
        let named = r#"{"tenant":{"id":"acme"}}"#;
        let cases = [
            ("no JSON", JSON, "tenant=acme"),
            ("cut off", JSON, r#"{"tenant":{"id":"acme"}"#),
            ("no object", JSON, r#"[{"tenant":{"id":"acme"}}]"#),
            ("two keys", JSON, r#"{"tenant":{"id":"acme"},"tenant":{"id":"acme"}}"#),
            ("another name twice", JSON, r#"{"a":1,"a":2,"tenant":{"id":"acme"}}"#),
            ("another type", "application/vnd.api+json", named),
            ("no type", "", named),
            ("no body", JSON, ""),
        ];
        let owned = cases.map(|(what, content_type, body)| (what, content_type, body.to_owned()));
        owned.into_iter().chain([("too deep", JSON, deep)]).collect()
    }

    #[tokio::test]
    async fn without_a_tenant_in_the_body_the_client_chooses_the_cell() {
        let stack = stack(install).await;
        for (what, content_type, body) in undecided() {
            assert_eq!(claiming(&stack, content_type, &body).await.cell(), "cell-c", "{what}");
        }
        for body in [r#"{"a":1}"#, r#"{"tenant":{"id":null}}"#] {
            assert_eq!(claiming(&stack, JSON, body).await.cell(), "cell-c", "{body}");
        }
    }

    #[tokio::test]
    async fn removing_the_header_first_works_only_if_the_body_parses() {
        let stack = stack(|bootstrap| {
            install(bootstrap);
            let mutations = connection_manager(bootstrap)
                .and_then(|manager| manager.get_mut("http_filters")?.pointer_mut("/0/typed_config"))
                .and_then(|config| config.pointer_mut("/request_transformation/headers_mutations")?.as_array_mut());
            mutations.unwrap().insert(0, json!({"remove": "x-cell"}));
        })
        .await;
        assert_eq!(claiming(&stack, JSON, r#"{"tenant":{"id":"acme"}}"#).await.cell(), "cell-b");
        assert_eq!(claiming(&stack, JSON, r#"{"a":1}"#).await.status, 421);
        for (what, content_type, body) in undecided() {
            assert_eq!(claiming(&stack, content_type, &body).await.cell(), "cell-c", "{what}");
        }
    }

    #[tokio::test]
    async fn a_body_that_envoy_cannot_buffer_gets_413() {
        let stack = stack(install).await;
        let body = |size: usize| format!(r#"{{"a":"{}","tenant":{{"id":"acme"}}}}"#, "x".repeat(size));
        assert_eq!(claiming(&stack, JSON, &body(1_000_000)).await.cell(), "cell-b");
        assert_eq!(claiming(&stack, JSON, &body(BUFFER_LIMIT as usize)).await.status, 413);
    }
}
