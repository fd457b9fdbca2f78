//! Bodies that are released early: every chunk is scanned before it is forwarded.

use proxy_wasm::types::Action;

use super::assert_delivered;
use crate::fake::Exchange;

const START: &[u8] = br#"{"tenant":"acme","#;

fn released() -> Exchange {
    let mut exchange = Exchange::json(100_000);
    exchange.headers(false);
    assert_eq!(exchange.body(START, false), Action::Continue);
    assert_eq!(exchange.header("x-cell"), ["cell-a"]);
    exchange
}

#[track_caller]
fn assert_ended(exchange: &Exchange, code: &str, upstream: &[u8]) {
    assert_eq!(exchange.answered(), Some(400));
    assert!(!exchange.complete, "the upstream has a complete body");
    assert_eq!(exchange.upstream, upstream, "the chunk with the conflict must not be forwarded");
    assert_eq!(exchange.note(), format!("reject=400;reason={code};after=cell-a"));
    assert_eq!(exchange.counter("cellgate.guard_conflicts"), 1);
    assert_eq!(exchange.counter("cellgate.decisions.cell.exact"), 1, "a request is decided once");
}

/// Regression: the request was guarded after its refusal, so its next chunk was forwarded.
#[test]
fn nothing_is_forwarded_after_a_failed_release() {
    let mut exchange = Exchange::json(100_000);
    exchange.headers(false);
    exchange.host.world().keeps_headers = true;
    assert_eq!(exchange.body(START, false), Action::Pause);
    assert_eq!(exchange.answered(), Some(500));
    assert_eq!(exchange.body(br#""a":1}"#, true), Action::Pause);
    assert_eq!(exchange.upstream, b"");
}

#[test]
fn the_rest_is_scanned_and_forwarded() {
    let mut exchange = released();
    for part in [&br#""a":1,"#[..], b"", br#""b":2}"#] {
        assert_eq!(exchange.body(part, false), Action::Continue);
    }
    exchange.body(b"", true);
    exchange.end();
    assert_delivered(&exchange, "cell-a", br#"{"tenant":"acme","a":1,"b":2}"#);
    assert_eq!(exchange.host.world().copied, exchange.upstream.len());
}

#[test]
fn a_second_key_ends_the_request() {
    let mut exchange = released();
    assert_eq!(exchange.body(br#""a":1,"#, false), Action::Continue);
    assert_eq!(exchange.body(br#""tenant":"globex"}"#, false), Action::Pause);
    assert_ended(&exchange, "key_duplicated", br#"{"tenant":"acme","a":1,"#);
    assert_eq!(exchange.header("x-cell"), ["cell-a"], "too late to change");
}

#[test]
fn a_second_key_split_over_chunks_ends_the_request() {
    let rest = br#""tenant":"globex"}"#;
    for cut in 1..rest.len() {
        let mut exchange = released();
        if exchange.body(&rest[..cut], false) == Action::Continue {
            assert_eq!(exchange.body(&rest[cut..], true), Action::Pause, "cut at {cut}");
        }
        assert_eq!(exchange.answered(), Some(400));
        assert!(!exchange.complete);
    }
}

#[test]
fn a_syntax_error_ends_the_request() {
    let mut exchange = released();
    assert_eq!(exchange.body(b"nonsense", false), Action::Pause);
    assert_ended(&exchange, "body_malformed", START);
}

#[test]
fn a_truncated_document_ends_the_request_at_the_end_of_the_stream() {
    // HTTP/1 reports the end in an empty callback, HTTP/2 with the last frame.
    for (last, upstream) in [(&b""[..], START), (br#""a":1"#, START)] {
        let mut exchange = released();
        assert_eq!(exchange.body(last, true), Action::Pause);
        assert_ended(&exchange, "body_truncated", upstream);
    }
}

#[test]
fn a_body_ends_at_its_content_length() {
    // HTTP/1 reports the end one callback after the last byte. By then, an upstream that counts bytes has a complete body.
    let body = br#"{"tenant":"acme","a":[1,2,3]"#;
    let padded = format!("{}{}", String::from_utf8_lossy(body), " ".repeat(2000));
    let length = padded.len().to_string();
    for cut in [20, 2000, padded.len() - 1] {
        let mut exchange = Exchange::new(&[("content-type", "application/json"), ("content-length", &length)]);
        exchange.headers(false);
        assert_eq!(exchange.body(&padded.as_bytes()[..cut], false), Action::Continue);
        assert_eq!(exchange.body(&padded.as_bytes()[cut..], false), Action::Pause);
        assert_ended(&exchange, "body_truncated", &padded.as_bytes()[..cut]);
    }
}

#[test]
fn the_last_field_of_a_form_is_complete_at_the_content_length() {
    let body = format!("tenant=acme&a={}&tenant=globex", "b".repeat(2000));
    let length = body.len().to_string();
    let form = [("content-type", "application/x-www-form-urlencoded"), ("content-length", &length)];
    let mut exchange = Exchange::new(&form);
    exchange.headers(false);
    assert_eq!(exchange.body(&body.as_bytes()[..100], false), Action::Continue);
    assert_eq!(exchange.body(&body.as_bytes()[100..], false), Action::Pause);
    assert_ended(&exchange, "key_duplicated", &body.as_bytes()[..100]);
}

#[test]
fn trailers_end_a_guarded_body() {
    let mut exchange = released();
    assert_eq!(exchange.body(br#""a":1}"#, false), Action::Continue);
    assert_eq!(exchange.trailers(&[("x-cell", "cell-b"), ("grpc-status", "0")]), Action::Continue);
    assert_delivered(&exchange, "cell-a", br#"{"tenant":"acme","a":1}"#);
    assert_eq!(exchange.host.world().trailers.len(), 1);

    let mut exchange = released();
    assert_eq!(exchange.trailers(&[]), Action::Pause);
    assert_ended(&exchange, "body_truncated", START);
}

#[test]
fn bytes_after_the_document_end_the_request() {
    let mut exchange = released();
    assert_eq!(exchange.body(br#""a":1}"#, false), Action::Continue);
    assert_eq!(exchange.body(b" \n", false), Action::Continue);
    assert_eq!(exchange.body(b"{", false), Action::Pause);
    assert_eq!(exchange.answered(), Some(400));
}

#[test]
fn no_hostcall_follows_a_local_reply() {
    let mut exchange = released();
    exchange.body(b"nonsense", false);
    let calls = exchange.host.world().calls;
    assert_eq!(exchange.body(b"more", false), Action::Pause);
    assert_eq!(exchange.body(b"", true), Action::Pause);
    assert_eq!(exchange.host.world().calls, calls);
}
