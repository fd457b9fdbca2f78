//! The scanners of MessagePack and CBOR allocate by the configuration, whatever the body is and whatever its lengths say.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/allocations.rs"]
mod allocations;

use std::sync::Arc;

use allocations::allocated;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::cbor::CborScanner;
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::msgpack::MsgpackScanner;
use cellgate_routing::{Duplicates, Reason};

type Scanner = Box<dyn BodyScanner>;

fn query(pointer: &str) -> Arc<DocumentQuery> {
    Arc::new(DocumentQuery::new(vec![pointer.parse().unwrap()], Duplicates::Reject, 64, 256))
}

#[test]
fn a_million_elements_take_no_more_memory_than_one() {
    let scanners: [(&[u8], &[u8], Scanner); 3] = [
        (b"\xdd\x00\x0f\x42\x41", b"\x80", Box::new(MsgpackScanner::new(query("/*/id")))),
        (b"\x9a\x00\x0f\x42\x41", b"\xa0", Box::new(CborScanner::new(query("/*/id")))),
        (b"\x9f", b"\xbf\xff", Box::new(CborScanner::new(query("/*/id")))),
    ];
    for (head, element, mut scanner) in scanners {
        let elements = element.repeat(1000);
        let (_, bytes, ()) = allocated(|| {
            scanner.push(head).unwrap();
            (0..1000).for_each(|_| scanner.push(&elements).unwrap());
        });
        assert!(bytes < 1024, "{bytes} bytes");
        assert_eq!(scanner.candidate(0), Candidate::Missing);
        // The last element, which has the key. In the indefinite array, the break follows.
        let last: &[u8] = match (head[0], element[0]) {
            (0xdd, _) => b"\x81\xa2id\xa1a",
            (0x9a, _) => b"\xa1\x62id\x61a",
            _ => b"\xa1\x62id\x61a\xff",
        };
        scanner.push(last).unwrap();
        scanner.finish().unwrap();
        assert_eq!(scanner.candidate(0), Candidate::Found("a"));
    }
}

#[test]
fn lengths_and_long_strings_allocate_nothing_of_their_size() {
    let heads: [(&[u8], Scanner); 6] = [
        (b"\x81\xa2id\xdb\xff\xff\xff\xff", Box::new(MsgpackScanner::new(query("/id")))),
        (b"\x81\xdb\xff\xff\xff\xff", Box::new(MsgpackScanner::new(query("/id")))),
        (b"\xa1\x62id\x7b\xff\xff\xff\xff\xff\xff\xff\xff", Box::new(CborScanner::new(query("/id")))),
        (b"\xa1\x62id\x7f\x7b\xff\xff\xff\xff\xff\xff\xff\xff", Box::new(CborScanner::new(query("/id")))),
        (b"\xa1\x7b\xff\xff\xff\xff\xff\xff\xff\xff", Box::new(CborScanner::new(query("/id")))),
        (b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x62id\x60\x5f", Box::new(CborScanner::new(query("/id")))),
    ];
    for (head, mut scanner) in heads {
        let (allocations, bytes, finished) = allocated(|| {
            scanner.push(head).unwrap();
            // A chunk of 32 bytes, if a string of chunks is open.
            let chunk = [b"\x58\x1e".as_slice(), &[b'x'; 30]].concat();
            (0..1000).for_each(|_| scanner.push(&chunk).unwrap());
            scanner.finish()
        });
        assert_eq!(finished.map_err(|error| error.reason), Err(Reason::BodyTruncated));
        assert!(
            allocations < 20 && bytes < 4096,
            "{allocations} allocations of {bytes} bytes: {}",
            head.escape_ascii()
        );
    }
}
