//! Bodies that must not be held: the first chunk decides, or the service does.

use proxy_wasm::types::Action;

use super::{ACME, assert_deferred, assert_delivered, assert_refused, early, late};
use crate::fake::Exchange;

#[test]
fn a_large_body_without_a_key_in_its_first_chunk_is_deferred() {
    let body = late("acme", 5000);
    let (first, rest) = body.split_at(100);
    let mut exchange = Exchange::json(body.len());
    assert_eq!(exchange.headers(false), Action::Pause);
    assert_eq!(exchange.body(first, false), Action::Continue);
    assert_eq!(exchange.body(rest, false), Action::Continue);
    assert_eq!(exchange.body(b"", true), Action::Continue);
    assert_deferred(&exchange, "stream;body_too_large", &body);
    assert_eq!(exchange.host.world().copied, 100, "the filter does not read what the service reads");
}

#[test]
fn a_body_of_unknown_length_is_deferred_with_that_reason() {
    let body = late("acme", 10);
    assert_deferred(&Exchange::chunked().http1(&[&body[..5], &body[5..]]), "stream;body_length_unknown", &body);
    assert_deferred(&Exchange::chunked().http2(&[&body[..5], &body[5..]]), "stream;body_length_unknown", &body);
}

#[test]
fn a_key_in_the_first_chunk_decides() {
    let body = early("globex", 5000);
    assert_delivered(&Exchange::json(body.len()).http1(&[&body[..40], &body[40..]]), "cell-b", &body);
    assert_delivered(&Exchange::chunked().http2(&[&body[..40], &body[40..]]), "cell-b", &body);
}

#[test]
fn a_first_chunk_larger_than_the_window_is_scanned_whole() {
    let body = late("acme", 300_000);
    assert_delivered(&Exchange::chunked().http2(&[&body]), "cell-a", &body);
    let body = early("acme", 300_000);
    let exchange = Exchange::json(body.len()).http1(&[&body]);
    assert_delivered(&exchange, "cell-a", &body);
    assert_eq!(exchange.host.world().copied, body.len());
}

#[test]
fn a_whole_body_in_the_last_frame_is_decided() {
    assert_delivered(&Exchange::chunked().http2(&[ACME]), "cell-a", ACME);
    assert_refused(&Exchange::chunked().http2(&[b"{}"]), 400, "key_missing");
    assert_refused(&Exchange::chunked().http2(&[b"{"]), 400, "body_truncated");
}

#[test]
fn a_large_body_in_one_chunk_is_decided_like_a_held_one() {
    let body = late("globex", 5000);
    assert_delivered(&Exchange::json(body.len()).http1(&[&body]), "cell-b", &body);

    let mut exchange = Exchange::json(5000);
    exchange.headers(false);
    let truncated = early("acme", 6000);
    assert_eq!(exchange.body(&truncated[..5000], false), Action::Pause);
    assert_refused(&exchange, 400, "body_truncated");
}

#[test]
fn an_empty_body_of_unknown_length_is_absent() {
    assert_refused(&Exchange::chunked().http1(&[]), 400, "body_absent");
    assert_refused(&Exchange::chunked().http2(&[b""]), 400, "body_absent");
}

#[test]
fn an_empty_first_frame_does_not_end_the_peek() {
    let mut exchange = Exchange::chunked();
    exchange.headers(false);
    assert_eq!(exchange.body(b"", false), Action::Pause);
    assert_eq!(exchange.body(ACME, false), Action::Continue);
    exchange.body(b"", true);
    assert_delivered(&exchange, "cell-a", ACME);
}

#[test]
fn a_malformed_first_chunk_is_refused() {
    let mut exchange = Exchange::chunked();
    exchange.headers(false);
    assert_eq!(exchange.body(b"<xml>", false), Action::Pause);
    assert_refused(&exchange, 400, "body_malformed");
}

#[test]
fn an_unusable_key_in_the_first_chunk_is_refused() {
    let mut exchange = Exchange::chunked();
    exchange.headers(false);
    assert_eq!(exchange.body(br#"{"tenant":true,"#, false), Action::Pause);
    assert_refused(&exchange, 400, "key_boolean");
}

#[test]
fn the_policy_of_body_too_large_applies_to_a_peek() {
    let config = crate::fake::CONFIG.replace(
        r#""policy": {"#,
        r#""policy": { "body_too_large": {"reject": 413}, "body_length_unknown": {"use": "cell-b"},"#,
    );
    let json = ("content-type", "application/json");
    let mut exchange = Exchange::with(&config, &[json, ("content-length", "5000")]);
    exchange.headers(false);
    assert_eq!(exchange.body(b"{", false), Action::Pause);
    assert_refused(&exchange, 413, "body_too_large");

    let exchange = Exchange::with(&config, &[json]).http1(&[b"{", b"anything"]);
    assert_delivered(&exchange, "cell-b", b"{anything");
}

#[test]
fn a_key_that_a_later_duplicate_may_replace_does_not_decide() {
    let config = crate::fake::CONFIG.replace(r#""placement""#, r#""duplicates": "last", "placement""#);
    let body = early("acme", 10);
    let exchange = Exchange::with(&config, &[("content-type", "application/json")]).http1(&[&body]);
    assert_deferred(&exchange, "stream;body_length_unknown", &body);
}
