//! Decisions by claims.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/metadata.rs"]
mod metadata;

use std::cell::Cell;

use cellgate_routing::claims::JWT_AUTHN;
use cellgate_routing::{Decider, Head, HeadResult, Tier};
use metadata::metadata;
use serde_json::{Value, json};

/// A head that counts how often its metadata is asked for.
struct CountedHead {
    fields: Vec<(&'static str, &'static str)>,
    metadata: Vec<u8>,
    asked: Cell<usize>,
}

impl Head for CountedHead {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.values(name)
    }

    fn metadata(&self) -> &[u8] {
        self.asked.set(self.asked.get() + 1);
        &self.metadata
    }
}

/// The label of the decision's reason, and how often the metadata was asked for.
fn decide(sources: &str, fields: &[(&'static str, &'static str)], payload: &Value) -> (String, usize) {
    let config = format!(
        r#"{{"routing_header":"x-cell","cells":["a"],"key":{sources},"placement":{{"exact":{{"acme":"a","7":"a"}}}}}}"#
    );
    let config = cellgate_config::from_json(&config, "test").unwrap();
    let metadata = metadata(JWT_AUTHN, "payload", payload);
    let head = CountedHead { fields: fields.to_vec(), metadata, asked: Cell::new(0) };
    match Decider::new(config, Tier::Filter).open(&head, true) {
        HeadResult::Decided(decision) => (decision.reason.to_string(), head.asked.get()),
        HeadResult::NeedsBody(_) => panic!("the request has no body"),
    }
}

#[test]
fn metadata_is_asked_for_only_when_the_search_reaches_a_claim() {
    let payload = json!({"org": "acme"});
    let header = [("x-tenant", "acme")];
    assert_eq!(decide(r#"[{"claim":"/org"}]"#, &[], &payload), ("exact".to_owned(), 1));
    assert_eq!(decide(r#"[{"header":"x-tenant"}]"#, &header, &payload), ("exact".to_owned(), 0));
    assert_eq!(decide(r#"[{"header":"x-tenant"},{"claim":"/org"}]"#, &header, &payload), ("exact".to_owned(), 0));
    assert_eq!(decide(r#"[{"header":"x-tenant"},{"claim":"/org"}]"#, &[], &payload), ("exact".to_owned(), 1));
    assert_eq!(decide(r#"[{"claim":"/no"},{"claim":"/org"}]"#, &[], &payload), ("exact".to_owned(), 2));
    assert_eq!(decide(r#"[{"claim":"/no"}]"#, &[], &payload), ("key_missing".to_owned(), 1));
}

#[test]
fn a_claim_that_is_no_key_does_not_make_way_for_the_next_source() {
    let header = [("x-tenant", "acme")];
    let sources = r#"[{"claim":"/org"},{"header":"x-tenant"}]"#;
    assert_eq!(decide(sources, &header, &json!({"org": true})), ("key_boolean".to_owned(), 1));
    assert_eq!(decide(sources, &header, &json!({"sub": "x"})), ("exact".to_owned(), 1));
}

/// The rule of a source applies to a claim as to any other value.
#[test]
fn a_part_of_a_claim_is_the_key() {
    let sources = r#"[{"claim":"/mail","value":"m-{key}","case":"lower"}]"#;
    assert_eq!(decide(sources, &[], &json!({"mail": "m-ACME"})), ("exact".to_owned(), 1));
    assert_eq!(decide(sources, &[], &json!({"mail": "ACME"})), ("key_missing".to_owned(), 1));
    let nested = r#"[{"claim":"/org","then":{"json":"/id"}}]"#;
    assert_eq!(decide(nested, &[], &json!({"org": r#"{"id":7}"#})), ("exact".to_owned(), 1));
}
