//! Bodies with a Content-Encoding.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// An encoded `{"t":"one"}`.
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x0b\0\xf4\xff{\"t\":\"one\"}\xa3\x3c\xc6\xaa\x0b\0\0\0";

#[test]
fn the_filter_decodes_what_it_holds_and_the_service_the_rest() {
    let decider = |tier| {
        let text = CONFIG.replace("POLICY", r#", "content_encodings": ["gzip", "deflate", "br", "zstd"]"#);
        Decider::new(cellgate_config::from_json(&text, "test.json").unwrap(), tier)
    };
    let (filter, service) = (decider(Tier::Filter), decider(Tier::Service));
    let is_read = |decider: &Decider, encoding: &str, length: &str| {
        let head = [JSON, ("content-encoding", encoding), ("content-length", length)];
        match decider.open(&head[..], false) {
            HeadResult::NeedsBody(reading) => reading.decoded().is_some(),
            HeadResult::Decided(decision) => {
                assert_eq!(decision.reason.label(), "body_encoded", "{encoding}");
                false
            }
        }
    };
    for encoding in ["gzip", "deflate", "x-gzip", "br", "zstd", "gzip, gzip", "gzip, br"] {
        assert!(is_read(&service, encoding, "1000000"), "{encoding}");
        assert!(!is_read(&filter, encoding, "32769"), "{encoding}");
        let is_small = !encoding.contains([',', 'b', 's']);
        assert_eq!(is_read(&filter, encoding, "32768"), is_small, "{encoding}");
        assert!(!is_read(&filter, encoding, "x"), "of unknown length, {encoding}");
    }
    for decider in [&filter, &service] {
        assert!(!is_read(decider, "gzip, gzip, gzip", "10"));
        assert!(!is_read(decider, "compress", "10"));
    }
    let head = [JSON, ("content-encoding", "gzip"), ("content-length", "34")];
    for decider in [&filter, &service] {
        let mut reading = open(decider, &head);
        reading.push(GZIP).unwrap();
        assert_eq!(show(decider, reading.finish()), "a exact");
        assert_eq!(reading.decoded().unwrap().bytes, 11);
    }
}

/// The service may read more of it, so the filter does not refuse it.
#[test]
fn the_filter_defers_a_body_that_decodes_to_much() {
    let text = CONFIG
        .replace("POLICY", r#", "content_encodings": ["gzip"]"#)
        .replace(r#""depth": 4"#, r#""depth": 4, "inspect_bytes": 1024"#);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(&[&b"{"[..], &b" ".repeat(8192), br#""t":"one"}"#].concat()).unwrap();
    let body = encoder.finish().unwrap();
    let length = body.len().to_string();
    let head = [JSON, ("content-encoding", "gzip"), ("content-length", &length)];
    for (tier, expected) in [(Tier::Filter, "defer body_too_large"), (Tier::Service, "a exact")] {
        let decider = Decider::new(cellgate_config::from_json(&text, "test.json").unwrap(), tier);
        let mut reading = open(&decider, &head);
        let decision = reading.push(&body).map_or_else(|decision| decision, |()| reading.finish());
        assert_eq!(show(&decider, decision), expected);
    }
}

/// A server that reads only the first member has the key `o`.
#[test]
fn several_gzip_members_are_refused_or_joined() {
    let member = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let body = [member(b"t=o"), member(b"ne")].concat();
    let length = body.len().to_string();
    let head = [FORM, ("content-encoding", "gzip"), ("content-length", &length)];
    for (policy, expected) in
        [("", "reject 400 body_several_members"), (r#", "policy": {"body_several_members": "accept"}"#, "a exact")]
    {
        let text = CONFIG.replace("POLICY", &format!(r#", "content_encodings": ["gzip"]{policy}"#));
        for tier in [Tier::Filter, Tier::Service] {
            let decider = Decider::new(cellgate_config::from_json(&text, "test.json").unwrap(), tier);
            let mut reading = open(&decider, &head);
            let decision = reading.push(&body).map_or_else(|decision| decision, |()| reading.finish());
            assert_eq!(show(&decider, decision), expected, "{tier:?}");
        }
    }
}
