//! The JSON scanner, with and without its fast path, against serde_json: any document, any query, any chunks.
//!
//! The first line of the input chooses the query and the cuts, and the rest is the document. After a line that starts
//! with `!`, the property tests' generator makes a document from the rest; after `?`, it makes a list of records.
#![no_main]

#[allow(dead_code, reason = "the property tests use all of it")]
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
        // Whitespace after it, because shorter documents do not use the structure cache.
        [b'?', choices @ ..] => ([Choices(rest).records(), vec![b' '; 1600]].concat(), choices),
        choices => (rest.to_vec(), choices),
    };
    // The oracle's mark, as a character and as an escape.
    let mut text = document.to_ascii_lowercase();
    text.retain(|byte| *byte != b'\\');
    if [&b"ue0ff"[..], "\u{e0ff}".as_bytes()].iter().any(|mark| text.windows(mark.len()).any(|part| part == *mark)) {
        return;
    }
    let mut choices = Choices(choices);
    let query = choices.query();
    let cuts = choices.cuts(document.len());

    let expected = expected(&query, &document);
    assert_eq!(scanned(&query, &document, &[]), expected, "whole");
    assert_eq!(scanned(&query, &document, &cuts), expected, "cut at {cuts:?}");
    let bytes: Vec<usize> = (0..document.len()).collect();
    assert_eq!(scanned(&query, &document, &bytes), expected, "byte by byte");
});
