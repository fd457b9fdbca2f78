//! The charges of a request: which limits count it, by which values, and at which cost.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/metadata.rs"]
mod metadata;

use std::borrow::Cow;

use cellgate_limiting::{Enforcement, KeyHasher, LimitKey, StoreCharge, WhenStoreFails};
use cellgate_routing::claims::JWT_AUTHN;
use cellgate_routing::{Decider, Decision, DueLimits, Head, HeadResult, LimitFinding, NotCounted, Reason, Tier};
use metadata::metadata;
use serde_json::{Value, json};

const HASHER: KeyHasher = KeyHasher::new([9; 16]);

#[derive(Clone, Default)]
struct TestHead {
    fields: Vec<(String, String)>,
    metadata: Vec<u8>,
    peer: Option<&'static str>,
    address: Option<&'static str>,
}

impl Head for TestHead {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.values(name)
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn peer(&self) -> Option<Cow<'_, [u8]>> {
        self.peer.map(|peer| Cow::Borrowed(peer.as_bytes()))
    }

    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        self.address.map(|address| Cow::Borrowed(address.as_bytes()))
    }
}

/// A `GET /` of the tenant `acme` with more fields.
fn get(fields: &[(&str, &str)]) -> TestHead {
    let mut all = vec![(":method", "GET"), (":path", "/"), ("x-tenant", "acme")];
    all.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    all.extend_from_slice(fields);
    let fields = all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    TestHead { fields, ..TestHead::default() }
}

fn decider(limits: &Value) -> Decider {
    decider_of(&json!([{"json": "/t"}, {"header": "x-tenant"}]), limits)
}

fn decider_of(sources: &Value, limits: &Value) -> Decider {
    let config = json!({
        "routing_header": "x-cell",
        "cells": ["a", "b"],
        "key": sources,
        "placement": {"exact": {"acme": "a"}, "default": "b"},
        "policy": {"key_missing": "pass", "body_absent": "pass", "path_excluded": "pass"},
        "applies_to": {"methods": ["GET", "POST"], "paths": ["/"], "except": {"paths": ["/health"]}},
        "rate_limits": limits,
    });
    Decider::new(cellgate_config::from_json(&config.to_string(), "test").unwrap(), Tier::Service)
}

/// The charges of a request, with its body if it has one.
fn charges_with(limits: &Value, head: &TestHead, body: Option<&str>) -> Vec<StoreCharge> {
    charges_of(&decider(limits), head, body)
}

fn charges_of(decider: &Decider, head: &TestHead, body: Option<&str>) -> Vec<StoreCharge> {
    let mut due = decider.due_limits(head, body.is_none());
    let (decision, key) = decide(decider, head, body, &mut due);
    let charges = due.charges(decider, decision, key.as_deref(), &HASHER);
    assert_eq!(due.count(decider, decision, key.as_deref()), !charges.is_empty());
    // What is explained is what is charged.
    let findings = decider.explain_limits(head, body.is_none(), &due, decision, key.as_deref());
    let counted = findings.iter().filter_map(|finding| Some((finding.rule, finding.allowance.as_ref().ok()?)));
    let explained = counted.map(|(rule, allowance)| {
        let values = allowance.values.iter().map(Option::as_deref);
        (rule.key_of(values, &HASHER), allowance.limit, allowance.cost)
    });
    let charged = charges.iter().map(|StoreCharge { charge, .. }| (charge.key, charge.limit, charge.cost));
    assert_eq!(explained.collect::<Vec<_>>(), charged.collect::<Vec<_>>());
    charges
}

/// What each limit does with a request: where the limit is from, or why it does not count the request.
fn explained(limits: &Value, head: &TestHead, body: Option<&str>) -> Vec<Result<String, NotCounted>> {
    let decider = decider(limits);
    let mut due = decider.due_limits(head, body.is_none());
    let (decision, key) = decide(&decider, head, body, &mut due);
    let findings = decider.explain_limits(head, body.is_none(), &due, decision, key.as_deref());
    let texts = findings.into_iter().map(|LimitFinding { allowance, .. }| {
        allowance.map(|found| format!("{:?} {} {:?}", found.values, found.limit, found.origin))
    });
    texts.collect()
}

fn decide(decider: &Decider, head: &TestHead, body: Option<&str>, due: &mut DueLimits) -> (Decision, Option<String>) {
    match decider.open(head, body.is_none()) {
        HeadResult::Decided(decision) => {
            match decider.open_for_limits(head, due).filter(|_| due.needs_body()) {
                Some(mut reading) => {
                    reading.push(body.unwrap().as_bytes()).unwrap();
                    reading.finish();
                    due.read_body(reading.scanned(), true);
                }
                None => due.read_no_body(),
            }
            (decision, decider.head_key(head))
        }
        HeadResult::NeedsBody(mut reading) => {
            reading.push(body.unwrap().as_bytes()).unwrap();
            let decision = reading.finish();
            due.read_body(reading.scanned(), true);
            (decision, reading.key().map(str::to_owned))
        }
    }
}

fn charges(limits: &Value, head: &TestHead) -> Vec<StoreCharge> {
    charges_with(limits, head, None)
}

/// The limit key of the only charge, and `None` if the limit does not count the request.
fn key_of(limits: &Value, head: &TestHead) -> Option<LimitKey> {
    let charges = charges(limits, head);
    assert!(charges.len() <= 1);
    charges.first().map(|charge| charge.charge.key)
}

/// `100/60000000;burst=20` of the only charge.
fn limit_of(limits: &Value, head: &TestHead) -> Option<String> {
    let limit = charges(limits, head).first()?.charge.limit;
    Some(format!("{}/{};burst={}", limit.rate().count(), limit.rate().period() / 1_000_000, limit.burst()))
}

fn one(fields: &Value) -> Value {
    let mut limit = json!({"name": "one", "key": ["routing_key"], "limit": "10/s"});
    limit.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!([limit])
}

#[test]
fn each_part_of_a_key_has_its_value() {
    let with = |part: &Value, head: &TestHead| key_of(&one(&json!({"key": [part]})), head);
    let expected = |value: &str| Some(HASHER.key("one", [b"=".as_slice(), value.as_bytes()]));
    let head = TestHead {
        peer: Some("spiffe://mesh/ns/a/sa/b"),
        address: Some("[2001:db8::1]:443"),
        ..get(&[("x-api-key", " k1 "), (":path", "/v1/orders?u=7"), ("cookie", "sid=9")])
    };
    for (part, value) in [
        (json!("routing_key"), "acme"),
        (json!("cell"), "a"),
        (json!("peer"), "spiffe://mesh/ns/a/sa/b"),
        (json!("client_address"), "2001:db8::1"),
        (json!("method"), "GET"),
        (json!({"header": "x-api-key"}), "k1"),
        (json!({"query": "u"}), "7"),
        (json!({"path": "/v1/{key}"}), "orders"),
        (json!({"cookie": "sid"}), "9"),
        (json!({"header": "x-none", "otherwise": "nobody"}), "nobody"),
    ] {
        assert_eq!(with(&part, &head), expected(value), "{part}");
    }
    for part in [json!("peer"), json!("client_address"), json!({"header": "x-none"}), json!({"json": "/user"})] {
        assert_eq!(with(&part, &get(&[])), None, "{part}");
    }
}

#[test]
fn requests_with_one_path_template_share_an_allowance() {
    let templates = json!({"paths": ["/v1/users/*/orders", "/v1/users", "/v1/*"], "otherwise": "other"});
    let limits = one(&json!({"key": [templates], "limit": "1/s"}));
    let key = |path: &str| key_of(&limits, &get(&[(":path", path)]));
    let same = |one: &str, other: &str| assert_eq!(key(one), key(other), "{one} and {other}");
    same("/v1/users/7/orders", "/v1/users/8/orders/9?page=2");
    same("/v1/users/7", "/v1/users");
    same("/v1/reports", "/v1/health/deep");
    same("/", "/v2/users");
    let classes = ["/v1/users/7/orders", "/v1/users/7", "/v1/reports", "/v2/users"].map(key);
    for (place, class) in classes.iter().enumerate() {
        assert!(class.is_some() && !classes[..place].contains(class), "{place}");
    }
    // Another spelling of a path, which some servers take for it, has the allowance of the path.
    for spelling in ["/v1/us%65rs/7/orders", "/v1/users;a=b/7/orders", "/V1/USERS/7/orders"] {
        same(spelling, "/v1/users/7/orders");
    }
    // A path of one template that looks like one of another has the lowest limit of all.
    let loose_first = one(&json!({
        "key": [{"paths": ["/v1/bulk", "/v1/export"], "otherwise": "other"}],
        "limit": "9/s", "overrides": {"/v1/export": "1/min"},
    }));
    for spelling in ["/v1/bulk/..%2Fexport", "/v1/bulk/../export", "//v1/export", "/v1/a/..;x/export"] {
        assert_eq!(limit_of(&loose_first, &get(&[(":path", spelling)])).as_deref(), Some("1/60;burst=1"), "{spelling}");
    }
    let strict = one(&json!({"key": [{"paths": ["/v1/export"]}], "overrides": {"/v1/export": "1/min"}}));
    for spelling in ["/v1/export", "/v1/%65xport", "/v1/export;x", "/v1/EXPORT", "//v1/export", "/v1/a/..%2Fexport"] {
        assert_eq!(limit_of(&strict, &get(&[(":path", spelling)])).as_deref(), Some("1/60;burst=1"), "{spelling}");
    }
    let named = explained(&limits, &get(&[(":path", "/v1/users/7")]), None);
    assert!(named[0].as_ref().is_ok_and(|text| text.contains("/v1/users")), "{named:?}");
    let without = one(&json!({"key": [{"paths": ["/v1/*"]}], "limit": "1/s"}));
    assert_eq!(key_of(&without, &get(&[(":path", "/v2/users")])), None);
}

#[test]
fn several_parts_are_not_one_and_no_part_is_one_allowance() {
    let two = one(&json!({"key": [{"header": "x-a"}, {"header": "x-b"}]}));
    let key = |a: &str, b: &str| key_of(&two, &get(&[("x-a", a), ("x-b", b)]));
    assert_ne!(key("ab", "c"), key("a", "bc"));
    assert_eq!(key("a", "b"), key("a", "b"));
    assert_eq!(key_of(&two, &get(&[("x-a", "a")])), None);
    let all = one(&json!({"key": []}));
    assert_eq!(key_of(&all, &get(&[])), key_of(&all, &get(&[("x-tenant", "other")])));
}

#[test]
fn an_unusable_value_counts_with_all_others_and_with_no_text() {
    let limits = one(&json!({"key": [{"header": "x-api-key", "otherwise": "nobody"}]}));
    let long = "k".repeat(70_000);
    let unusable = key_of(&limits, &get(&[("x-api-key", "a"), ("x-api-key", "b")]));
    assert!(unusable.is_some());
    for value in ["", "a\u{1}b", long.as_str()] {
        assert_eq!(key_of(&limits, &get(&[("x-api-key", value)])), unusable, "{}", value.len());
    }
    for text in ["!", "unusable", "nobody"] {
        assert_ne!(key_of(&limits, &get(&[("x-api-key", text)])), unusable, "{text}");
    }
}

#[test]
fn only_requests_that_go_somewhere_by_a_decision_of_this_proxy_are_counted() {
    let limits = json!([
        {"name": "all", "key": [], "limit": "1/s"},
        {"name": "tenant", "key": ["routing_key"], "limit": "1/s"},
        {"name": "cell", "key": ["cell"], "limit": "1/s"},
    ]);
    let count = |head: &TestHead| charges(&limits, head).len();
    assert_eq!(count(&get(&[])), 3);
    // Passes by the policy of `key_missing`: no key, no cell.
    let mut without_key = get(&[]);
    without_key.fields.retain(|(name, _)| name != "x-tenant");
    assert_eq!(count(&without_key), 1);
    assert_eq!(count(&get(&[(":path", "/health")])), 0, "excepted");
    assert_eq!(count(&get(&[(":path", "*"), (":method", "GET")])), 0, "outside of the scope");
    assert_eq!(count(&get(&[("x-tenant", "a"), ("x-tenant", "b")])), 0, "refused");
    let preflight = [(":method", "OPTIONS"), ("origin", "o"), ("access-control-request-method", "POST")];
    assert_eq!(count(&get(&preflight)), 0, "a preflight");
}

#[test]
fn matchers_choose_the_requests() {
    let limits = one(&json!({"applies_to": {
        "methods": ["GET"], "paths": ["/v1/"], "hosts": ["api.example"], "cells": ["a"], "except": {"paths": ["/v1/free"]}
    }}));
    let matching = [(":path", "/v1/x"), (":authority", "api.example")];
    let changed = |name: &'static str, value: &'static str| {
        let mut fields = matching.to_vec();
        fields.retain(|(other, _)| *other != name);
        fields.push((name, value));
        charges(&limits, &get(&fields)).len()
    };
    assert_eq!(charges(&limits, &get(&matching)).len(), 1);
    assert_eq!(changed(":method", "POST"), 0);
    assert_eq!(changed(":path", "/v2/x"), 0);
    assert_eq!(changed(":path", "/v1/free"), 0);
    // No spelling of a path escapes.
    for path in ["//v1/x", "/%761/x", "/v2/../v1/x", "/v2/%2e%2e/v1/x", "/v2\\..\\v1/x", "/v1%2Fx", "/%2576%31/x"] {
        assert_eq!(changed(":path", path), 1, "{path}");
    }
    for path in ["/v2/%20", "/v2/%zz", "/%762/x", "/v2/x?/v1/"] {
        assert_eq!(changed(":path", path), 0, "{path}");
    }
    assert_eq!(changed(":authority", "www.example"), 0);
    assert_eq!(changed("x-tenant", "globex"), 0, "its cell is b");
}

#[test]
fn the_nearest_limit_is_that_of_the_request() {
    let limits = one(&json!({
        "key": [{"header": "x-api-key"}], "limit": "1/s",
        "plans": {"free": "10/s", "pro": "100/s"}, "plan_of": {"known": "pro"}, "overrides": {"special": "7/s"},
        "plan_from": {"claim": "/plan"}, "limit_from": {"claim": "/limit", "at_most": "1000/s"},
    }));
    let with = |key: &str, claims: &Value| {
        let head = TestHead { metadata: metadata(JWT_AUTHN, "payload", claims), ..get(&[("x-api-key", key)]) };
        limit_of(&limits, &head).unwrap()
    };
    for (key, claims, limit) in [
        ("any", json!({}), "1/1;burst=1"),
        ("any", json!({"plan": "free"}), "10/1;burst=10"),
        ("any", json!({"plan": "gold"}), "1/1;burst=1"),
        ("known", json!({"plan": "free"}), "100/1;burst=100"),
        ("special", json!({"plan": "free"}), "7/1;burst=7"),
        ("special", json!({"limit": "50/min"}), "7/1;burst=7"),
        ("known", json!({"limit": "50/min"}), "50/60;burst=50"),
        ("any", json!({"limit": "5000/s"}), "1000/1;burst=1000"),
        ("any", json!({"limit": "0/s", "plan": "free"}), "10/1;burst=10"),
        ("any", json!({"limit": "a lot"}), "1/1;burst=1"),
        ("any", json!({"limit": 5}), "1/1;burst=1"),
        ("any", json!({"limit": "18446744073709551616/s"}), "1/1;burst=1"),
    ] {
        assert_eq!(with(key, &claims), limit, "{key} {claims}");
    }
}

#[test]
fn a_key_without_a_limit_is_not_counted() {
    let limits = json!([{"name": "one", "key": ["routing_key"], "overrides": {"globex": "1/s"}}]);
    assert_eq!(limit_of(&limits, &get(&[])), None);
    assert_eq!(limit_of(&limits, &get(&[("x-tenant", "globex")])).as_deref(), Some("1/1;burst=1"));
}

#[test]
fn a_cost_is_fixed_or_measured() {
    let cost = |rule: Value, fields: &[(&str, &str)], body: Option<&str>| {
        let limits = one(&json!({"limit": "100/s", "cost": rule}));
        charges_with(&limits, &get(fields), body)[0].charge.cost
    };
    let json_body = ("content-type", "application/json");
    assert_eq!(cost(json!(5), &[], None), 5);
    let length = json!({"content_length": "1KiB", "otherwise": 9});
    for (value, units) in [("0", 1), ("1", 1), ("1024", 1), ("1025", 2), ("1048576", 1024)] {
        assert_eq!(cost(length.clone(), &[("content-length", value)], None), units, "{value}");
    }
    assert_eq!(cost(length.clone(), &[], None), 1, "without a body");
    assert_eq!(cost(length.clone(), &[json_body], Some("{}")), 9);
    assert_eq!(cost(length, &[json_body, ("content-length", "1"), ("content-length", "2")], Some("{}")), 9);
    let header = json!({"header": "x-units", "at_most": 50, "otherwise": 20});
    for (value, units) in
        [("0", 1), ("000", 1), ("7", 7), ("50", 50), ("51", 50), ("99999999999999999999", 50), ("-1", 20), ("x", 20)]
    {
        assert_eq!(cost(header.clone(), &[("x-units", value)], None), units, "{value}");
    }
    assert_eq!(cost(header, &[("x-units", "1"), ("x-units", "2")], None), 20);
}

#[test]
fn values_in_the_body_count_whoever_decides() {
    let limits = one(&json!({
        "limit": "100/s",
        "key": ["routing_key", {"json": "/user", "otherwise": "nobody"}],
        "cost": {"json": "/max_tokens", "at_most": 500, "otherwise": 300},
    }));
    let json_body = ("content-type", "application/json");
    let (in_body, in_head) = (json!({"json": "/t"}), json!({"header": "x-tenant"}));
    let expected = |user: &str, cost: u64| {
        let parts = ["=", "acme", "=", user];
        (HASHER.key("one", parts.iter().map(|part| part.as_bytes())), cost)
    };
    let mut unusable = expected("", 300);
    unusable.0 = HASHER.key("one", [b"=".as_slice(), b"acme", b"!", b""]);
    // The key is in the body, in the head behind the body, and in the head alone.
    for (sources, key) in
        [(json!([in_body, in_head]), r#""t":"acme","#), (json!([in_body, in_head]), ""), (json!([in_head]), "")]
    {
        let decider = decider_of(&sources, &limits);
        let found = |rest: &str| {
            let body = format!("{{{key}{rest}}}");
            let charge = charges_of(&decider, &get(&[json_body]), Some(&body))[0].charge;
            (charge.key, charge.cost)
        };
        assert_eq!(found(r#""user":"eve","max_tokens":70"#), expected("eve", 70), "{sources}");
        assert_eq!(found(r#""max_tokens":7000"#), expected("nobody", 500), "{sources}");
        assert_eq!(found(r#""max_tokens":0"#), expected("nobody", 1), "{sources}");
        assert_eq!(found(r#""x":1"#), expected("nobody", 300), "{sources}");
        assert_eq!(found(r#""user":["eve"],"max_tokens":-1"#), unusable, "{sources}");
        assert_eq!(found(r#""user":"a","user":"b""#), unusable, "{sources}");
    }
    // A body of another format than that of the limit has none of its values.
    let decider = decider_of(&json!([in_head]), &limits);
    let charge = charges_of(&decider, &get(&[("content-type", "text/plain")]), Some("user"))[0].charge;
    assert_eq!((charge.key, charge.cost), expected("nobody", 300));
}

#[test]
fn a_limit_says_what_it_enforces() {
    let limits = json!([
        {"name": "one", "key": [], "limit": "1/s"},
        {"name": "two", "key": [], "limit": "1/s", "shadow": true, "when_store_fails": "deny"},
        {"name": "three", "key": [], "limit": "1/s", "when_store_fails": "allow"},
    ]);
    let found: Vec<_> = charges(&limits, &get(&[]))
        .iter()
        .map(|charge| (charge.charge.id.0, charge.charge.enforcement, charge.when_store_fails))
        .collect();
    assert_eq!(
        found,
        [
            (0, Enforcement::Enforce, WhenStoreFails::Local),
            (1, Enforcement::Shadow, WhenStoreFails::Deny),
            (2, Enforcement::Enforce, WhenStoreFails::Allow),
        ]
    );
}

#[test]
fn a_limit_says_why_it_counts_a_request_or_not() {
    let limits = json!([
        {"name": "paths", "key": [], "limit": "1/s", "applies_to": {"paths": ["/v1/"]}},
        {"name": "cells", "key": [], "limit": "1/s", "applies_to": {"cells": ["b"]}},
        {"name": "no-value", "key": ["method", {"header": "x-api-key"}], "limit": "1/s"},
        {"name": "not-in-body", "key": [{"json": "/user"}], "limit": "1/s"},
        {"name": "no-limit", "key": ["routing_key"], "overrides": {"other": "1/s"}},
        {"name": "own", "key": ["routing_key"], "overrides": {"acme": "2/s"}},
        {"name": "plan", "key": ["cell"], "plans": {"pro": "3/s"}, "plan_of": {"a": "pro"}},
        {"name": "all", "key": [], "limit": "5/min;burst=9"},
    ]);
    let head = get(&[(":method", "POST"), ("content-type", "application/json"), ("content-length", "2")]);
    let counted = |text: &str| Ok(text.to_owned());
    let expected = vec![
        Err(NotCounted::OutOfScope(Reason::PathExcluded)),
        Err(NotCounted::OtherCell),
        Err(NotCounted::NoValue(1)),
        Err(NotCounted::NoValue(0)),
        Err(NotCounted::NoLimit),
        counted("[Some(\"acme\")] 2/s Override"),
        counted("[Some(\"a\")] 3/s PlanOfKey(\"pro\")"),
        counted("[] 5/min;burst=9 Default"),
    ];
    assert_eq!(explained(&limits, &head, Some("{}")), expected);
    assert_eq!(explained(&limits, &get(&[]), None)[3], Err(NotCounted::NoValue(0)));
    let health = explained(&limits, &get(&[(":path", "/health")]), None);
    assert_eq!(health, vec![Err(NotCounted::Decision); 8]);
}
