//! The JSON scanner makes a fixed number of small allocations, whatever the body is and however it is cut.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/allocations.rs"]
mod allocations;

use std::sync::Arc;

use allocations::{allocated, live_bytes};
use cellgate_routing::Duplicates;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::json::JsonScanner;

fn scanner() -> JsonScanner {
    scanner_for("/tenant/id")
}

fn scanner_for(pointer: &str) -> JsonScanner {
    JsonScanner::new(Arc::new(DocumentQuery::new(vec![pointer.parse().unwrap()], Duplicates::Reject, 64, 256)))
}

/// The rest of a body, with every kind of value many times over.
fn rest() -> String {
    let item = r#"{"a\u0041":"text \n ünïcode 😀","b":[1,-2.5e3,true,null,{}],"tenant":{"id":"not this one"}}"#;
    format!("\"items\":[{}],\"t\\u0065nan\":1,\"tenants\":\"{}\"}}", [item; 100].join(","), "x".repeat(5000))
}

#[test]
fn the_structure_cache_is_one_allocation() {
    let rest = rest();
    for size in [1, 7, 64, 1000, rest.len()] {
        let mut scanner = scanner();
        // The name is cut, so that the scanner allocates the room for text.
        scanner.push(b"{\"ten").unwrap();
        scanner.push(b"ant\":{\"id\":\"ac").unwrap();
        scanner.push(b"me\"},").unwrap();
        assert_eq!(scanner.candidate(0), Candidate::Found("acme"));
        let (allocations, bytes, ()) =
            allocated(|| rest.as_bytes().chunks(size).for_each(|chunk| scanner.push(chunk).unwrap()));
        assert_eq!(allocations, usize::from(size >= 1000), "chunks of {size}");
        assert!(bytes <= 5000, "{bytes} bytes for chunks of {size}");
        scanner.finish().unwrap();
    }
}

#[test]
fn a_long_value_takes_no_more_memory_than_the_longest_key() {
    let (allocations, bytes, scanner) = allocated(|| {
        let mut scanner = scanner();
        scanner.push(b"{\"tenant\":{\"id\":\"").unwrap();
        (0..10_000).for_each(|_| scanner.push(b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\\u0041").unwrap());
        scanner.push(b"\"}}").unwrap();
        scanner.finish().unwrap();
        scanner
    });
    assert_eq!(scanner.candidate(0), Candidate::Unusable(cellgate_routing::Reason::KeyTooLong));
    assert!(allocations < 30 && bytes < 4096, "{allocations} allocations of {bytes} bytes, the query included");
}

/// Memory depends on the pointers, and not on how many elements there are.
#[test]
fn a_million_elements_without_a_key_take_no_memory() {
    for pointer in ["/*/id", "/[k=t]/id", "/*/a/*/id"] {
        let mut scanner = scanner_for(pointer);
        scanner.push(b"[{}").unwrap();
        let chunk = ",{},{\"a\":[{},{}]}".repeat(1000);
        let (allocations, bytes, ()) = allocated(|| (0..250).for_each(|_| scanner.push(chunk.as_bytes()).unwrap()));
        assert!(allocations <= 1 && bytes <= 5000, "{pointer}: {allocations} allocations of {bytes} bytes");
        scanner.push(b",{\"k\":\"t\",\"id\":\"acme\"}]").unwrap();
        scanner.finish().unwrap();
    }
}

/// The key of each element is compared with the first one and not kept.
#[test]
fn the_keys_of_a_batch_are_not_kept() {
    let mut scanner = scanner_for("/*/id");
    scanner.push(b"[{\"id\":\"acme\"}").unwrap();
    let chunk = ",{\"id\":\"acme\"}".repeat(1000);
    let before = live_bytes();
    (0..100).for_each(|_| scanner.push(chunk.as_bytes()).unwrap());
    // One key may still be open in the last element, and the structure cache comes once.
    assert!(live_bytes() - before <= 5000, "{} bytes more", live_bytes() - before);
    assert_eq!(scanner.candidate(0), Candidate::Found("acme"));
}
