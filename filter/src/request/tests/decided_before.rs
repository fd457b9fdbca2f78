//! Decisions of listed peers: they need both a listed certificate and one valid routing header.

use proxy_wasm::types::Action;

use super::{ACME, assert_delivered, assert_refused};
use crate::fake::{CONFIG, Exchange};

const GATEWAY: &str = "spiffe://cluster.local/ns/edge/sa/gateway";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A request to a proxy that lists the gateway, from a peer whose certificate has this URI.
fn from(peer: Option<&str>, cell: Option<&str>, headers: &[(&str, &str)]) -> Exchange {
    let cell = cell.map_or_else(String::new, |name| format!(r#", "cell": "{name}""#));
    let decided_by = format!(r#""decided_by": {{ "peers": ["spiffe://other/gateway", "{GATEWAY}"]{cell} }}, "limits""#);
    let exchange = Exchange::with(&CONFIG.replace(r#""limits""#, &decided_by), headers);
    exchange.host.world().peer_uri = peer.map(|uri| uri.as_bytes().to_vec());
    exchange
}

#[test]
fn a_listed_peers_decision_replaces_reading_the_body() {
    let body = b"[not even JSON";
    let mut exchange = from(Some(GATEWAY), None, &[JSON, ("content-length", "14"), ("x-cell", "cell-b")]);
    assert_eq!(exchange.headers(false), Action::Continue);
    assert_eq!(exchange.body(body, true), Action::Continue);
    assert_delivered(&exchange, "cell-b", body);
    assert_eq!(exchange.host.world().copied, 0);
    assert_eq!(exchange.note(), "cell=cell-b;reason=decided_before");
    assert_eq!(exchange.counter("cellgate.decisions.cell.decided_before"), 1);
    assert_eq!(exchange.counter("cellgate.stripped_headers"), 0);
}

#[test]
fn other_reserved_fields_of_a_listed_peer_are_removed() {
    let mut exchange =
        from(Some(GATEWAY), None, &[("x-cell", "cell-b"), ("x-cellgate-defer", "stream;x"), ("x_cellgate_y", "1")]);
    assert_eq!(exchange.headers(false), Action::Continue);
    assert_eq!(exchange.header("x-cell"), ["cell-b"]);
    assert_eq!(exchange.header("x-cellgate-defer"), [""; 0]);
    assert_eq!(exchange.header("x_cellgate_y"), [""; 0]);
    assert_eq!(exchange.counter("cellgate.stripped_headers"), 2);
    assert_eq!(exchange.trailers(&[("x-cell", "cell-a"), ("ok", "kept")]), Action::Continue);
    assert_eq!(exchange.host.world().trailers, [("ok".to_owned(), b"kept".to_vec())]);
}

#[test]
fn a_listed_peer_without_one_valid_header_decides_nothing() {
    for headers in [
        &[][..],
        &[("x-cell", "cell-b"), ("x-cell", "cell-b")],
        &[("x-cell", "cell-b"), ("x-cell", "cell-a")],
        &[("x-cell", "cell-b"), ("x_cell", "cell-b")],
        &[("x_cell", "cell-b")],
        &[("x-cell", "cell-z")],
        &[("x-cell", "CELL-B")],
        &[("x-cell", "cell-b,cell-b")],
        &[("x-cell", "")],
        &[("x-cellgate-defer", "cell-b")],
    ] {
        let mut all = vec![JSON, ("content-length", "17")];
        all.extend(headers);
        let exchange = from(Some(GATEWAY), None, &all).http1(&[ACME]);
        assert_delivered(&exchange, "cell-a", ACME);
        assert_eq!(exchange.header("x_cell"), [""; 0]);
        assert_eq!(exchange.note(), "cell=cell-a;reason=exact", "{headers:?}");
        assert_eq!(exchange.counter("cellgate.stripped_headers"), headers.len() as u64);
    }
}

#[test]
fn the_header_of_an_unlisted_peer_is_removed() {
    let cut = &GATEWAY[..GATEWAY.len() - 1];
    let longer = format!("{GATEWAY}/x");
    for peer in [None, Some(""), Some("spiffe://cluster.local/ns/edge/sa/client"), Some(cut), Some(&longer)] {
        let exchange = from(peer, None, &[JSON, ("content-length", "17"), ("x-cell", "cell-b")]).http1(&[ACME]);
        assert_delivered(&exchange, "cell-a", ACME);
        assert_eq!(exchange.note(), "cell=cell-a;reason=exact", "{peer:?}");
        assert_eq!(exchange.counter("cellgate.stripped_headers"), 1);
    }
}

#[test]
fn a_proxy_of_one_cell_refuses_requests_for_another() {
    let mut exchange = from(Some(GATEWAY), Some("cell-a"), &[("x-cell", "cell-b")]);
    assert_eq!(exchange.headers(false), Action::Pause);
    assert_refused(&exchange, 421, "cell_mismatch");

    // The proxy's own decision, for any peer.
    for peer in [None, Some(GATEWAY)] {
        let exchange = from(peer, Some("cell-b"), &[JSON, ("content-length", "17")]).http1(&[ACME]);
        assert_refused(&exchange, 421, "cell_mismatch");
        let exchange = from(peer, Some("cell-b"), &[JSON]).http1(&[&super::early("acme", 2000)]);
        assert_refused(&exchange, 421, "cell_mismatch");
    }

    let mut exchange = from(Some(GATEWAY), Some("cell-b"), &[("x-cell", "cell-b")]);
    assert_eq!(exchange.headers(true), Action::Continue);
    assert_delivered(&exchange, "cell-b", b"");
    let exchange = from(None, Some("cell-a"), &[JSON, ("content-length", "17")]).http1(&[ACME]);
    assert_delivered(&exchange, "cell-a", ACME);
}

#[test]
fn the_certificate_is_read_only_if_the_header_is_valid() {
    let calls = |exchange: &mut Exchange| {
        exchange.headers(true);
        exchange.host.world().calls
    };
    let head = [("x-tenant", "acme"), ("x-cell", "cell-b")];
    let without = calls(&mut Exchange::new(&head));
    let with = calls(&mut from(None, None, &head));
    assert_eq!(with, without + 1);
    let unknown = [("x-tenant", "acme"), ("x-cell", "cell-z")];
    assert_eq!(calls(&mut from(None, None, &unknown)), without);
    assert_eq!(calls(&mut from(None, None, &head[..1])), calls(&mut Exchange::new(&head[..1])));
}

#[test]
fn a_peers_decision_is_refused_if_headers_cannot_be_changed() {
    let mut exchange = from(Some(GATEWAY), None, &[("x-cell", "cell-b")]);
    exchange.host.world().keeps_headers = true;
    assert_eq!(exchange.headers(true), Action::Pause);
    assert_eq!(exchange.answered(), Some(500));
}
