//! `*`, selectors and documents inside values, by hand.
//!
//! Every case is scanned whole and in every pair of chunks, with and without the fast path.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/oracle.rs"]
mod oracle;

use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::json::JsonScanner;
use cellgate_routing::{Duplicates, Reason};
use oracle::Held::{self, Found, Missing, Unusable};
use oracle::{Query, expected, scanned};

fn values(query: &Query, document: &str) -> Vec<Held> {
    let document = document.as_bytes();
    let verdict = scanned(query, document, &[]);
    assert_eq!(verdict, expected(query, document), "{}", document.escape_ascii());
    for cut in 0..=document.len() {
        assert_eq!(scanned(query, document, &[cut]), verdict, "{} cut at {cut}", document.escape_ascii());
    }
    verdict.unwrap()
}

fn query(pointers: &[&str], duplicates: Duplicates) -> Query {
    Query { pointers: pointers.iter().map(|text| (*text).to_owned()).collect(), duplicates, ..Query::default() }
}

fn value(pointer: &str, document: &str) -> Held {
    values(&query(&[pointer], Duplicates::Reject), document).remove(0)
}

fn found(key: &str) -> Held {
    Found(key.to_owned())
}

const CONFLICT: Held = Unusable(Reason::KeyConflict);

#[test]
fn elements_that_hold_something_must_agree() {
    for (document, held) in [
        (r#"[]"#, Missing),
        (r#"[{},{},7,"x",[],null]"#, Missing),
        (r#"[{"id":"a"}]"#, found("a")),
        (r#"[{"id":"a"},{"id":"a"}]"#, found("a")),
        (r#"[{},{"id":"a"},{},{"id":"a"},{}]"#, found("a")),
        (r#"[{"id":"a"},{"id":"b"}]"#, CONFLICT),
        (r#"[{"id":"a"},{"id":"b"},{"id":"a"}]"#, CONFLICT),
        (r#"[{"id":"7"},{"id":7}]"#, found("7")),
        (r#"[{"id":"a"},{"id":null}]"#, CONFLICT),
        (r#"[{"id":null},{"id":"a"}]"#, CONFLICT),
        (r#"[{"id":null},{"id":null}]"#, Unusable(Reason::KeyNull)),
        (r#"[{"id":null},{"id":true}]"#, CONFLICT),
        (r#"[{"id":{}},{"id":{}}]"#, Unusable(Reason::KeyObject)),
        (r#"[{"id":"a"},{"id":"a","id":"a"}]"#, Unusable(Reason::KeyDuplicated)),
        (r#"[{"id":"a"},{"Id":"a"}]"#, Unusable(Reason::KeyAmbiguous)),
        (r#"{"0":{"id":"a"},"*":{"id":"a"}}"#, Missing),
        (r#"{"id":"a"}"#, Missing),
        (r#""a""#, Missing),
    ] {
        assert_eq!(value("/*/id", document), held, "{document}");
    }
    assert_eq!(value("/*", r#"["a","a",7]"#), CONFLICT);
    assert_eq!(value("/*", r#"["a","a"]"#), found("a"));
    assert_eq!(value("/~2", r#"{"*":"a"}"#), found("a"));
}

#[test]
fn names_and_duplicates_are_those_of_one_element() {
    use Duplicates::{First, Last, Reject};
    let document = r#"[{"id":"a","x":1,"id":"b"},{"x":2}]"#;
    assert_eq!(values(&query(&["/*/id"], First), document), [found("a")]);
    assert_eq!(values(&query(&["/*/id"], Last), document), [found("b")]);
    assert_eq!(values(&query(&["/*/id"], Reject), document), [Unusable(Reason::KeyDuplicated)]);
    // A repeated name above replaces all elements, or none of them.
    let document = r#"{"a":[{"id":"a"},{"id":"b"}],"a":[{"id":"c"}]}"#;
    assert_eq!(values(&query(&["/a/*/id"], First), document), [CONFLICT]);
    assert_eq!(values(&query(&["/a/*/id"], Last), document), [found("c")]);
    assert_eq!(values(&query(&["/a/*/id"], Reject), document), [Unusable(Reason::KeyDuplicated)]);
    let document = r#"{"a":[{"id":"a"}],"a":{}}"#;
    assert_eq!(values(&query(&["/a/*/id"], Last), document), [Missing]);
    // The rule for elements holds whatever `duplicates` says.
    for duplicates in [First, Last, Reject] {
        assert_eq!(values(&query(&["/*/id"], duplicates), r#"[{"id":"a"},{"id":"b"}]"#), [CONFLICT]);
    }
}

#[test]
fn nested_elements_agree_at_every_level() {
    let of = |document| value("/a/*/b/*/c", document);
    assert_eq!(of(r#"{"a":[{"b":[{"c":"x"},{}]},{"b":[]},{},{"b":[{"c":"x"}]}]}"#), found("x"));
    assert_eq!(of(r#"{"a":[{"b":[{"c":"x"}]},{"b":[{"c":"y"}]}]}"#), CONFLICT);
    assert_eq!(of(r#"{"a":[{"b":[{"c":"x"},{"c":"y"}]}]}"#), CONFLICT);
    assert_eq!(of(r#"{"a":[{"b":[{"c":"x"}],"b":[]}]}"#), Unusable(Reason::KeyDuplicated));
    assert_eq!(value("/*/*", r#"[["a"],[],["a","a"]]"#), found("a"));
    let many = query(&["/*/a", "/*/b/*", "/*", "/*/b/[k=1]/v"], Duplicates::Reject);
    let held = values(&many, r#"[{"b":["x","x"],"a":1},{"a":1,"b":[]}]"#);
    assert_eq!(held, [found("1"), found("x"), Unusable(Reason::KeyObject), Missing]);
}

/// OTLP/JSON: <https://opentelemetry.io/docs/specs/otlp/>.
#[test]
fn selectors_find_the_attribute_of_every_resource() {
    let pointer = "/resourceSpans/*/resource/attributes/[key=tenant.id]/value/stringValue";
    let attribute = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let swapped = |key: &str, value: &str| format!(r#"{{"value":{{"stringValue":"{value}"}},"key":"{key}"}}"#);
    let resource = |attributes: &[String]| {
        format!(r#"{{"resource":{{"attributes":[{}]}},"scopeSpans":[{{"spans":[]}}]}}"#, attributes.join(","))
    };
    let export = |resources: &[String]| format!(r#"{{"resourceSpans":[{}]}}"#, resources.join(","));
    let acme = [attribute("service.name", "cart"), attribute("tenant.id", "acme")];
    let again = [swapped("tenant.id", "acme"), swapped("service.name", "cart")];
    let other = [swapped("tenant.id", "globex")];
    assert_eq!(value(pointer, &export(&[resource(&acme), resource(&[]), resource(&again)])), found("acme"));
    assert_eq!(value(pointer, &export(&[resource(&acme), resource(&other)])), CONFLICT);
    assert_eq!(value(pointer, &export(&[resource(&acme[..1])])), Missing);
    let two = [attribute("tenant.id", "acme"), attribute("tenant.id", "globex")];
    assert_eq!(value(pointer, &export(&[resource(&two)])), CONFLICT);
}

#[test]
fn a_selector_compares_the_text_of_one_member() {
    let of = |document| value("/[k=t]/v", document);
    for (document, held) in [
        (r#"[{"k":"t","v":"a"}]"#, found("a")),
        (r#"[{"v":"a","k":"t"}]"#, found("a")),
        (r#"[{"k":"\u0074","v":"a"}]"#, found("a")),
        (r#"[{"k":"t"}]"#, Missing),
        (r#"[{"v":"a"},{"k":"T","v":"a"},{"k":"tt","v":"b"},{"k":"","v":"c"},{"k":"t "}]"#, Missing),
        (r#"[{"k":7,"v":"a"},{"k":["t"],"v":"a"},{"k":{"t":1},"v":"a"},{"k":null,"v":"a"}]"#, Missing),
        (r#"[["t"],"t"]"#, Missing),
        (r#"{"k":"t","v":"a"}"#, Missing),
        // What does not match holds nothing, whatever is wrong with it.
        (r#"[{"k":"x","v":1.5},{"k":"x","v":"a","v":"b"},{"k":"t","v":"a"}]"#, found("a")),
        // The element is unclear, not only its selection.
        (r#"[{"k":"t","k":"x","v":"a"}]"#, Unusable(Reason::KeyDuplicated)),
        (r#"[{"k":"x","k":"y"}]"#, Unusable(Reason::KeyDuplicated)),
        (r#"[{"K":"t","v":"a"}]"#, Unusable(Reason::KeyAmbiguous)),
        (r#"[{"k":"t","v":"a","V":"a"}]"#, Unusable(Reason::KeyAmbiguous)),
    ] {
        assert_eq!(of(document), held, "{document}");
    }
    let document = r#"[{"k":"t","v":"a","k":"x"}]"#;
    assert_eq!(values(&query(&["/[k=t]/v"], Duplicates::First), document), [found("a")]);
    assert_eq!(values(&query(&["/[k=t]/v"], Duplicates::Last), document), [Missing]);
    assert_eq!(values(&query(&["/[k=x]/v"], Duplicates::Last), document), [found("a")]);
    // A name that looks like an index does not select an array.
    assert_eq!(value("/[0=t]/v", r#"[["t"],{"0":"t","v":"a"}]"#), found("a"));
    assert_eq!(value("/[0=t]/1", r#"[["t","a"]]"#), Missing);
    let selectors = query(&["/[k=a]/v", "/[k=b]/v", "/[j=a]/v", "/*/v"], Duplicates::Reject);
    let held = values(&selectors, r#"[{"k":"a","v":1},{"k":"b","j":"a","v":2}]"#);
    assert_eq!(held, [found("1"), found("2"), found("2"), CONFLICT]);
}

/// A value longer than every key, so that the text of a selector does not depend on `limits.key_bytes`.
#[test]
fn a_selector_may_be_longer_than_a_key() {
    let name = "n".repeat(100);
    let pointer = format!("/[k={name}]/v");
    let long = Query { key_bytes: 4, ..query(&[&pointer], Duplicates::Reject) };
    assert_eq!(values(&long, &format!(r#"[{{"k":"{name}","v":"acme"}}]"#)), [found("acme")]);
    assert_eq!(values(&long, &format!(r#"[{{"k":"{name}n","v":"acme"}}]"#)), [Missing]);
    assert_eq!(values(&long, &format!(r#"[{{"k":"{name}","v":"acme5"}}]"#)), [Unusable(Reason::KeyTooLong)]);
}

#[test]
fn a_value_may_hold_a_document() {
    let then = Query { then: Some("/team/id".into()), ..query(&["/payload"], Duplicates::Reject) };
    for (payload, held) in [
        (r#"{\"team\":{\"id\":\"T1\"}}"#, found("T1")),
        (r#"{\"team\":{\"id\":7},\"x\":\"\\u00e9\"}"#, found("7")),
        (r#"\u007b\"team\":{\"id\":\"T\u0031\"}}"#, found("T1")),
        (r#"{}"#, Missing),
        (r#""#, Unusable(Reason::KeyEmpty)),
        (r#"{"#, Unusable(Reason::BodyTruncated)),
        (r#"{} x"#, Unusable(Reason::BodyMalformed)),
        (r#"{\"team\":{\"id\":1,\"id\":1}}"#, Unusable(Reason::KeyDuplicated)),
        (r#"{\"x\":\"\\ud83d\",\"team\":{\"id\":\"T1\"}}"#, found("T1")),
        (r#"{\"team\":{\"id\":\"T1\"}}\ud83d"#, Unusable(Reason::KeyMalformed)),
    ] {
        assert_eq!(values(&then, &format!(r#"{{"payload":"{payload}"}}"#)), [held], "{payload}");
    }
    assert_eq!(values(&then, r#"{"payload":{"team":{"id":"T1"}}}"#), [Unusable(Reason::KeyObject)]);
    assert_eq!(values(&then, r#"{"payload":7}"#), [Missing]);
    assert_eq!(values(&then, r#"{"payload":null}"#), [Unusable(Reason::KeyNull)]);
    let batch = Query { then: Some("/*/id".into()), ..query(&["/*"], Duplicates::Reject) };
    assert_eq!(values(&batch, r#"["[{\"id\":1},{\"id\":1}]","[]","[{\"id\":1}]"]"#), [found("1")]);
    assert_eq!(values(&batch, r#"["[{\"id\":1}]","[{\"id\":2}]"]"#), [CONFLICT]);
}

/// After how many bytes the value of a pointer is settled.
fn settled_after(pointer: &str, duplicates: Duplicates, document: &str) -> Option<usize> {
    let query = DocumentQuery::new(vec![pointer.parse().unwrap()], duplicates, 8, 8);
    let mut scanner = JsonScanner::new(query.into());
    let mut settled = None;
    for (index, byte) in document.bytes().enumerate() {
        scanner.push(&[byte]).unwrap();
        assert!(settled.is_none() || scanner.is_settled(0), "{document} after {index}");
        assert!(!scanner.is_settled(0) || scanner.candidate(0) != Candidate::Missing);
        settled = settled.or(scanner.is_settled(0).then_some(index + 1));
    }
    settled
}

#[test]
fn the_first_element_with_a_key_settles_a_batch() {
    let document = r#"[{},{"id":"a"},{"id":"a"}]"#;
    for duplicates in [Duplicates::Reject, Duplicates::First] {
        assert_eq!(settled_after("/*/id", duplicates, document), Some(13), "with the key's last byte");
        assert_eq!(settled_after("/*/x", duplicates, document), None);
        let selected = r#"[{"k":"x","v":1},{"v":"a","k":"t"},{"k":"x","v":2}]"#;
        assert_eq!(settled_after("/[k=t]/v", duplicates, selected), Some(35), "at the end of the element");
        assert_eq!(settled_after("/*/[k=t]/v", duplicates, &format!("[{selected}]")), Some(36));
    }
    assert_eq!(settled_after("/*/id", Duplicates::Last, document), None);
}
