//! Bodies around and beyond the filter's limit of 32 KiB, and the service's of 2 MiB.

use super::Case;

const KIB: usize = 1024;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 40_000, 64 * KIB, 300 * KIB, 1024 * KIB] {
        cases.push(Case::new(format!("size: {size} bytes, key first"), "cell-b exact").json(key_first(size, "")));
        cases.push(Case::new(format!("size: {size} bytes, key last"), "cell-b exact").json(key_last(size)));
        cases.push(
            Case::new(format!("size: {size} bytes, key again at the end"), "400 key_duplicated")
                .json(key_first(size, r#","tenant":{"id":"acme"}"#)),
        );
        cases.push(
            Case::new(format!("size: {size} bytes, malformed at the end"), "400 body_malformed")
                .json(key_first(size, ",]")),
        );
        cases.push(
            Case::new(format!("size: {size} bytes, cut off"), "400 body_truncated").json(&key_last(size + 1)[..size]),
        );
        cases.push(Case::new(format!("size: {size} bytes, no key"), "400 key_missing").json(no_key(size)));
    }
    cases.push(
        Case::new("size: key beyond what the service holds", "413 body_too_large").json(key_last(2048 * KIB + 100)),
    );
    cases.push(Case::new("size: 3 MiB, key first", "cell-b exact").json(key_first(3072 * KIB, "")));
    cases.push(
        Case::new("size: 100 KiB form, key last", "cell-a exact")
            .form(format!("a={}&tenant_id=acme", "x".repeat(100 * KIB))),
    );
    cases
}

/// A document of exactly `size` bytes with its key in the first 100, and `end` before its last brace.
fn key_first(size: usize, end: &str) -> String {
    let (start, end) = (r#"{"tenant":{"id":"globex"},"x":""#, format!("\"{end}}}"));
    let padding = "p".repeat(size - start.len() - end.len());
    format!("{start}{padding}{end}")
}

fn key_last(size: usize) -> String {
    let (start, end) = (r#"{"x":""#, r#"","tenant":{"id":"globex"}}"#);
    let padding = "p".repeat(size - start.len() - end.len());
    format!("{start}{padding}{end}")
}

fn no_key(size: usize) -> String {
    let (start, end) = (r#"{"x":""#, r#""}"#);
    let padding = "p".repeat(size - start.len() - end.len());
    format!("{start}{padding}{end}")
}
