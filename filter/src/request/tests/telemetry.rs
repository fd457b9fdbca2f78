//! Notes, counters and logs.

use std::collections::BTreeMap;

use super::{ACME, early, late};
use crate::fake::Exchange;

fn counters(exchange: &Exchange) -> Vec<(String, u64)> {
    exchange.counters().into_iter().collect()
}

fn expect<const N: usize>(counters: [(&str, u64); N]) -> Vec<(String, u64)> {
    counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>().into_iter().collect()
}

#[test]
fn a_request_sent_to_a_cell() {
    let exchange = Exchange::json(ACME.len()).http1(&[ACME]);
    assert_eq!(exchange.note(), "cell=cell-a;reason=exact");
    assert_eq!(
        counters(&exchange),
        expect([("cellgate.decisions.cell.exact", 1), ("cellgate.inspected_bytes", ACME.len() as u64)])
    );
}

#[test]
fn a_deferred_request() {
    let body = late("acme", 2000);
    let exchange = Exchange::json(body.len()).http1(&[&body[..10], &body[10..]]);
    assert_eq!(exchange.note(), "defer=stream;reason=body_too_large");
    assert_eq!(
        counters(&exchange),
        expect([
            ("cellgate.decisions.defer.body_too_large", 1),
            ("cellgate.deferrals.stream", 1),
            ("cellgate.inspected_bytes", 10),
        ])
    );
}

#[test]
fn a_refused_request() {
    let exchange = Exchange::chunked().http1(&[b"<"]);
    assert_eq!(exchange.note(), "reject=400;reason=body_malformed");
    assert_eq!(
        counters(&exchange),
        expect([("cellgate.decisions.reject.body_malformed", 1), ("cellgate.inspected_bytes", 1)])
    );
}

#[test]
fn request_data_is_neither_logged_nor_returned() {
    let secret = "s3cr3t-tenant";
    let missing = early(secret, 10);
    let twice = format!(r#"{{"tenant":"{secret}","tenant":"{secret}"}}"#).into_bytes();
    for body in [&missing, &twice] {
        let exchange = Exchange::json(body.len()).http1(&[body]);
        let world = exchange.host.world();
        let answer = world.answer.clone().unwrap().1;
        let seen = format!("{answer} {:?} {:?} {:?}", world.log, world.properties, world.shared);
        assert!(!seen.contains(secret), "{seen}");
    }
}
