//! Faults of a JSON text that a policy may accept: escapes of lone surrogates, and a byte order mark.
//!
//! Every case is scanned whole and in every pair of chunks, with and without the fast path.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/oracle.rs"]
mod oracle;

use cellgate_routing::document::AcceptedFaults;
use cellgate_routing::{Decider, Duplicates, HeadResult, Outcome, Reason, Tier};
use oracle::Held::{Found, Missing, Unusable};
use oracle::{Query, Verdict, expected, scanned};

const ALL: AcceptedFaults = AcceptedFaults { lone_surrogates: true, byte_order_mark: true };
const NONE: AcceptedFaults = AcceptedFaults { lone_surrogates: false, byte_order_mark: false };

fn verdict(query: &Query, document: &[u8]) -> Verdict {
    let verdict = scanned(query, document, &[]);
    assert_eq!(verdict, expected(query, document), "{}", document.escape_ascii());
    for cut in 0..=document.len() {
        assert_eq!(scanned(query, document, &[cut]), verdict, "{} cut at {cut}", document.escape_ascii());
    }
    verdict
}

fn query(pointer: &str, accepted: AcceptedFaults) -> Query {
    Query { pointers: vec![pointer.to_owned()], accepted, ..Query::default() }
}

#[test]
fn a_lone_surrogate_is_refused_where_it_shows() {
    for (document, offset) in [
        (r#""\udc00""#, 6),
        (r#""\ud800""#, 7),
        (r#""\ud800x""#, 7),
        (r#""\ud800\n""#, 8),
        (r#""\ud800\u0041""#, 12),
        (r#""\ud800\ud800""#, 12),
        (r#""\ud800\\""#, 8),
        (r#"{"\ud83d":1}"#, 8),
        ("\"\\ud800\u{e9}\"", 7),
    ] {
        let refused = verdict(&query("/k", NONE), document.as_bytes());
        assert_eq!(refused, Err((Reason::BodyLoneSurrogate, offset)), "{document}");
    }
    for document in [r#""\ud800\u00g0""#, r#""\ud800\x""#] {
        assert!(verdict(&query("/k", ALL), document.as_bytes()).is_err_and(|wrong| wrong.0 == Reason::BodyMalformed));
    }
}

/// RFC 8259, 8.2: `"\uDEAD"` is grammatical. A string that no source reads cannot change the key.
#[test]
fn a_lone_surrogate_off_the_path_is_accepted() {
    for text in [
        r"hi \ud83d",
        r"\ude00",
        r"\ud83d\ud83d\ude00",
        r"\ud800\ud800\ud800",
        r"\ud800\\",
        r#"\ud800\""#,
        r"\ud800\u0041",
        r"\ud800é",
        r"\udc00\ud800",
    ] {
        for document in [
            format!(r#"{{"text":"{text}","k":"acme"}}"#),
            format!(r#"{{"k":"acme","more":[["{text}"],{{"{text}":{{"{text}":1}}}}]}}"#),
            format!(r#"{{"k":"acme","{}":"{text}"}}"#, "long".repeat(30)),
        ] {
            assert_eq!(verdict(&query("/k", ALL), document.as_bytes()), Ok(vec![Found("acme".into())]), "{document}");
        }
    }
}

#[test]
fn a_lone_surrogate_in_a_key_makes_it_malformed() {
    for text in [r"acme\ud83d", r"\ude00acme", r"\ud83d\u0041", r"\ud83d\ud83d\ude00"] {
        let document = format!(r#"{{"k":"{text}"}}"#);
        assert_eq!(verdict(&query("/k", ALL), document.as_bytes()), Ok(vec![Unusable(Reason::KeyMalformed)]));
        // A value that is not a source's is no key.
        assert_eq!(verdict(&query("/k/id", ALL), document.as_bytes()), Ok(vec![Missing]));
        let batch = format!(r#"[{document},{{"k":"acme"}}]"#);
        assert_eq!(verdict(&query("/*/k", ALL), batch.as_bytes()), Ok(vec![Unusable(Reason::KeyConflict)]));
        let selected = format!(r#"[{{"k":"{text}","v":"acme"}}]"#);
        assert_eq!(verdict(&query("/[k=a]/v", ALL), selected.as_bytes()), Ok(vec![Unusable(Reason::KeyMalformed)]));
    }
}

/// Parsers replace, drop or keep the surrogate, and might read the name of the path.
#[test]
fn a_lone_surrogate_in_a_name_on_the_path_is_refused() {
    for duplicates in [Duplicates::Reject, Duplicates::First, Duplicates::Last] {
        let query = Query { duplicates, ..query("/t/id", ALL) };
        for document in [r#"{"\ud83d":1,"t":{"id":"a"}}"#, r#"{"t":{"id":"a","id\ude00":"b"}}"#] {
            let refused = verdict(&query, document.as_bytes());
            assert!(refused.is_err_and(|wrong| wrong.0 == Reason::BodyLoneSurrogate), "{document}");
        }
        let other = verdict(&query, br#"{"x":{"\ud83d":1},"t":{"id":"a","o":{"\ude00":2}}}"#);
        assert_eq!(other, Ok(vec![Found("a".into())]));
    }
}

#[test]
fn a_byte_order_mark_is_skipped_once_if_it_is_accepted() {
    let of = |document: &[u8]| verdict(&query("", ALL), document);
    assert_eq!(of(b"\xef\xbb\xbf\"acme\""), Ok(vec![Found("acme".into())]));
    assert_eq!(of(b"\xef\xbb\xbf \n7"), Ok(vec![Found("7".into())]));
    assert_eq!(of(b"\xef\xbb\xbf"), Err((Reason::BodyTruncated, 3)));
    assert_eq!(of(b"\xef\xbb\xbf\xef\xbb\xbf7"), Err((Reason::BodyMalformed, 3)));
    assert_eq!(of(b" \xef\xbb\xbf7"), Err((Reason::BodyMalformed, 1)));
    assert_eq!(of(b"\xef\xbb7"), Err((Reason::BodyMalformed, 0)));
    let records = Query { records: true, ..query("", ALL) };
    assert_eq!(verdict(&records, b"\xef\xbb\xbf7\n7\n"), Ok(vec![Found("7".into())]));
    assert_eq!(verdict(&records, b"\xef\xbb\xbf\n7\n"), Ok(vec![Found("7".into())]));
    assert_eq!(verdict(&records, b"\n\xef\xbb\xbf7\n"), Err((Reason::BodyMalformed, 1)));
    assert_eq!(verdict(&records, b"7\n\xef\xbb\xbf7\n"), Err((Reason::BodyMalformed, 2)));
}

/// The outcome and the reason for a JSON body, with some fields of a policy.
fn decide(policy: &str, body: &str) -> (Outcome, Reason) {
    let text = format!(
        r#"{{"routing_header":"x-cell","cells":["a"],"key":[{{"json":"/t/id"}}],
            "placement":{{"default":"a"}},"policy":{{{policy}}}}}"#
    );
    let config = cellgate_config::from_json(&text, "test").unwrap_or_else(|error| panic!("{error}"));
    let head = [(":method", "POST"), (":path", "/"), ("content-type", "application/json")];
    let HeadResult::NeedsBody(mut reader) = Decider::new(config, Tier::Filter).open(&head[..], false) else {
        panic!("the body is not read")
    };
    let decision = reader.push(body.as_bytes()).err().unwrap_or_else(|| reader.finish());
    (decision.outcome, decision.reason)
}

#[test]
fn the_policy_accepts_or_refuses_each_fault() {
    let cell = (Outcome::Cell(cellgate_routing::CellId(0)), Reason::Default);
    let lone = r#"{"x":"\ud83d","t":{"id":"acme"}}"#;
    assert_eq!(decide("", lone), cell);
    assert_eq!(decide(r#""body_lone_surrogate":"accept""#, lone), cell);
    let refused = (Outcome::Reject(422), Reason::BodyLoneSurrogate);
    assert_eq!(decide(r#""body_lone_surrogate":{"reject":422}"#, lone), refused);
    let on_path = r#"{"\ud83d":1,"t":{"id":"acme"}}"#;
    assert_eq!(decide("", on_path), (Outcome::Reject(400), Reason::BodyLoneSurrogate));
    assert_eq!(decide("", r#"{"t":{"id":"\ud83d"}}"#), (Outcome::Reject(400), Reason::KeyMalformed));
    let mark = "\u{feff}{\"t\":{\"id\":\"acme\"}}";
    assert_eq!(decide("", mark), (Outcome::Reject(400), Reason::BodyByteOrderMark));
    assert_eq!(decide(r#""body_byte_order_mark":"accept""#, mark), cell);
}
