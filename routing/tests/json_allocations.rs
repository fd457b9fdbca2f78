//! The JSON scanner makes a fixed number of small allocations, whatever the body is and however it is cut.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/allocations.rs"]
mod allocations;

use std::sync::Arc;

use allocations::allocated;
use cellgate_routing::Duplicates;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::json::JsonScanner;

fn scanner() -> JsonScanner {
    let pointer = "/tenant/id".parse().unwrap();
    JsonScanner::new(Arc::new(DocumentQuery::new(vec![pointer], Duplicates::Reject, 64, 256)))
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
