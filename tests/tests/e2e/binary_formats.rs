//! MessagePack and CBOR bodies, through the filter and through the service: each is routed unchanged, or refused for its
//! own reason.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{arrived, code};

const KIB: usize = 1024;

/// A body format, and how it writes what the bodies below consist of.
struct BinaryFormat {
    media_type: &'static str,
    /// `{"x": PADDING, "tenant": {"id": "acme"}}`, with the padding's bytes between these two.
    before: fn(u32) -> Vec<u8>,
    after: &'static [u8],
    /// `{"tenant": {"id": "acme"}}`.
    small: &'static [u8],
    refused: &'static [(&'static str, &'static [u8], &'static str)],
}

const FORMATS: [BinaryFormat; 2] = [
    BinaryFormat {
        media_type: "application/msgpack",
        before: |length| [b"\x82\xa1x\xc6".as_slice(), &length.to_be_bytes()].concat(),
        after: b"\xa6tenant\x81\xa2id\xa4acme",
        small: b"\x81\xa6tenant\x81\xa2id\xa4acme",
        refused: &[
            ("truncated", b"\x81\xa6tenant\x81\xa2id\xa4acm", "body_truncated"),
            ("an unused byte", b"\x81\xa6tenant\xc1", "body_malformed"),
            ("two documents", b"\x81\xa6tenant\x81\xa2id\xa4acme\xc0", "body_malformed"),
            ("a key that is nil", b"\x81\xa6tenant\x81\xa2id\xc0", "key_null"),
            ("a key that is binary", b"\x81\xa6tenant\x81\xa2id\xc4\x04acme", "key_malformed"),
            ("two keys", b"\x81\xa6tenant\x82\xa2id\xa4acme\xa2id\xa6globex", "key_duplicated"),
        ],
    },
    BinaryFormat {
        media_type: "application/vnd.example+cbor",
        before: |length| [b"\xbf\x61x\x5a".as_slice(), &length.to_be_bytes()].concat(),
        after: b"\x66tenant\xbf\x62id\x7f\x62ac\x62me\xff\xff\xff",
        small: b"\xd9\xd9\xf7\xa1\x66tenant\xa1\x62id\x64acme",
        refused: &[
            ("truncated", b"\xbf\x66tenant\xa1\x62id\x64acme", "body_truncated"),
            ("a reserved head", b"\xa1\x66tenant\x1c", "body_malformed"),
            ("a sequence", b"\xa1\x66tenant\xa1\x62id\x64acme\xa0", "body_malformed"),
            ("text that is not UTF-8", b"\xa1\x66tenant\xa1\x62id\x64acm\xff", "body_invalid_utf8"),
            ("a key that is undefined", b"\xa1\x66tenant\xa1\x62id\xf7", "key_null"),
            ("a key with a tag", b"\xa1\x66tenant\xa1\x62id\xc0\x64acme", "key_malformed"),
        ],
    },
];

impl BinaryFormat {
    /// The body with the key at its end, and padding of this many bytes.
    fn key_last(&self, padding: usize) -> Vec<u8> {
        [(self.before)(padding as u32), vec![0xff; padding], self.after.to_vec()].concat()
    }

    fn request(&self, body: &[u8]) -> Request {
        Request::post("/").header("content-type", self.media_type).body(body.to_vec())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tiers_route_and_refuse_messagepack_and_cbor() {
    let options = Options::default().buffer_limit(32 * KIB as u32).configure(|config| {
        config["key"] = json!([{"msgpack": "/tenant/id"}, {"cbor": "/tenant/id"}]);
    });
    let stack = Stack::start(options).await;
    let mut deferred = 0;
    for format in &FORMATS {
        // The filter holds small bodies, and defers those whose key is behind more bytes than it may hold.
        for (body, is_deferred) in
            [(format.small.to_vec(), false), (format.key_last(1000), false), (format.key_last(200 * KIB), true)]
        {
            deferred += u64::from(is_deferred);
            check_routed(&stack.send(&format.request(&body)).await, &body, format.media_type);
            assert_eq!(stack.ext_proc_streams().await, deferred, "{}, {} bytes", format.media_type, body.len());
        }
        let arrived_before = arrived(&stack);
        for (what, body, reason) in format.refused {
            let answer = stack.send(&format.request(body)).await;
            assert_eq!((answer.status.as_u16(), &*code(&answer)), (400, *reason), "{}: {what}", format.media_type);
        }
        for (cut, reason) in [(1, "body_truncated"), (0, "body_malformed")] {
            let mut body = format.key_last(200 * KIB);
            // Without its last byte, or with one byte more.
            if cut > 0 {
                body.truncate(body.len() - cut)
            } else {
                body.push(0)
            }
            deferred += 1;
            let answer = stack.send(&format.request(&body)).await;
            assert_eq!((answer.status.as_u16(), &*code(&answer)), (400, reason), "{}", format.media_type);
            assert_eq!(stack.ext_proc_streams().await, deferred);
        }
        assert_eq!(arrived(&stack), arrived_before, "no cell received any of them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_cbor_items_are_another_media_type() {
    let stack = Stack::start(Options::default().configure(|config| config["key"] = json!([{"cbor": "/id"}]))).await;
    for media_type in ["application/cbor-seq", "application/vnd.example+cbor-seq"] {
        let answer =
            stack.send(&Request::post("/").header("content-type", media_type).body(&b"\xa1\x62id\x61a"[..])).await;
        assert_eq!((answer.status.as_u16(), &*code(&answer)), (415, "content_type_unsupported"), "{media_type}");
    }
}

#[track_caller]
fn check_routed(answer: &Response, body: &[u8], what: &str) {
    assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(body)), "{what}, {} bytes", body.len());
}
