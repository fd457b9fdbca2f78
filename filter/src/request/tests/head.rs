//! Decisions by the head alone, and the removal of reserved headers.

use proxy_wasm::types::Action;

use super::{ACME, assert_deferred, assert_delivered, assert_refused};
use crate::fake::{CONFIG, Exchange};

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_bodiless_request_is_decided_at_its_headers() {
    let mut exchange = Exchange::new(&[(":method", "GET"), ("x-tenant", "globex")]);
    assert_eq!(exchange.headers(true), Action::Continue);
    assert_delivered(&exchange, "cell-b", b"");
}

#[test]
fn a_bodiless_request_without_a_key_is_refused() {
    let mut exchange = Exchange::new(&[(":method", "GET")]);
    assert_eq!(exchange.headers(true), Action::Pause);
    assert_refused(&exchange, 400, "body_absent");
}

#[test]
fn excluded_requests_pass_without_a_cell() {
    let mut exchange = Exchange::new(&[(":path", "/health"), ("x-cell", "cell-a")]);
    assert_eq!(exchange.headers(false), Action::Continue);
    assert_eq!(exchange.body(b"any", true), Action::Continue);
    assert_eq!(exchange.header("x-cell"), [""; 0]);
    assert_eq!(exchange.note(), "pass;reason=path_excluded");
    assert_eq!(exchange.host.world().copied, 0);
}

#[test]
fn requests_for_other_hosts_lose_only_reserved_headers() {
    let config = CONFIG
        .replace(r#""applies_to": {"#, r#""applies_to": { "hosts": ["api.example.com"],"#)
        .replace(r#""path_excluded": "pass""#, r#""host_excluded": "pass""#);
    for host in ["example.com", "a.api.example.com:80"] {
        let fields =
            [(":authority", host), (":path", "/other"), ("x-cell", "cell-a"), ("x-cellgate-defer", "stream;x")];
        let mut exchange = Exchange::with(&config, &fields);
        assert_eq!(exchange.headers(false), Action::Continue);
        assert_eq!(exchange.body(b"any", true), Action::Continue);
        assert_eq!((exchange.header("x-cell"), exchange.header("x-cellgate-defer")), (vec![], vec![]));
        assert_eq!(exchange.note(), "pass;reason=host_excluded");
        assert_eq!(exchange.host.world().copied, 0);
    }
    for host in ["api.example.com", "API.example.com.:80", ""] {
        let mut exchange = Exchange::with(&config, &[(":authority", host), ("x-tenant", "globex")]);
        assert_eq!(exchange.headers(true), Action::Continue);
        assert_delivered(&exchange, "cell-b", b"");
    }
}

#[test]
fn tunnels_are_never_paused() {
    let websocket: &[_] = &[("connection", "Upgrade"), ("upgrade", "websocket"), ("x-tenant", "acme"), JSON];
    let connect: &[_] = &[(":method", "CONNECT"), ("x-tenant", "acme"), JSON];
    for headers in [websocket, connect] {
        let mut exchange = Exchange::new(headers);
        assert_eq!(exchange.headers(false), Action::Continue);
        assert_eq!(exchange.body(b"\x81\x00", false), Action::Continue);
        assert_eq!(exchange.header("x-cell"), ["cell-a"]);
    }
}

#[test]
fn a_tunnel_without_a_key_is_refused_at_its_headers() {
    let mut exchange = Exchange::new(&[("connection", "Upgrade"), ("upgrade", "websocket"), JSON]);
    assert_eq!(exchange.headers(false), Action::Pause);
    assert_refused(&exchange, 400, "upgrade");
}

#[test]
fn a_grpc_web_body_is_not_read() {
    let mut exchange = Exchange::new(&[("content-type", "application/grpc-web")]);
    assert_eq!(exchange.headers(false), Action::Pause);
    assert_refused(&exchange, 415, "content_type_unsupported");
}

#[test]
fn a_refused_grpc_call_gets_a_plain_text_message() {
    let mut exchange = Exchange::new(&[("content-type", "application/grpc+proto")]);
    assert_eq!(exchange.headers(false), Action::Pause);
    let (status, body) = exchange.host.world().answer.clone().unwrap();
    assert_eq!(status, 415);
    assert!(body.starts_with("content_type_unsupported: ") && !body.contains(['{', '"', '\n']), "{body}");
}

#[test]
fn an_encoded_body_is_deferred_at_the_headers_in_the_mode_that_fits() {
    for (length, value) in [
        (Some("1024"), "buffer;body_encoded"),
        (Some("1025"), "stream;body_encoded"),
        (Some("nonsense"), "stream;body_encoded"),
        (None, "stream;body_encoded"),
    ] {
        let mut headers = vec![JSON, ("content-encoding", "zstd")];
        headers.extend(length.map(|length| ("content-length", length)));
        let mut exchange = Exchange::new(&headers);
        assert_eq!(exchange.headers(false), Action::Continue);
        exchange.body(b"(\xb5", true);
        assert_deferred(&exchange, value, b"(\xb5");
        assert_eq!(exchange.host.world().copied, 0);
    }
}

#[test]
fn every_value_and_spelling_of_a_reserved_header_is_removed() {
    let mut exchange = Exchange::new(&[
        JSON,
        ("content-length", "17"),
        ("x-cell", "cell-b"),
        ("x-cell", "evil"),
        ("x_cell", "cell-b"),
        ("x-cellgate-defer", "headers;none"),
        ("x-cellgate-defer", "stream;none"),
        ("x_cellgate_defer", "stream;none"),
        ("x-cellgate-anything", "at all"),
        ("x-cells", "kept"),
        ("x-cellgate", "kept"),
    ]);
    exchange = exchange.http1(&[ACME]);
    assert_delivered(&exchange, "cell-a", ACME);
    for name in ["x_cell", "x_cellgate_defer", "x-cellgate-anything"] {
        assert_eq!(exchange.header(name), [""; 0]);
    }
    assert_eq!(exchange.header("x-cells"), ["kept"]);
    assert_eq!(exchange.header("x-cellgate"), ["kept"]);
    assert_eq!(exchange.counter("cellgate.stripped_headers"), 7);
}

#[test]
fn reserved_headers_are_removed_under_every_decision() {
    let spoofed = [("x-cell", "cell-b"), ("x-cellgate-defer", "stream;x")];
    for (extra, eos) in [
        (vec![], true),
        (vec![(":path", "/health")], true),
        (vec![JSON], true),
        (vec![JSON, ("content-encoding", "br")], false),
        (vec![("x-tenant", "unknown")], true),
        (vec![JSON], false),
        (vec![JSON, ("content-length", "9")], false),
        (vec![("connection", "upgrade"), ("upgrade", "h2c")], false),
    ] {
        let mut headers = spoofed.to_vec();
        headers.extend(extra);
        let mut exchange = Exchange::new(&headers);
        exchange.headers(eos);
        assert_eq!(exchange.header("x-cell"), [""; 0], "{headers:?}");
        assert!(!exchange.header("x-cellgate-defer").contains(&"stream;x".to_owned()), "{headers:?}");
        assert_eq!(exchange.counter("cellgate.stripped_headers"), 2);
    }
}

#[test]
fn a_reserved_header_cannot_be_a_source() {
    // It is stripped before the core sees the head, so such a source would never hold a key.
    for name in ["x-cell", "x_cell", "x-cellgate-tenant"] {
        let config = crate::fake::CONFIG.replace("x-tenant", name);
        let refusal = crate::fake::Fake::default().plugin(&config).unwrap_err().to_string();
        assert!(refusal.contains(name), "{refusal}");
    }
}

#[test]
fn header_bytes_that_are_not_utf8_are_harmless() {
    let mut exchange = Exchange::json(ACME.len());
    exchange.host.world().headers.push(("x-any".into(), vec![0xa1, 0xb1, 0xff]));
    exchange.host.world().headers.push(("x-cell".into(), vec![0xff]));
    exchange = exchange.http1(&[ACME]);
    assert_delivered(&exchange, "cell-a", ACME);

    let mut exchange = Exchange::new(&[]);
    exchange.host.world().headers.push(("x-tenant".into(), vec![0xa1]));
    exchange.headers(true);
    assert_refused(&exchange, 400, "key_invalid_utf8");
}

#[test]
fn a_decision_at_the_headers_is_three_hostcalls() {
    let mut exchange = Exchange::new(&[("x-tenant", "acme")]);
    exchange.headers(true);
    exchange.end();
    // Headers, routing header, access log. Counters wait for the flush.
    assert_eq!(exchange.host.world().calls, 3);
}

#[test]
fn a_decision_by_a_held_body_is_four_hostcalls() {
    let mut exchange = Exchange::json(ACME.len());
    exchange.headers(false);
    exchange.body(ACME, false);
    exchange.body(b"", true);
    exchange.end();
    // Headers, body, routing header, access log. Counters wait for the flush.
    assert_eq!(exchange.host.world().calls, 4);
}

#[test]
fn headers_that_envoy_does_not_show_or_change_are_not_forwarded() {
    for (blind, rigid) in [(true, false), (false, true)] {
        for spoofed in [&[("x-tenant", "acme")][..], &[("x-tenant", "acme"), ("x-cell", "cell-b")]] {
            let mut exchange = Exchange::new(spoofed);
            exchange.host.world().hides_fields = blind;
            exchange.host.world().keeps_headers = rigid;
            assert_eq!(exchange.headers(true), Action::Pause);
            assert_eq!(exchange.answered(), Some(500));
            assert_eq!(exchange.note(), "reject=500;reason=body_unread");
            exchange.end();
            let decisions = exchange.counters().into_iter().filter(|(name, _)| name.contains("decisions"));
            assert_eq!(decisions.collect::<Vec<_>>(), [("cellgate.decisions.reject.body_unread".to_owned(), 1)]);
        }
    }
}
