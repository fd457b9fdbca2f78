//! Shadow mode: decisions are noted and not carried out. The fake checks that no callback changes a header or pauses.

use proxy_wasm::types::Action;

use super::{ACME, early, late};
use crate::fake::{CONFIG, Exchange};

const JSON: (&str, &str) = ("content-type", "application/json");

fn shadow(headers: &[(&str, &str)]) -> Exchange {
    let exchange = Exchange::with(&CONFIG.replace(r#""limits""#, r#""shadow": true, "limits""#), headers);
    exchange.host.world().is_shadow = true;
    exchange
}

#[track_caller]
fn assert_untouched(exchange: &Exchange, body: &[u8], note: &str) {
    assert_eq!(exchange.answered(), None);
    assert_eq!(exchange.upstream, body);
    assert!(exchange.complete);
    assert_eq!(exchange.note(), note);
}

#[test]
fn each_decision_is_noted() {
    let large = late("globex", 5000);
    for (headers, body, note) in [
        (&[JSON, ("content-length", "17")][..], ACME, "shadow;cell=cell-a;reason=exact"),
        (&[JSON], ACME, "shadow;cell=cell-a;reason=exact"),
        (&[JSON, ("content-length", "17")], b"{\"tenant\":\"acme\",", "shadow;reject=400;reason=body_truncated"),
        (&[JSON], b"{]", "shadow;reject=400;reason=body_malformed"),
        (&[JSON], b"{}", "shadow;reject=400;reason=key_missing"),
        (&[JSON], &large, "shadow;cell=cell-b;reason=exact"),
        (&[JSON, ("content-encoding", "gzip")], ACME, "shadow;defer=stream;reason=body_encoded"),
        (&[(":path", "/other")], ACME, "shadow;pass;reason=path_excluded"),
    ] {
        for exchange in [shadow(headers).http1(&[body]), shadow(headers).http2(&[body])] {
            assert_untouched(&exchange, body, note);
        }
    }
}

#[test]
fn a_request_without_a_body_is_noted_at_its_headers() {
    let mut exchange = shadow(&[("x-tenant", "globex")]);
    assert_eq!(exchange.headers(true), Action::Continue);
    assert_untouched(&exchange, b"", "shadow;cell=cell-b;reason=exact");
    assert_eq!(exchange.counter("cellgate.decisions.cell.exact"), 1);
}

#[test]
fn a_clients_routing_header_stays_and_is_counted() {
    let mut exchange = shadow(&[JSON, ("x-cell", "cell-b"), ("x_cell", "cell-b"), ("x-cellgate-defer", "stream;x")]);
    exchange.headers(false);
    exchange.body(ACME, false);
    exchange.trailers(&[("x-cell", "cell-b")]);
    assert_untouched(&exchange, ACME, "shadow;cell=cell-a;reason=exact");
    assert_eq!(exchange.header("x-cell"), ["cell-b"]);
    assert_eq!(exchange.header("x_cell"), ["cell-b"]);
    assert_eq!(exchange.header("x-cellgate-defer"), ["stream;x"]);
    assert_eq!(exchange.host.world().trailers, [("x-cell".to_owned(), b"cell-b".to_vec())]);
    assert_eq!(exchange.counter("cellgate.stripped_headers"), 3);
}

#[test]
fn a_fault_after_a_megabyte_is_noted_and_nothing_is_buffered() {
    let body = [early("acme", 1 << 20).as_slice(), br#"{"tenant":"globex"}"#].concat();
    let chunks: Vec<_> = body.chunks(1000).collect();
    let exchange = shadow(&[JSON]).http2(&chunks);
    assert_untouched(&exchange, &body, "shadow;reject=400;reason=body_malformed");
}

#[test]
fn a_request_that_ends_early_is_abandoned() {
    let mut exchange = shadow(&[JSON]);
    exchange.headers(false);
    exchange.body(&ACME[..5], false);
    exchange.end();
    assert_eq!(exchange.note(), "");
    assert_eq!(exchange.counter("cellgate.abandoned"), 1);
}

#[test]
fn headers_that_envoy_does_not_show_are_noted_and_forwarded() {
    let mut exchange = shadow(&[JSON]);
    exchange.host.world().hides_fields = true;
    assert_eq!(exchange.headers(true), Action::Continue);
    assert_untouched(&exchange, b"", "shadow;reject=500;reason=body_unread");
}
