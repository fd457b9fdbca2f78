//! The core, used as a tier uses it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use cellgate_routing::{BodyReader, Decider, Decision, HeadResult, Outcome, Reason, SourceValue, Tier};

#[path = "decider/encoded.rs"]
mod encoded;

const CONFIG: &str = r#"{
    "routing_header": "x-cell",
    "cells": ["a", "b"],
    "key": [{"json": "/t"}, {"header": "x-t"}, {"json": "/u"}, {"form": "t"}, {"query": "t"}],
    "placement": {"exact": {"one": "a", "two": "b"}},
    "limits": {"depth": 4}
    POLICY
}"#;

type Fields<'a> = &'a [(&'a str, &'a str)];

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn decider_with(policy: &str, tier: Tier) -> Decider {
    let policy = if policy.is_empty() { String::new() } else { format!(r#", "policy": {policy}"#) };
    Decider::new(cellgate_config::from_json(&CONFIG.replace("POLICY", &policy), "test.json").unwrap(), tier)
}

fn decider() -> Decider {
    decider_with("", Tier::Filter)
}

/// `a exact`, `reject 400 key_null`, `defer body_encoded`.
fn show(decider: &Decider, decision: Decision) -> String {
    let reason = decision.reason;
    match decision.outcome {
        Outcome::Cell(cell) => format!("{} {reason}", decider.config().cell_name(cell)),
        Outcome::Reject(status) => format!("reject {status} {reason}"),
        Outcome::Defer => format!("defer {reason}"),
        Outcome::Pass => format!("pass {reason}"),
    }
}

fn bodiless(decider: &Decider, head: Fields<'_>) -> String {
    match decider.open(head, true) {
        HeadResult::Decided(decision) => show(decider, decision),
        HeadResult::NeedsBody(_) => panic!("nothing to read"),
    }
}

fn open(decider: &Decider, head: Fields<'_>) -> BodyReader {
    match decider.open(head, false) {
        HeadResult::NeedsBody(reading) => reading,
        HeadResult::Decided(decision) => panic!("decided: {}", show(decider, decision)),
    }
}

fn whole(decider: &Decider, head: Fields<'_>, body: &str) -> String {
    let mut reading = match decider.open(head, false) {
        HeadResult::NeedsBody(reading) => reading,
        HeadResult::Decided(decision) => return show(decider, decision),
    };
    let decision = match reading.push(body.as_bytes()) {
        Ok(()) => reading.finish(),
        Err(decision) => decision,
    };
    show(decider, decision)
}

#[test]
fn the_first_source_that_holds_a_value_decides() {
    let decider = decider();
    let head = [JSON, ("x-t", "two"), (":path", "/?t=one")];
    assert_eq!(whole(&decider, &head, r#"{"t":"one"}"#), "a exact");
    assert_eq!(whole(&decider, &head, "{}"), "b exact");
    // The header outranks /u and holds a value.
    assert_eq!(whole(&decider, &head, r#"{"u":"one"}"#), "b exact");
    assert_eq!(whole(&decider, &[JSON], r#"{"u":"one"}"#), "a exact");
    assert_eq!(whole(&decider, &[JSON, (":path", "/?t=one")], "{}"), "a exact");
    assert_eq!(whole(&decider, &[JSON], "{}"), "reject 400 key_missing");
}

#[test]
fn an_unusable_value_decides() {
    let decider = decider();
    assert_eq!(whole(&decider, &[JSON, ("x-t", "two")], r#"{"t":null}"#), "reject 400 key_null");
    assert_eq!(whole(&decider, &[JSON, ("x-t", "")], r#"{"u":"one"}"#), "reject 400 key_empty");
}

#[test]
fn the_action_next_tries_the_next_source() {
    let decider = decider_with(r#"{"key_null": "next", "key_empty": "next"}"#, Tier::Filter);
    assert_eq!(whole(&decider, &[JSON, ("x-t", "two")], r#"{"t":null}"#), "b exact");
    assert_eq!(whole(&decider, &[JSON, ("x-t", "")], r#"{"u":"one"}"#), "a exact");
    assert_eq!(whole(&decider, &[JSON, ("x-t", "")], r#"{"t":null,"u":""}"#), "reject 400 key_null");
    assert_eq!(bodiless(&decider, &[("x-t", ""), (":path", "/?t=two")]), "b exact");
    assert_eq!(bodiless(&decider, &[("x-t", "")]), "reject 400 key_empty");
}

#[test]
fn the_head_decides_without_a_body() {
    let decider = decider();
    assert_eq!(bodiless(&decider, &[("x-t", "two")]), "b exact");
    assert_eq!(bodiless(&decider, &[JSON]), "reject 400 body_absent");
    assert_eq!(open(&decider, &[JSON, ("x-t", "two")]).finish().reason.label(), "exact");
    assert_eq!(open(&decider, &[JSON]).finish().reason.label(), "body_absent");
}

#[test]
fn the_head_decides_a_tunnel() {
    let decider = decider();
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), JSON];
    assert_eq!(whole(&decider, &upgrade, ""), "reject 400 upgrade");
    assert_eq!(whole(&decider, &[(":method", "CONNECT"), ("x-t", "one")], ""), "a exact");
}

#[test]
fn a_tunnel_whose_body_outranks_the_head_is_refused() {
    let decider = decider();
    let upgrade = |field| [("connection", "upgrade"), ("upgrade", "x"), JSON, ("x-t", "one"), field];
    assert_eq!(whole(&decider, &upgrade(("content-length", "24")), ""), "reject 400 upgrade");
    assert_eq!(whole(&decider, &upgrade(("transfer-encoding", "chunked")), ""), "reject 400 upgrade");
    assert_eq!(whole(&decider, &upgrade(("content-length", "0")), ""), "a exact");
    let head_first = CONFIG.replace(r#"{"json": "/t"}, {"header": "x-t"}"#, r#"{"header": "x-t"}, {"json": "/t"}"#);
    let head_first =
        Decider::new(cellgate_config::from_json(&head_first.replace("POLICY", ""), "test.json").unwrap(), Tier::Filter);
    assert_eq!(whole(&head_first, &upgrade(("content-length", "24")), ""), "a exact");
}

#[test]
fn an_unreadable_body_is_not_skipped_by_default() {
    let decider = decider();
    let plain = [("content-type", "text/plain"), ("x-t", "two")];
    assert_eq!(whole(&decider, &plain, "x"), "reject 415 content_type_unsupported");
    assert_eq!(whole(&decider, &[("x-t", "two")], "x"), "reject 415 content_type_missing");
    let lenient = decider_with(r#"{"content_type_unsupported": "next"}"#, Tier::Filter);
    assert_eq!(whole(&lenient, &plain, "x"), "b exact");
    assert_eq!(whole(&lenient, &[("content-type", "text/plain")], "x"), "reject 415 content_type_unsupported");
}

#[test]
fn a_head_source_of_any_rank_decides_a_grpc_call() {
    let decider = decider();
    let call = |content_type, more: (&'static str, &'static str)| {
        whole(&decider, &[(":method", "POST"), ("content-type", content_type), more], "\0\0\0\0\0")
    };
    let unsupported = "reject 415 content_type_unsupported";
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc-web-text"] {
        assert_eq!(call(content_type, ("x-t", "two")), "b exact", "{content_type}");
        assert_eq!(call(content_type, (":path", "/?t=one")), "a exact", "{content_type}");
        assert_eq!(call(content_type, ("x-t", "")), "reject 400 key_empty", "{content_type}");
        assert_eq!(call(content_type, ("x-u", "two")), unsupported, "{content_type}");
    }
    // There are servers that read each of these as JSON.
    for content_type in [
        "application/grpc+json",
        "application/grpc-web+json",
        "application/grpc;x=application/json",
        "application/grpc,application/json",
        "application/grpcx",
        "Application/gRPC",
    ] {
        assert_eq!(call(content_type, ("x-t", "two")), unsupported, "{content_type}");
    }
    let two = [(":method", "POST"), ("content-type", "application/grpc"), JSON, ("x-t", "two")];
    assert_eq!(whole(&decider, &two, "x"), unsupported);
    let encoded =
        [(":method", "POST"), ("content-type", "application/grpc"), ("content-encoding", "gzip"), ("x-t", "two")];
    assert_eq!(whole(&decider, &encoded, "x"), unsupported);
    let get = [(":method", "GET"), ("content-type", "application/grpc"), ("x-t", "two")];
    assert_eq!(whole(&decider, &get, "x"), unsupported);
    let pass = decider_with(r#"{"content_type_unsupported": "pass"}"#, Tier::Service);
    let keyless = [(":method", "POST"), ("content-type", "application/grpc")];
    assert_eq!(whole(&pass, &keyless, "x"), "pass content_type_unsupported");
}

/// The operator has configured that such a body is a document.
#[test]
fn a_configured_grpc_type_is_read() {
    let json = CONFIG.replace("POLICY", r#", "content_types": {"json": ["application/grpc"]}"#);
    let decider = Decider::new(cellgate_config::from_json(&json, "test.json").unwrap(), Tier::Filter);
    let head = [(":method", "POST"), ("content-type", "application/grpc"), ("x-t", "two")];
    assert_eq!(whole(&decider, &head, r#"{"t":"one"}"#), "a exact");
}

#[test]
fn a_body_is_read_only_if_an_active_source_has_its_format() {
    // The header outranks the form source.
    let decider = decider();
    assert_eq!(whole(&decider, &[FORM], "t=one"), "a exact");
    assert_eq!(whole(&decider, &[FORM, ("x-t", "two")], "t=one"), "reject 415 content_type_unsupported");
}

#[test]
fn only_the_filter_defers() {
    let encoded = [JSON, ("content-encoding", "br")];
    assert_eq!(whole(&decider(), &encoded, ""), "defer body_encoded");
    assert_eq!(whole(&decider_with("", Tier::Service), &encoded, ""), "reject 415 body_encoded");
}

#[test]
fn each_reason_has_its_configured_action() {
    let policy = r#"{"key_missing": "pass", "body_malformed": {"use": "b"}, "key_unplaced": "hash",
        "body_too_deep": {"reject": 422}}"#;
    let decider = decider_with(policy, Tier::Filter);
    assert_eq!(whole(&decider, &[JSON], "{}"), "pass key_missing");
    assert_eq!(whole(&decider, &[JSON], "}"), "b body_malformed");
    assert_eq!(whole(&decider, &[JSON], "[[[[[]]]]]"), "reject 422 body_too_deep");
    let hashed = whole(&decider, &[JSON], r#"{"t":"three"}"#);
    assert!(["a key_unplaced", "b key_unplaced"].contains(&hashed.as_str()), "{hashed}");
    assert_eq!(whole(&self::decider(), &[JSON], r#"{"t":"three"}"#), "reject 421 key_unplaced");
}

#[test]
fn a_syntax_error_is_final() {
    let decider = decider();
    let mut reading = open(&decider, &[JSON]);
    assert!(reading.push(b"{]").is_err());
    assert!(reading.push(b"").is_err());
    assert_eq!(show(&decider, reading.finish()), "reject 400 body_malformed");
    assert_eq!(reading.broken().unwrap().offset, 1);
}

#[test]
fn a_key_settles_only_if_no_other_source_can_outrank_it() {
    let decider = decider();
    let mut reading = open(&decider, &[JSON]);
    reading.push(br#"{"u":"one","#).unwrap();
    // /t may still come.
    let mut reading = reading.settle().unwrap_err();
    reading.push(br#""t":"two","#).unwrap();
    let (decision, _guard) = reading.settle().unwrap();
    assert_eq!(show(&decider, decision), "b exact");
}

#[test]
fn a_head_source_of_the_first_rank_decides_without_the_body() {
    let json = CONFIG.replace("POLICY", "").replace(r#"{"json": "/t"}, "#, "");
    let decider = Decider::new(cellgate_config::from_json(&json, "test.json").unwrap(), Tier::Filter);
    assert_eq!(whole(&decider, &[JSON, ("x-t", "two")], r#"{"u":"one"}"#), "b exact");
    assert!(matches!(decider.open(&[JSON, ("x-t", "two")][..], false), HeadResult::Decided(_)));
}

#[test]
fn the_guard_accepts_a_valid_rest() {
    let mut reading = open(&decider(), &[JSON]);
    reading.push(br#"{"t":"one","x":["#).unwrap();
    let (_, mut guard) = reading.settle().unwrap();
    for chunk in [&b"1,2"[..], b"", b",\"t\"]", b"}", b"\n"] {
        guard.push(chunk).unwrap();
    }
    guard.finish().unwrap();
}

#[test]
fn the_guard_refuses_a_second_key_a_syntax_error_and_a_truncated_body() {
    let decider = decider();
    for (rest, finish, reason) in [
        (r#","t":"one"}"#, false, "reject 400 key_duplicated"),
        (r#","\u0074":1}"#, false, "reject 400 key_duplicated"),
        (",]", false, "reject 400 body_malformed"),
        (r#","x":[[[[]]]]}"#, false, "reject 400 body_too_deep"),
        (r#","x":"#, true, "reject 400 body_truncated"),
    ] {
        let mut reading = open(&decider, &[JSON]);
        reading.push(br#"{"t":"one""#).unwrap();
        let (_, mut guard) = reading.settle().unwrap();
        let mut result = Ok(());
        for byte in rest.as_bytes() {
            result = result.and_then(|()| guard.push(&[*byte]));
        }
        assert_eq!(result.is_ok(), finish, "{rest}");
        let result = result.and_then(|()| guard.finish());
        assert_eq!(show(&decider, result.unwrap_err()), reason, "{rest}");
    }
}

#[test]
fn the_guard_always_rejects() {
    let decider = decider_with(r#"{"body_malformed": {"use": "b"}, "key_duplicated": {"reject": 409}}"#, Tier::Filter);
    for (rest, expected) in [("]", "reject 400 body_malformed"), (r#","t":1"#, "reject 409 key_duplicated")] {
        let mut reading = open(&decider, &[JSON]);
        reading.push(br#"{"t":"one""#).unwrap();
        let (_, mut guard) = reading.settle().unwrap();
        assert_eq!(show(&decider, guard.push(rest.as_bytes()).unwrap_err()), expected);
    }
}

/// After a release, the guard would have to end the request.
#[test]
fn a_body_with_a_conflict_is_not_released() {
    let decider = decider_with(r#"{"key_duplicated": {"use": "b"}}"#, Tier::Filter);
    let mut reading = open(&decider, &[JSON]);
    reading.push(br#"{"t":"one","t":"two""#).unwrap();
    let mut reading = reading.settle().unwrap_err();
    reading.push(b"}").unwrap();
    assert_eq!(show(&decider, reading.finish()), "b key_duplicated");
}

#[test]
fn a_name_in_another_case_is_a_conflict_in_any_position() {
    let decider = decider();
    for body in [r#"{"t":"one","T":"two"}"#, r#"{"T":"two","t":"one"}"#, r#"{"T":"two"}"#, r#"{"\u0054":1}"#] {
        assert_eq!(whole(&decider, &[JSON], body), "reject 400 key_ambiguous", "{body}");
    }
    let mut reading = open(&decider, &[JSON]);
    reading.push(br#"{"t":"one""#).unwrap();
    let (_, mut guard) = reading.settle().unwrap();
    assert_eq!(show(&decider, guard.push(br#","T":"#).unwrap_err()), "reject 400 key_ambiguous");
}

#[test]
fn the_end_of_a_form_can_be_a_conflict() {
    let json = CONFIG.replace("POLICY", "").replace(r#"{"json": "/t"}, {"header": "x-t"}, {"json": "/u"}, "#, "");
    let decider = Decider::new(cellgate_config::from_json(&json, "test.json").unwrap(), Tier::Filter);
    let mut reading = open(&decider, &[FORM]);
    reading.push(b"t=one&a=b").unwrap();
    let (decision, mut guard) = reading.settle().unwrap();
    assert_eq!(show(&decider, decision), "a exact");
    guard.push(b"&t").unwrap();
    assert_eq!(show(&decider, guard.finish().unwrap_err()), "reject 400 key_duplicated");
}

#[test]
fn a_key_never_settles_if_the_last_one_counts() {
    let json = CONFIG.replace("POLICY", r#", "duplicates": "last""#);
    let decider = Decider::new(cellgate_config::from_json(&json, "test.json").unwrap(), Tier::Filter);
    let mut reading = open(&decider, &[JSON]);
    reading.push(br#"{"t":"one""#).unwrap();
    let mut reading = reading.settle().unwrap_err();
    reading.push(br#","t":"two"}"#).unwrap();
    assert_eq!(show(&decider, reading.finish()), "b exact");
}

const PEER: &[u8] = b"spiffe://d/gateway";

fn with_peers(cell: &str, policy: &str, tier: Tier) -> Decider {
    let fields = format!(r#", "decided_by": {{"peers": ["spiffe://d/gateway"]{cell}}}, "policy": {policy}"#);
    Decider::new(cellgate_config::from_json(&CONFIG.replace("POLICY", &fields), "test.json").unwrap(), tier)
}

fn before(decider: &Decider, head: Fields<'_>, peer: Option<&[u8]>) -> Option<String> {
    let fields = head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    decider.decided_before(fields, || peer).map(|decision| show(decider, decision))
}

#[test]
fn a_decision_needs_one_routing_header_and_a_listed_peer() {
    let decider = with_peers("", "{}", Tier::Filter);
    let taken_over = Some("b decided_before".to_owned());
    assert_eq!(before(&decider, &[JSON, ("x-cell", "b"), ("x-cells", "a")], Some(PEER)), taken_over);
    for peer in [None, Some(&b""[..]), Some(b"spiffe://d/gatewa"), Some(b"spiffe://d/gateway ")] {
        assert_eq!(before(&decider, &[("x-cell", "b")], peer), None, "{peer:?}");
    }
    for head in [
        &[][..],
        &[("x-cell", "c")],
        &[("x-cell", "b"), ("x-cell", "b")],
        &[("x-cell", "b"), ("x_cell", "b")],
        &[("x_cell", "b")],
    ] {
        assert_eq!(before(&decider, head, Some(PEER)), None, "{head:?}");
    }
    assert_eq!(before(&self::decider(), &[("x-cell", "b")], Some(PEER)), None, "no peer is listed");
}

#[test]
fn the_peer_is_read_only_if_the_header_is_valid() {
    let head: Fields<'_> = &[("x-cell", "b")];
    let asked = |decider: &Decider, head: Fields<'_>| {
        let mut asked = false;
        let fields = head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let decision = decider.decided_before(fields, || {
            asked = true;
            None::<&[u8]>
        });
        assert_eq!(decision, None);
        asked
    };
    assert!(asked(&with_peers("", "{}", Tier::Filter), head));
    assert!(!asked(&with_peers("", "{}", Tier::Filter), &[("x-cell", "z")]));
    assert!(!asked(&decider(), head));
}

#[test]
fn every_way_to_another_cell_is_a_mismatch() {
    let policy = r#"{"key_missing": {"use": "b"}, "key_unplaced": "hash", "body_malformed": {"use": "a"}}"#;
    for tier in [Tier::Filter, Tier::Service] {
        let here = with_peers(r#", "cell": "a""#, policy, tier);
        let mismatch = "reject 421 cell_mismatch";
        assert_eq!(before(&here, &[("x-cell", "b")], Some(PEER)).unwrap(), mismatch);
        assert_eq!(before(&here, &[("x-cell", "a")], Some(PEER)).unwrap(), "a decided_before");
        assert_eq!(whole(&here, &[JSON], r#"{"t":"one"}"#), "a exact");
        assert_eq!(whole(&here, &[JSON], r#"{"t":"two"}"#), mismatch);
        assert_eq!(bodiless(&here, &[("x-t", "two")]), mismatch);
        assert_eq!(whole(&here, &[JSON], "{}"), mismatch);
        assert_eq!(whole(&here, &[JSON], "}"), "a body_malformed");
        let everywhere = with_peers("", policy, tier);
        for key in ["k1", "k2", "k3", "k4", "k5", "k6"] {
            let body = format!(r#"{{"t":"{key}"}}"#);
            let expected = match whole(&everywhere, &[JSON], &body).as_str() {
                "a key_unplaced" => "a key_unplaced",
                _ => mismatch,
            };
            assert_eq!(whole(&here, &[JSON], &body), expected);
        }
    }
}

#[test]
fn a_mismatch_has_a_policy_also_when_it_settles() {
    let here = with_peers(r#", "cell": "a""#, r#"{"cell_mismatch": {"reject": 403}}"#, Tier::Filter);
    let mut reading = open(&here, &[JSON]);
    reading.push(br#"{"t":"two","x":"#).unwrap();
    let (decision, _) = reading.settle().unwrap();
    assert_eq!(show(&here, decision), "reject 403 cell_mismatch");
    // Its action is final, even if that is another cell.
    let open_house = with_peers(r#", "cell": "a""#, r#"{"cell_mismatch": {"use": "b"}}"#, Tier::Filter);
    assert_eq!(bodiless(&open_house, &[("x-t", "two")]), "b cell_mismatch");
}

#[test]
fn the_value_of_each_source_is_explained() {
    let decider = decider();
    let head = [JSON, (":path", "/?t=one")];
    let mut reading = open(&decider, &head);
    reading.push(br#"{"u":[]}"#).unwrap();
    reading.finish();
    let held: Vec<_> = decider.explain(&head[..], Some(&reading)).into_iter().map(|finding| finding.held).collect();
    let unusable = SourceValue::Unusable(Reason::KeyArray);
    assert_eq!(
        held,
        [SourceValue::Nothing, SourceValue::Nothing, unusable, SourceValue::NotReached, SourceValue::NotReached]
    );
}
