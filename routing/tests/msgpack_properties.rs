//! The MessagePack scanner against rmpv, which decodes the document, and the oracle of the JSON scanner, which finds the
//! keys: random documents in every encoding, random damage, every cut.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

#[path = "support/msgpack.rs"]
mod msgpack;
#[allow(dead_code, reason = "the scanner of JSON is not run here")]
#[path = "support/oracle.rs"]
mod oracle;
#[path = "support/tree.rs"]
mod tree;

use proptest::collection::vec;
use proptest::prelude::*;
use tree::{Kind, expected_of, queries, simplify, trees};

/// `PROPTEST_CASES` runs more of them.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn keys_are_those_of_the_same_document_in_json(
        query in queries(),
        tree in trees(Kind::Msgpack),
        widths in vec(any::<u8>(), 0..60),
    ) {
        let document = msgpack::encode(&tree, &widths);
        prop_assert_eq!(msgpack::decode(&document), Some(tree.clone()), "the encoder of this test is wrong");
        if let Some(expected) = expected_of(&query, &tree) {
            prop_assert_eq!(simplify(msgpack::scan(&query, &document)), expected, "{}", document.escape_ascii());
        }
    }

    #[test]
    fn damaged_documents_are_refused_as_by_rmpv(
        query in queries(),
        tree in trees(Kind::Msgpack),
        widths in vec(any::<u8>(), 0..60),
        damage in vec(tree::damage(), 1..4),
    ) {
        let mut document = msgpack::encode(&tree, &widths);
        damage.iter().for_each(|damage| damage.apply(&mut document));
        msgpack::check(&query, &document);
    }

    #[test]
    fn any_bytes(query in queries(), document in vec(any::<u8>(), 0..40)) {
        msgpack::check(&query, &document);
    }
}

/// The generators must reach every kind of verdict. Otherwise the properties would prove nothing about it.
#[test]
fn documents_reach_every_verdict() {
    let seen = tree::verdicts(Kind::Msgpack, |query, tree, widths, damage| {
        let mut document = msgpack::encode(tree, widths);
        damage.iter().for_each(|damage| damage.apply(&mut document));
        msgpack::scan(query, &document)
    });
    println!("{seen:?}");
    let kinds = "found missing key_null key_boolean key_float key_object key_array key_empty key_too_long key_malformed \
        key_control_character key_duplicated key_ambiguous body_malformed body_truncated body_too_deep";
    for kind in kinds.split_whitespace() {
        assert!(seen.get(kind).is_some_and(|count| *count >= 5), "{kind}: {seen:?}");
    }
}
