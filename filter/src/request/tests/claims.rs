//! Claims: the metadata that jwt_authn leaves in Envoy.

use proxy_wasm::types::Action;

use super::{assert_delivered, assert_refused};
use crate::fake::{CONFIG, Exchange};

/// A field of bytes of a protobuf message. All lengths here take one byte.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, key.as_bytes()), field(2, value)].concat())
}

/// Envoy's metadata for a verified payload `{"org": TENANT}`.
fn verified(tenant: &str) -> Vec<u8> {
    let payload = field(5, &entry("org", &field(3, tenant.as_bytes())));
    entry("envoy.filters.http.jwt_authn", &entry("payload", &payload))
}

/// A request without a body, under the tests' configuration with these sources.
fn send(sources: &str, metadata: Vec<u8>, fields: &[(&str, &str)]) -> (Exchange, Action) {
    let key = r#""key": [{ "json": "/tenant" }, { "form": "tenant" }, { "header": "x-tenant" }]"#;
    let config = CONFIG.replace(key, &format!(r#""key": {sources}"#));
    assert_ne!(config, CONFIG);
    let mut exchange = Exchange::with(&config, fields);
    exchange.host.world().metadata = metadata;
    let action = exchange.headers(true);
    (exchange, action)
}

#[test]
fn a_verified_claim_decides() {
    let (exchange, action) = send(r#"[{"claim": "/org"}]"#, verified("globex"), &[]);
    assert_eq!(action, Action::Continue);
    assert_delivered(&exchange, "cell-b", b"");
}

#[test]
fn without_metadata_there_is_no_claim() {
    let (exchange, action) = send(r#"[{"claim": "/org"}]"#, Vec::new(), &[("x-org", "globex")]);
    assert_eq!(action, Action::Pause);
    assert_refused(&exchange, 400, "key_missing");
}

/// Each hostcall costs time, and the metadata may be large.
#[test]
fn the_metadata_is_copied_once_and_only_if_a_claim_is_reached() {
    let header = &[("x-tenant", "acme")];
    let calls = |sources, fields: &[(&str, &str)]| {
        let (exchange, action) = send(sources, verified("acme"), fields);
        assert_eq!(action, Action::Continue);
        assert_delivered(&exchange, "cell-a", b"");
        let calls = exchange.host.world().calls;
        calls
    };
    let without = calls(r#"[{"header": "x-tenant"}]"#, header);
    assert_eq!(calls(r#"[{"header": "x-tenant"}, {"claim": "/org"}]"#, header), without);
    assert_eq!(calls(r#"[{"claim": "/org"}]"#, &[]), without + 1);
    assert_eq!(calls(r#"[{"claim": "/a"}, {"claim": "/b"}, {"claim": "/org"}]"#, &[]), without + 1);
}
