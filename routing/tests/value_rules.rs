//! Rules for values work alike in every place: a part of a value, its case, and a document in it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use cellgate_routing::{Decider, HeadResult, Outcome, Tier};

/// The cell's name and the reason, or the status and the reason.
fn decide(source: &str, head: &[(&str, &str)], body: &str) -> String {
    let text = format!(
        r#"{{"routing_header":"x-cell","cells":["a","b"],"key":[{source}],"placement":{{"exact":{{"acme":"a","ACME":"b"}}}}}}"#
    );
    let decider = Decider::new(cellgate_config::from_json(&text, "test.json").unwrap(), Tier::Service);
    let decision = match decider.open(head, body.is_empty()) {
        HeadResult::Decided(decision) => decision,
        HeadResult::NeedsBody(mut reader) => match reader.push(body.as_bytes()) {
            Ok(()) => reader.finish(),
            Err(decision) => decision,
        },
    };
    match decision.outcome {
        Outcome::Cell(cell) => format!("{} {}", decider.config().cell_name(cell), decision.reason),
        Outcome::Reject(status) => format!("{status} {}", decision.reason),
        other => panic!("{other:?}"),
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn the_case_of_the_key_is_lowered_in_every_place() {
    for (place, head, body) in [
        (r#""json":"/t""#, &[JSON][..], r#"{"t":"ACME"}"#),
        (r#""form":"t""#, &[FORM], "t=%41CME"),
        (r#""header":"x-t""#, &[("x-t", "ACME")], ""),
        (r#""query":"t""#, &[(":path", "/?t=ACME")], ""),
        (r#""path":"/{key}""#, &[(":path", "/ACME")], ""),
        (r#""cookie":"t""#, &[("cookie", "t=ACME")], ""),
    ] {
        assert_eq!(decide(&format!(r#"{{{place},"case":"lower"}}"#), head, body), "a exact", "{place}");
        assert_eq!(decide(&format!("{{{place}}}"), head, body), "b exact", "{place}");
    }
}

#[test]
fn a_part_of_the_value_is_the_key_in_every_place() {
    for (place, head, body) in [
        (r#""json":"/t""#, &[JSON][..], r#"{"t":"VALUE"}"#),
        (r#""form":"t""#, &[FORM], "t=VALUE"),
        (r#""header":"x-t""#, &[("x-t", "VALUE")], ""),
        (r#""query":"t""#, &[(":path", "/?t=VALUE")], ""),
        (r#""path":"/{key}""#, &[(":path", "/VALUE")], ""),
        (r#""cookie":"t""#, &[("cookie", "t=VALUE")], ""),
    ] {
        let source = format!(r#"{{{place},"value":"*@{{key}}"}}"#);
        for (value, expected) in [("jo@acme", "a exact"), ("a@b@acme", "400 key_malformed"), ("jo@", "400 key_empty")] {
            let head: Vec<_> = head.iter().map(|(name, text)| (*name, text.replace("VALUE", value))).collect();
            let head: Vec<_> = head.iter().map(|(name, text)| (*name, text.as_str())).collect();
            assert_eq!(decide(&source, &head, &body.replace("VALUE", value)), expected, "{place} {value}");
        }
    }
}

#[test]
fn the_rule_holds_for_the_key_of_a_document_in_a_value() {
    let source = r#"{"query":"p","then":{"json":"/user"},"value":"*@{key}","case":"lower"}"#;
    let head = |path| [(":path", path)];
    assert_eq!(decide(source, &head("/?p=%7B%22user%22:%22jo@ACME%22%7D"), ""), "a exact");
    assert_eq!(decide(source, &head("/?p=%7B%22user%22:%22jo%22%7D"), ""), "400 key_missing");
}
