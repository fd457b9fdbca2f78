//! The ends of a request: with its last frame, after it, with trailers, or by an abort.

use proxy_wasm::types::Action;

use super::{ACME, assert_delivered, assert_refused, early};
use crate::fake::Exchange;

#[test]
fn trailers_end_a_held_body() {
    let mut exchange = Exchange::json(ACME.len());
    exchange.headers(false);
    assert_eq!(exchange.body(ACME, false), Action::Pause);
    assert_eq!(exchange.trailers(&[("x-checksum", "1")]), Action::Continue);
    assert_delivered(&exchange, "cell-a", ACME);
}

#[test]
fn a_truncated_held_body_is_refused_at_its_trailers() {
    let mut exchange = Exchange::json(ACME.len());
    exchange.headers(false);
    exchange.body(b"{", false);
    assert_eq!(exchange.trailers(&[]), Action::Pause);
    assert_refused(&exchange, 400, "body_truncated");
}

#[test]
fn trailers_without_a_body_mean_an_absent_body() {
    for mut exchange in [Exchange::json(17), Exchange::chunked()] {
        exchange.headers(false);
        assert_eq!(exchange.trailers(&[]), Action::Pause);
        assert_refused(&exchange, 400, "body_absent");
    }
}

#[test]
fn reserved_trailers_are_removed_in_every_state() {
    let spoofed = [("x-cell", "cell-b"), ("x-cell", "b"), ("x_cell", "b"), ("x-cellgate-defer", "b"), ("ok", "kept")];
    let undecided = || {
        let mut exchange = Exchange::json(ACME.len());
        exchange.headers(false);
        exchange.body(ACME, false);
        exchange
    };
    let decided = || {
        let mut exchange = Exchange::new(&[(":method", "CONNECT"), ("x-tenant", "acme")]);
        exchange.headers(false);
        exchange
    };
    for mut exchange in [undecided(), decided()] {
        assert_eq!(exchange.trailers(&spoofed), Action::Continue);
        let trailers = exchange.host.world().trailers.clone();
        assert_eq!(trailers, [("ok".to_owned(), b"kept".to_vec())]);
        assert_eq!(exchange.header("x-cell"), ["cell-a"]);
        assert_eq!(exchange.counter("cellgate.stripped_headers"), 4);
    }
}

#[test]
fn trailers_that_envoy_does_not_show_are_not_forwarded() {
    let mut exchange = Exchange::json(ACME.len());
    exchange.headers(false);
    exchange.body(ACME, false);
    exchange.host.world().hides_fields = true;
    assert_eq!(exchange.trailers(&[("x-cell", "cell-b")]), Action::Pause);
    assert_eq!(exchange.answered(), Some(500));
    assert_eq!(exchange.counter("cellgate.decisions.reject.body_unread"), 1);
    assert_eq!(exchange.trailers(&[]), Action::Pause);
}

#[test]
fn trailers_that_envoy_does_not_show_end_a_released_request() {
    let body = early("acme", 2000);
    for ended in [false, true] {
        let mut exchange = Exchange::chunked();
        exchange.headers(false);
        exchange.body(&body[..1500], false);
        if ended {
            // Trailers follow the end of the stream, which Envoy never does.
            exchange.body(&body[1500..], true);
        }
        exchange.host.world().hides_fields = true;
        assert_eq!(exchange.trailers(&[("x-cell", "cell-b")]), Action::Pause);
        assert_eq!(exchange.answered(), Some(500));
        // The decision was counted at the release.
        assert_eq!(exchange.counter("cellgate.decisions.reject.body_unread"), 0);
        assert_eq!(exchange.counter("cellgate.guard_conflicts"), 1);
        assert!(exchange.note().starts_with("reject=500;reason=body_unread;after="), "{}", exchange.note());
    }
}

#[test]
fn a_client_that_aborts_a_waiting_request_is_counted() {
    for mut exchange in [Exchange::json(ACME.len()), Exchange::chunked()] {
        exchange.headers(false);
        exchange.end();
        assert_eq!(exchange.counter("cellgate.abandoned"), 1);
        assert_eq!(exchange.note(), "");
        // Access logs may be written more than once.
        exchange.end();
        assert_eq!(exchange.counter("cellgate.abandoned"), 1);
    }
    let mut exchange = Exchange::json(ACME.len());
    exchange.headers(false);
    exchange.body(&ACME[..5], false);
    exchange.end();
    assert_eq!(exchange.counter("cellgate.inspected_bytes"), 5);
}

#[test]
fn a_decided_request_is_not_counted_as_abandoned() {
    for mut exchange in [
        Exchange::json(ACME.len()).http1(&[ACME]),
        Exchange::chunked().http1(&[b"<"]),
        Exchange::chunked().http1(&[br#"{"tenant":"acme","#]),
    ] {
        exchange.end();
        assert_eq!(exchange.counter("cellgate.abandoned"), 0);
    }
}

#[test]
fn a_body_before_the_headers_is_refused() {
    for mut exchange in [Exchange::json(1), Exchange::chunked()] {
        assert_eq!(exchange.body(b"{", false), Action::Pause);
        assert_eq!(exchange.answered(), Some(500));
        assert_eq!(exchange.headers(false), Action::Pause);
    }
    let mut exchange = Exchange::json(1);
    assert_eq!(exchange.trailers(&[]), Action::Pause);
    assert_eq!(exchange.answered(), Some(500));
}

#[test]
fn a_body_that_envoy_does_not_show_decides_nothing() {
    for mut exchange in [Exchange::json(ACME.len()), Exchange::chunked()] {
        exchange.headers(false);
        exchange.host.world().is_body_short = true;
        assert_eq!(exchange.body(ACME, true), Action::Pause);
        assert_refused(&exchange, 500, "body_unread");
    }
    let mut exchange = Exchange::chunked();
    exchange.headers(false);
    assert_eq!(exchange.body(br#"{"tenant":"acme","#, false), Action::Continue);
    exchange.host.world().is_body_short = true;
    assert_eq!(exchange.body(b"}", true), Action::Pause);
    assert_eq!(exchange.note(), "reject=500;reason=body_unread;after=cell-a");
    assert!(!exchange.complete);
}
