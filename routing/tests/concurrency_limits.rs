//! The charges of concurrency limits: which of them count a request, by which values, beside rate limits.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use cellgate_limiting::{Enforcement, KeyHasher, LimitKey};
use cellgate_routing::{Decider, Decision, DueLimits, HeadResult, NotCounted, Reason, Tier};
use serde_json::{Value, json};

const HASHER: KeyHasher = KeyHasher::new([9; 16]);

type Fields = Vec<(String, String)>;

/// A request of the tenant `acme`, for the cell `a`.
fn request(method: &str, path: &str) -> Fields {
    let fields = [(":method", method), (":path", path), ("x-tenant", "acme"), ("content-type", "application/json")];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn decider(limits: &Value) -> Decider {
    let config = json!({
        "routing_header": "x-cell",
        "cells": ["a", "b"],
        "key": [{"header": "x-tenant"}],
        "placement": {"exact": {"acme": "a"}, "default": "b"},
        "policy": {"key_missing": "pass"},
        "rate_limits": [
            {"name": "rate", "key": ["routing_key"], "limit": "1/s", "applies_to": {"paths": ["/rate"]}, "lease": true},
        ],
        "sync": {"cluster": "service"},
        "concurrency_limits": limits,
    });
    Decider::new(cellgate_config::from_json(&config.to_string(), "test").unwrap(), Tier::Service)
}

/// The limits of a request with its body, its decision and its routing key.
fn due(decider: &Decider, head: &[(String, String)], body: Option<&str>) -> (DueLimits, Decision, Option<String>) {
    let mut due = decider.due_limits(head, body.is_none());
    let HeadResult::Decided(decision) = decider.open(head, body.is_none()) else { panic!("the header decides") };
    if let Some(body) = body {
        match decider.open_for_limits(head, &due) {
            Some(mut reading) => {
                reading.push(body.as_bytes()).unwrap();
                let _ = reading.finish();
                due.read_body(reading.scanned(), true);
            }
            None => due.read_no_body(),
        }
    }
    (due, decision, decider.head_key(head))
}

/// The places of the limits that count a request, and their keys.
fn counted(limits: &Value, head: &[(String, String)], body: Option<&str>) -> Vec<(u16, LimitKey)> {
    let decider = decider(limits);
    let (due, decision, key) = due(&decider, head, body);
    let charges = due.concurrency_charges(&decider, decision, key.as_deref(), &HASHER);
    let rates = due.charges(&decider, decision, key.as_deref(), &HASHER);
    // The filter hands over what any limit counts.
    assert_eq!(due.count(&decider, decision, key.as_deref()), !(charges.is_empty() && rates.is_empty()));
    // What is explained is what is counted.
    let findings = decider.explain_concurrency(head, body.is_none(), &due, decision, key.as_deref());
    let explained: Vec<_> = findings
        .iter()
        .filter_map(|finding| finding.values.as_ref().ok().map(|values| (&finding.rule.name, values)))
        .map(|(name, values)| {
            let tagged = values.iter().flat_map(|value| match value {
                Some(text) => [&b"="[..], text.as_bytes()],
                None => [&b"!"[..], b""],
            });
            HASHER.key(name, tagged)
        })
        .collect();
    assert_eq!(explained, charges.iter().map(|charge| charge.key).collect::<Vec<_>>());
    charges.iter().map(|charge| (charge.id.0, charge.key)).collect()
}

fn key(name: &'static str, values: &[&str]) -> LimitKey {
    HASHER.key(name, values.iter().flat_map(|value| [&b"="[..], value.as_bytes()]))
}

#[test]
fn a_request_counts_under_each_limit_that_it_falls_under() {
    let limits = json!([
        {"name": "tenant", "key": ["routing_key"], "at_most": 2},
        {"name": "post", "key": ["method"], "at_most": 3, "applies_to": {"methods": ["POST"]}},
        {"name": "cell", "key": ["cell"], "at_most": 4, "applies_to": {"cells": ["a"]}, "shadow": true},
        {"name": "other", "key": [], "at_most": 5, "applies_to": {"cells": ["b"]}},
    ]);
    let tenant = (0, key("tenant", &["acme"]));
    let cell = (2, key("cell", &["a"]));
    for path in ["/", "/rate"] {
        assert_eq!(counted(&limits, &request("GET", path), None), [tenant, cell], "{path}");
        assert_eq!(counted(&limits, &request("POST", path), None), [tenant, (1, key("post", &["POST"])), cell]);
    }
    let decider = decider(&limits);
    let (due, decision, routing_key) = due(&decider, &request("GET", "/"), None);
    let charges = due.concurrency_charges(&decider, decision, routing_key.as_deref(), &HASHER);
    let settings: Vec<_> = charges.iter().map(|charge| (charge.at_most, charge.enforcement)).collect();
    assert_eq!(settings, [(2, Enforcement::Enforce), (4, Enforcement::Shadow)]);
    assert!(due.charges(&decider, decision, routing_key.as_deref(), &HASHER).is_empty());
    assert!(due.response_needs(&decider).end);
}

#[test]
fn values_of_the_body_count() {
    let limits = json!([{"name": "user", "key": [{"json": "/user"}], "at_most": 1}]);
    let post = request("POST", "/");
    assert!(decider(&limits).due_limits(post.as_slice(), false).needs_body());
    assert_eq!(counted(&limits, &post, Some(r#"{"user":"u"}"#)), [(0, key("user", &["u"]))]);
    assert_eq!(counted(&limits, &post, Some("{}")), []);
}

#[test]
fn requests_that_go_nowhere_do_not_count() {
    let limits = json!([{"name": "all", "key": [], "at_most": 1}]);
    let decider = decider(&limits);
    let head = request("GET", "/");
    let (due, _, key) = due(&decider, &head, None);
    let refused = decider.answer(Reason::BodyMalformed);
    assert!(due.concurrency_charges(&decider, refused, key.as_deref(), &HASHER).is_empty());
    let findings = decider.explain_concurrency(head.as_slice(), true, &due, refused, key.as_deref());
    assert_eq!(findings[0].values, Err(NotCounted::Decision));
}

#[test]
fn a_rate_limit_alone_counts_nothing_in_flight() {
    let decider = decider(&json!([{"name": "all", "key": [], "at_most": 1, "applies_to": {"paths": ["/slow"]}}]));
    let (due, decision, key) = due(&decider, &request("GET", "/rate"), None);
    assert!(due.response_needs(&decider).is_none());
    assert!(due.concurrency_charges(&decider, decision, key.as_deref(), &HASHER).is_empty());
    assert_eq!(due.charges(&decider, decision, key.as_deref(), &HASHER).len(), 1);
}

/// A filter with units of the rate limit would let the request pass uncounted.
#[test]
fn a_request_in_flight_is_not_admitted_with_leased_units() {
    let decider = decider(&json!([{"name": "slow", "key": [], "at_most": 1, "applies_to": {"methods": ["POST"]}}]));
    for (method, is_leased) in [("GET", true), ("POST", false)] {
        let (due, decision, key) = due(&decider, &request(method, "/rate"), None);
        let charges = due.leased_charges(&decider, decision, key.as_deref(), &HASHER);
        assert_eq!(charges.is_some(), is_leased, "{method}");
    }
}
