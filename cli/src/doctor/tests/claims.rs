//! Chains whose configuration reads claims. The expected findings are in `tests/fixtures/doctor/`.

use serde_json::{Value, json};

use super::{Dump, ENVOY, Finding, MANAGER, MATCHERS, PROCESSOR, examine, snapshot};

/// The findings about Envoy's dump with a claim as the first source after a change of the filters.
fn reading(change: impl FnOnce(&mut Vec<Value>)) -> Vec<Finding> {
    let mut dump: Value = serde_json::from_str(ENVOY).unwrap();
    let filters = dump.pointer_mut(&format!("{MANAGER}/http_filters")).unwrap().as_array_mut().unwrap();
    let config = filters[0].pointer_mut("/typed_config/config/configuration/value").unwrap();
    let text = config.as_str().unwrap();
    assert!(text.contains("\"key\":["), "{text}");
    *config = json!(text.replacen("\"key\":[", "\"key\":[{\"claim\":\"/org/id\"},", 1));
    change(filters);
    examine(&Dump::read(&dump).unwrap(), None)
}

/// Lets Envoy forward the claims to every processor of the service.
fn forward(filters: &mut [Value]) {
    let service = filters.iter_mut().find(|filter| filter["name"] == "cellgate-ext-proc").unwrap();
    let matchers = MATCHERS.strip_prefix("/http_filters/1").unwrap();
    for matcher in service.pointer_mut(matchers).unwrap().as_array_mut().unwrap() {
        let namespaces = json!({"untyped": ["envoy.filters.http.jwt_authn"]});
        matcher.pointer_mut(PROCESSOR).unwrap()["metadata_options"]["forwarding_namespaces"] = namespaces;
    }
}

fn authentication(metadata_key: &str) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"origins-0": {"issuer": "https://issuer.example", "payload_in_metadata": metadata_key}},
        },
    })
}

#[track_caller]
fn expect(name: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let before = examine(&Dump::read(&serde_json::from_str(ENVOY).unwrap()).unwrap(), None);
    snapshot(name, &before, &reading(change));
}

#[test]
fn the_filter_must_be_behind_authentication() {
    expect("claims-verified", |filters| {
        forward(filters);
        filters.insert(0, authentication("payload"));
        filters.insert(1, json!({"name": "envoy.filters.http.rbac"}));
    });
    expect("claims-in-front", |filters| {
        forward(filters);
        filters.insert(1, authentication("payload"));
    });
    expect("claims-without-authentication", |filters| forward(filters));
}

#[test]
fn the_payload_must_be_where_the_filter_looks() {
    expect("claims-elsewhere", |filters| {
        forward(filters);
        let mut providers = authentication("https://issuer.example");
        providers["typed_config"]["providers"]["silent"] = json!({"issuer": "https://other.example"});
        filters.insert(0, providers);
    });
}

#[test]
fn the_service_must_receive_the_claims() {
    expect("claims-not-forwarded", |filters| filters.insert(0, authentication("payload")));
}
