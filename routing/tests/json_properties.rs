//! The scanner, with and without its fast path, gives the same result as serde_json, on hostile documents cut in every
//! way.

#[path = "support/document.rs"]
mod document;
#[path = "support/oracle.rs"]
mod oracle;

use document::Choices;
use oracle::{Query, expected, scanned};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Checks a document whole, byte by byte, and cut in two at every place.
fn check_every_cut(query: &Query, document: &[u8]) -> Result<(), TestCaseError> {
    let expected = expected(query, document);
    let bytes: Vec<usize> = (0..document.len()).collect();
    prop_assert_eq!(&scanned(query, document, &[]), &expected, "whole: {}", document.escape_ascii());
    prop_assert_eq!(&scanned(query, document, &bytes), &expected, "byte by byte: {}", document.escape_ascii());
    for cut in 0..=document.len() {
        let found = scanned(query, document, &[cut]);
        prop_assert_eq!(&found, &expected, "cut at {}: {}", cut, document.escape_ascii());
    }
    Ok(())
}

/// `PROPTEST_CASES` runs more of them.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_document_in_two_chunks(choices in vec(any::<u8>(), 0..160)) {
        let mut choices = Choices(&choices);
        let query = choices.query();
        let document = choices.body(&query);
        check_every_cut(&query, &document)?;
    }

    #[test]
    fn long_documents_in_many_chunks(choices in vec(any::<u8>(), 200..3000), cuts in vec(vec(any::<u8>(), 20), 8)) {
        let mut choices = Choices(&choices);
        let query = choices.query();
        let document = choices.body(&query);
        let expected = expected(&query, &document);
        prop_assert_eq!(&scanned(&query, &document, &[]), &expected);
        for cuts in cuts {
            let cuts = Choices(&cuts).cuts(document.len());
            prop_assert_eq!(&scanned(&query, &document, &cuts), &expected, "cut at {:?}", cuts);
        }
    }

    /// Batches: the elements of lists and the lines of NDJSON, which must agree.
    #[test]
    fn batches_of_elements_and_records(choices in vec(any::<u8>(), 0..120), records in any::<bool>()) {
        let mut choices = Choices(&choices);
        let query = Query { records, ..choices.query() };
        let body = if records { choices.body(&query) } else { choices.batch() };
        check_every_cut(&query, &body)?;
    }

    /// Lists of records, which the structure cache reads, with one byte changed or not.
    #[test]
    fn lists_of_records(
        choices in vec(any::<u8>(), 50..1500),
        change in option::of((any::<prop::sample::Index>(), prop::sample::select(CHANGES))),
        cuts in vec(vec(any::<u8>(), 20), 4),
    ) {
        let mut choices = Choices(&choices);
        let query = choices.query();
        let mut document = choices.records();
        if let Some((place, byte)) = change {
            let place = place.index(document.len());
            document[place] = byte;
        }
        // Shorter documents do not use the structure cache.
        document.extend([b' '; 1600]);
        let expected = expected(&query, &document);
        let bytes: Vec<usize> = (0..document.len()).collect();
        prop_assert_eq!(&scanned(&query, &document, &[]), &expected, "whole: {}", document.escape_ascii());
        prop_assert_eq!(&scanned(&query, &document, &bytes), &expected, "byte by byte: {}", document.escape_ascii());
        for cuts in cuts {
            let cuts = Choices(&cuts).cuts(document.len());
            prop_assert_eq!(&scanned(&query, &document, &cuts), &expected, "cut at {:?}: {}", cuts, document.escape_ascii());
        }
    }

    #[test]
    fn any_bytes(document in vec(any::<u8>(), 0..64)) {
        check_every_cut(&Query { pointers: vec!["/tenant/id".into()], ..Query::default() }, &document)?;
        let records = Query { pointers: vec!["/*".into()], records: true, ..Query::default() };
        check_every_cut(&records, &document)?;
    }

    #[test]
    fn any_sequence_of_tokens(tokens in vec(prop::sample::select(TOKENS), 0..12)) {
        let query = Query { pointers: vec!["/tenant/id".into()], ..Query::default() };
        check_every_cut(&query, tokens.concat().as_bytes())?;
        let batch = Query { pointers: vec!["/*/id".into(), "/[id=a]/tenant".into()], records: true, ..query };
        check_every_cut(&batch, tokens.concat().as_bytes())?;
    }
}

/// Bytes that replace another one: all that have a meaning in JSON, and some that are never valid.
const CHANGES: &[u8] = b"{}[]:,\"\\ \n\t0127.-+eEtfnu\x00\x1f\x7f\x80\xc3\xff/x";

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    " ",
    "\n",
    "\"",
    "\"tenant\"",
    "\"id\"",
    "\"tenant\":{",
    "\"id\":",
    "0",
    "-",
    "1",
    ".",
    "e",
    "true",
    "false",
    "null",
    "t",
    "nul",
    "\\u0061",
    "\\",
    "\\ud800",
    "\\udc00",
    "é",
];

fn kind(held: oracle::Held) -> String {
    match held {
        oracle::Held::Found(_) => "found".to_owned(),
        oracle::Held::Missing => "missing".to_owned(),
        oracle::Held::Unusable(reason) => reason.to_string(),
    }
}

/// The generator must reach every kind of verdict. Otherwise the properties would prove nothing about it.
#[test]
fn documents_reach_every_verdict() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut seen = std::collections::BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..20_000 {
        let row = vec(any::<u8>(), 0..160).new_tree(&mut runner).unwrap().current();
        let mut choices = Choices(&row);
        let query = choices.query();
        for body in [choices.body(&query), choices.batch()] {
            let kinds: Vec<String> = match expected(&query, &body) {
                Ok(held) => held.into_iter().map(kind).collect(),
                Err((reason, _)) => vec![reason.to_string()],
            };
            kinds.into_iter().for_each(|kind| *seen.entry(kind).or_insert(0) += 1);
        }
    }
    println!("{seen:?}");
    let kinds = "found missing key_null key_boolean key_float key_object key_array key_empty key_too_long \
        key_control_character key_duplicated key_conflict key_ambiguous key_malformed body_malformed body_truncated \
        body_lone_surrogate body_invalid_utf8 body_byte_order_mark \
        body_too_deep";
    for kind in kinds.split_whitespace() {
        assert!(seen.get(kind).is_some_and(|count| *count >= 10), "{kind}: {seen:?}");
    }
}
