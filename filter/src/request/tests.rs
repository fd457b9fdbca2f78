//! Requests, driven by scripted callbacks against [`crate::fake`].

mod any_order;
mod claims;
mod decided_before;
mod ends;
mod guarding;
mod head;
mod holding;
mod peeking;
mod shadowing;
mod telemetry;

use crate::fake::Exchange;

const ACME: &[u8] = br#"{"tenant":"acme"}"#;

/// A JSON object with the tenant first and `filler` bytes of another member after it.
fn early(tenant: &str, filler: usize) -> Vec<u8> {
    format!(r#"{{"tenant":"{tenant}","x":"{}"}}"#, "y".repeat(filler)).into_bytes()
}

/// A JSON object with the tenant last and `filler` bytes of another member before it.
fn late(tenant: &str, filler: usize) -> Vec<u8> {
    format!(r#"{{"x":"{}","tenant":"{tenant}"}}"#, "y".repeat(filler)).into_bytes()
}

#[track_caller]
fn assert_delivered(exchange: &Exchange, cell: &str, body: &[u8]) {
    assert_eq!(exchange.answered(), None);
    assert_eq!(exchange.header("x-cell"), [cell]);
    assert_eq!(exchange.header("x-cellgate-defer"), [""; 0]);
    assert_eq!(exchange.upstream, body);
    assert!(exchange.complete);
}

/// The client got `status` with `code`, and the upstream nothing.
#[track_caller]
fn assert_refused(exchange: &Exchange, status: u16, code: &str) {
    let answer = exchange.host.world().answer.clone().expect("no answer");
    assert_eq!(answer.0, status);
    assert!(answer.1.contains(&format!("\"code\":\"{code}\"")), "{}", answer.1);
    assert!(!exchange.complete);
    assert_eq!(exchange.upstream, b"");
    assert_eq!(exchange.header("x-cell"), [""; 0]);
    assert_eq!(exchange.note(), format!("reject={status};reason={code}"));
}

#[track_caller]
fn assert_deferred(exchange: &Exchange, value: &str, body: &[u8]) {
    assert_eq!(exchange.answered(), None);
    assert_eq!(exchange.header("x-cellgate-defer"), [value]);
    assert_eq!(exchange.header("x-cell"), [""; 0]);
    assert_eq!(exchange.upstream, body);
    assert!(exchange.complete);
}
