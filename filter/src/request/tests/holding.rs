//! Bodies that fit: the filter holds them until all of it is scanned.

use proxy_wasm::types::Action;

use super::{ACME, assert_deferred, assert_delivered, assert_refused, late};
use crate::fake::Exchange;

#[test]
fn every_way_to_cut_a_body_gives_the_same_decision() {
    for cut in 0..=ACME.len() {
        let (one, two) = ACME.split_at(cut);
        assert_delivered(&Exchange::json(ACME.len()).http1(&[one, two]), "cell-a", ACME);
        assert_delivered(&Exchange::json(ACME.len()).http2(&[one, two]), "cell-a", ACME);
    }
    let bytes: Vec<&[u8]> = ACME.chunks(1).collect();
    assert_delivered(&Exchange::json(ACME.len()).http1(&bytes), "cell-a", ACME);
}

#[test]
fn nothing_is_forwarded_before_the_end() {
    let mut exchange = Exchange::json(ACME.len());
    assert_eq!(exchange.headers(false), Action::Pause);
    assert_eq!(exchange.body(ACME, false), Action::Pause);
    assert_eq!(exchange.upstream, b"");
    assert_eq!(exchange.body(b"", true), Action::Continue);
    assert_delivered(&exchange, "cell-a", ACME);
}

#[test]
fn each_byte_is_read_once() {
    let body = late("globex", 900);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    let exchange = Exchange::json(body.len()).http1(&bytes);
    assert_delivered(&exchange, "cell-b", &body);
    assert_eq!(exchange.host.world().copied, body.len());
    assert_eq!(exchange.counter("cellgate.inspected_bytes"), body.len() as u64);
}

#[test]
fn a_body_of_exactly_the_limit_is_held_and_one_more_byte_is_not() {
    let fits = late("acme", 1024 - late("acme", 0).len());
    assert_eq!(fits.len(), 1024);
    assert_delivered(&Exchange::json(1024).http2(&[&fits]), "cell-a", &fits);

    let mut exchange = Exchange::json(1025);
    exchange.headers(false);
    assert_eq!(exchange.body(b"{", false), Action::Continue);
}

#[test]
fn a_malformed_body_is_refused_at_its_first_bad_byte() {
    let mut exchange = Exchange::json(100);
    exchange.headers(false);
    assert_eq!(exchange.body(br#"{"tenant":acme"#, false), Action::Pause);
    assert_refused(&exchange, 400, "body_malformed");
}

#[test]
fn a_truncated_body_is_refused_at_its_end() {
    assert_refused(&Exchange::json(10).http1(&[br#"{"tenant":"#]), 400, "body_truncated");
    assert_refused(&Exchange::json(10).http2(&[br#"{"tenant":"#]), 400, "body_truncated");
}

#[test]
fn a_duplicate_key_is_refused() {
    let body = br#"{"tenant":"acme","tenant":"globex"}"#;
    assert_refused(&Exchange::json(body.len()).http1(&[&body[..]]), 400, "key_duplicated");
}

#[test]
fn a_body_without_the_key_falls_back_to_the_next_source() {
    let mut exchange =
        Exchange::new(&[("content-type", "application/json"), ("content-length", "2"), ("x-tenant", "globex")]);
    exchange = exchange.http1(&[b"{}"]);
    assert_delivered(&exchange, "cell-b", b"{}");
    assert_refused(&Exchange::json(2).http1(&[b"{}"]), 400, "key_missing");
}

#[test]
fn a_form_is_held_like_json() {
    let body = b"a=b&tenant=acme";
    let mut exchange =
        Exchange::new(&[("content-type", "application/x-www-form-urlencoded"), ("content-length", "15")]);
    exchange = exchange.http1(&[body]);
    assert_delivered(&exchange, "cell-a", body);
}

#[test]
fn a_body_that_does_not_arrive_is_absent() {
    assert_refused(&Exchange::json(17).http1(&[]), 400, "body_absent");
    assert_refused(&Exchange::json(0).http2(&[b""]), 400, "body_absent");
}

#[test]
fn a_body_beyond_its_content_length_is_deferred_as_too_large() {
    // Envoy's codecs refuse such a request; the filter does not rely on it.
    let body = late("acme", 2000);
    let mut exchange = Exchange::json(100);
    exchange.headers(false);
    assert_eq!(exchange.body(&body, false), Action::Continue);
    exchange.body(b"", true);
    assert_deferred(&exchange, "stream;body_too_large", &body);
}

#[test]
fn a_decision_is_final() {
    let mut exchange = Exchange::json(ACME.len()).http1(&[ACME]);
    assert_eq!(exchange.body(b"}", false), Action::Continue);
    assert_eq!(exchange.trailers(&[]), Action::Continue);
    assert_eq!(exchange.header("x-cell"), ["cell-a"]);
}
