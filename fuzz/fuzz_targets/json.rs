//! The JSON scanner against serde_json: any document, any query, any chunks.
//!
//! The input's first line chooses the query and the cuts; the rest is the document. After a line that starts with `!`,
//! the rest is a row of choices that the property tests' generator makes a document from; after `?`, a list of records.
#![no_main]

#[path = "../../routing/tests/support/document.rs"]
mod document;
#[path = "../../routing/tests/support/oracle.rs"]
mod oracle;

use document::Choices;
use libfuzzer_sys::fuzz_target;
use oracle::{expected, scanned};

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, rest) = input.split_at(line);
    let rest = rest.get(1..).unwrap_or_default();
    let (document, choices) = match line {
        [b'!', choices @ ..] => (Choices(rest).document(), choices),
        // Space behind it, since shorter documents are not worth a memory.
        [b'?', choices @ ..] => ([Choices(rest).records(), vec![b' '; 1600]].concat(), choices),
        choices => (rest.to_vec(), choices),
    };
    let mut choices = Choices(choices);
    let query = choices.query();
    let cuts = choices.cuts(document.len());

    let expected = expected(&query, &document);
    assert_eq!(scanned(&query, &document, &[]), expected, "whole");
    assert_eq!(scanned(&query, &document, &cuts), expected, "cut at {cuts:?}");
    let bytes: Vec<usize> = (0..document.len()).collect();
    assert_eq!(scanned(&query, &document, &bytes), expected, "byte by byte");
});
