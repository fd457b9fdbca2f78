//! A file in a multipart body is never held, whatever it contains and however it is cut.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/allocations.rs"]
mod allocations;

use std::sync::Arc;

use allocations::allocated;
use cellgate_routing::Duplicates;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::multipart::{FieldQuery, MultipartScanner};

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

fn scanner() -> MultipartScanner {
    let query = FieldQuery::new(vec!["tenant".into()], Duplicates::Reject, 256);
    MultipartScanner::new(Arc::new(query), BOUNDARY.as_bytes())
}

/// 10 MB of bytes, of dashes, and of almost the delimiter.
fn files() -> [Vec<u8>; 3] {
    let nearly = format!("\r\n--{}", BOUNDARY.strip_suffix('W').unwrap_or_default());
    [b"\0\xff\r\n".repeat(2_500_000), b"-".repeat(10_000_000), nearly.repeat(10_000_000 / nearly.len()).into_bytes()]
}

#[test]
fn a_file_of_10_mb_costs_no_allocation() {
    for file in files() {
        for size in [100, 16 << 10, file.len()] {
            let mut scanner = scanner();
            let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
            scanner.push(format!("--{BOUNDARY}\r\n{head}").as_bytes()).unwrap();
            let (allocations, bytes, ()) =
                allocated(|| file.chunks(size).for_each(|chunk| scanner.push(chunk).unwrap()));
            assert_eq!((allocations, bytes), (0, 0), "chunks of {size}");
            let field = "Content-Disposition: form-data; name=\"tenant\"\r\n\r\nacme";
            scanner.push(format!("\r\n--{BOUNDARY}\r\n{field}\r\n--{BOUNDARY}--\r\n").as_bytes()).unwrap();
            scanner.finish().unwrap();
            assert_eq!(scanner.candidate(0), Candidate::Found("acme"));
        }
    }
}

#[test]
fn many_parts_with_long_names_take_no_more_memory_than_one_header() {
    let name = "n".repeat(4000);
    let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n");
    let mut scanner = scanner();
    scanner.push(part.as_bytes()).unwrap();
    // Each part allocates its name and frees it again.
    for _ in 0..100 {
        let (allocations, bytes, ()) = allocated(|| scanner.push(part.as_bytes()).unwrap());
        assert!(allocations <= 1 && bytes <= name.len(), "{allocations} allocations of {bytes} bytes");
    }
}

#[test]
fn a_long_value_takes_no_more_memory_than_the_longest_key() {
    let mut scanner = scanner();
    scanner.push(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=tenant\r\n\r\n").as_bytes()).unwrap();
    let value = [b'v'; 10_000];
    let (_, bytes, ()) = allocated(|| (0..100).for_each(|_| scanner.push(&value).unwrap()));
    assert!(bytes < 2000, "{bytes} bytes");
    scanner.push(format!("\r\n--{BOUNDARY}--").as_bytes()).unwrap();
    scanner.finish().unwrap();
    assert_eq!(scanner.candidate(0), Candidate::Unusable(cellgate_routing::Reason::KeyTooLong));
}
