//! Each charge is settled once, by the first event that decides it, and in the store that made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limit_store::{Clock, LimitStore};
use cellgate_limiting::{Charge, Enforcement, KeyHasher, LimitId, LimitKey, Micros, StoreCharge, WhenStoreFails};

use super::*;
use crate::budget::Budget;
use crate::metrics::Metrics;

const CONFIG: &str = r#"{
    "routing_header": "x-cell",
    "cells": ["cell-a"],
    "key": [{"header": "x-tenant"}],
    "placement": {"default": "cell-a"},
    "rate_limits": [
        {"name": "keep", "key": [], "limit": "100/h", "cost": 10, "settle": {"response_header": "X-Used", "at_most": 50}},
        {"name": "release", "key": [], "limit": "100/h", "cost": 10,
         "settle": {"response_header": "x-used", "at_most": 50, "on_failure": "release"}},
        {"name": "trailer", "key": [], "limit": "100/h", "cost": 10,
         "settle": {"response_trailer": "x-used", "at_most": 50, "on_failure": "release"}},
        {"name": "fixed", "key": [], "limit": "100/h", "cost": 10}
    ]
}"#;

struct Rig {
    config: Config,
    store: LimitStore,
    metrics: Metrics,
    settler: Settler,
}

impl Rig {
    fn new() -> Self {
        Self::with(LimitStore::embedded(100, Clock::new(|| Micros(7))))
    }

    fn with(store: LimitStore) -> Self {
        let config = cellgate_config::from_json(CONFIG, "test.json").unwrap();
        let metrics = Metrics::new().unwrap();
        let settler = Settler::new(store.clone(), metrics.settlements().clone());
        Self { config, store, metrics, settler }
    }

    /// An admitted request under all four limits.
    async fn request(&self) -> RequestSettlement {
        let charges: Vec<_> = (0..4).map(charge).collect();
        let decision = self.store.charge(&charges).await;
        RequestSettlement::of(&decision, &self.config, &self.settler).unwrap()
    }

    /// The units in use of the limits, once all settlements are made.
    async fn used(&self) -> [u64; 4] {
        let _all = self.settler.all_places().await;
        let mut used = [0; 4];
        for (used, id) in used.iter_mut().zip(0..) {
            *used = self.store.usage(key(id)).await.unwrap().map_or(0, |(usage, now)| usage.in_use(now));
        }
        used
    }

    fn metric(&self, line: &str) -> bool {
        let text = String::from_utf8(self.metrics.render(&Budget::new(0)).unwrap()).unwrap();
        text.lines().any(|other| other == line)
    }
}

fn key(id: u16) -> LimitKey {
    KeyHasher::new([1; 16]).key("limit", [id.to_be_bytes().as_slice()])
}

fn charge(id: u16) -> StoreCharge {
    let limit = "100/h".parse().unwrap();
    let charge = Charge { id: LimitId(id), key: key(id), limit, cost: 10, enforcement: Enforcement::Shadow };
    StoreCharge { charge, when_store_fails: WhenStoreFails::Local }
}

fn fields(fields: &[(&str, &str)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// The units in use after a response with these headers, and these trailers.
async fn after(headers: Option<&[(&str, &str)]>, trailers: Option<&[(&str, &str)]>) -> [u64; 4] {
    let rig = Rig::new();
    let mut request = rig.request().await;
    if let Some(headers) = headers {
        rig.settler.settle(request.on_headers(&fields(headers), false));
    }
    if let Some(trailers) = trailers {
        rig.settler.settle(request.on_trailers(&fields(trailers)));
    }
    drop(request);
    rig.used().await
}

const OK: (&str, &str) = (":status", "200");

#[tokio::test]
async fn the_number_of_the_response_replaces_the_estimate() {
    assert_eq!(after(Some(&[OK, ("x-used", "3")]), None).await, [3, 3, 10, 10]);
    assert_eq!(after(Some(&[OK, ("x-used", "0")]), None).await, [0, 0, 10, 10]);
    assert_eq!(after(Some(&[OK, ("x-used", "10")]), None).await, [10, 10, 10, 10]);
    assert_eq!(after(Some(&[OK, ("x-used", "42")]), None).await, [42, 42, 10, 10]);
    assert_eq!(after(Some(&[OK, ("x-used", "51")]), None).await, [50, 50, 10, 10]);
    assert_eq!(after(Some(&[OK]), Some(&[("x-used", "4")])).await, [10, 10, 4, 10]);
    assert_eq!(after(Some(&[OK, ("x-used", "3")]), Some(&[("x-used", "44")])).await, [3, 3, 44, 10]);
}

#[tokio::test]
async fn without_a_usable_number_the_estimate_stays() {
    for value in ["", "-1", "1.5", "many", "3, 4"] {
        assert_eq!(after(Some(&[OK, ("x-used", value)]), Some(&[("x-used", value)])).await, [10; 4], "{value}");
    }
    let twice = [OK, ("x-used", "3"), ("x-used", "3")];
    assert_eq!(after(Some(&twice), Some(&twice)).await, [10; 4]);
    assert_eq!(after(Some(&[OK]), Some(&[])).await, [10; 4]);
    // The body broke off, or there were no trailers.
    assert_eq!(after(Some(&[OK]), None).await, [10; 4]);
}

#[tokio::test]
async fn a_failed_request_keeps_its_estimate_or_costs_nothing() {
    for status in ["500", "503", "599"] {
        let headers = [(":status", status), ("x-used", "3")];
        assert_eq!(after(Some(&headers), Some(&[("x-used", "3")])).await, [10, 0, 0, 10], "{status}");
    }
    assert_eq!(after(None, None).await, [10, 0, 0, 10]);
    assert_eq!(after(Some(&[(":status", "404"), ("x-used", "3")]), None).await, [3, 3, 10, 10]);
}

/// Regression: only the HTTP status was read, and that of a gRPC call is 200.
#[tokio::test]
async fn a_failed_call_of_grpc_keeps_its_estimate_or_costs_nothing() {
    for status in ["2", "4", "12", "13", "14", "15"] {
        let status = ("grpc-status", status);
        // An answer without messages, and one after messages.
        assert_eq!(after(Some(&[OK, status, ("x-used", "3")]), None).await, [10, 0, 0, 10], "{status:?}");
        assert_eq!(after(Some(&[OK]), Some(&[status, ("x-used", "3")])).await, [10, 10, 0, 10], "{status:?}");
    }
    for status in ["0", "1", "3", "5", "8", "16", "140", ""] {
        let status = ("grpc-status", status);
        assert_eq!(after(Some(&[OK, status, ("x-used", "3")]), None).await, [3, 3, 10, 10], "{status:?}");
        assert_eq!(after(Some(&[OK]), Some(&[status, ("x-used", "3")])).await, [10, 10, 3, 10], "{status:?}");
    }
}

#[tokio::test]
async fn each_charge_is_settled_once() {
    let rig = Rig::new();
    let mut request = rig.request().await;
    let first = request.on_headers(&fields(&[OK, ("x-used", "3")]), false);
    assert_eq!(first.len(), 2);
    assert_eq!(request.on_headers(&fields(&[(":status", "500")]), true), []);
    assert_eq!(request.on_trailers(&fields(&[("x-used", "4")])).len(), 1);
    assert_eq!(request.on_trailers(&fields(&[("x-used", "5")])), []);
    rig.settler.settle(first);
    drop(request);
    assert_eq!(rig.used().await, [3, 3, 10, 10]);
    assert!(rig.metric(r#"cellgate_settlements_total{limit="keep",outcome="refunded"} 1"#));
    assert!(rig.metric(r#"cellgate_settlement_refunded_units_total{limit="keep"} 7"#));
}

#[tokio::test]
async fn headers_that_end_the_response_leave_the_estimate_of_trailers() {
    let rig = Rig::new();
    let mut request = rig.request().await;
    assert_eq!(request.on_headers(&fields(&[OK, ("x-used", "3")]), true).len(), 3);
    assert!(request.charges.is_empty());
}

#[tokio::test]
async fn a_stream_that_the_service_ends_itself_keeps_the_estimates() {
    let rig = Rig::new();
    rig.request().await.abandon();
    assert_eq!(rig.used().await, [10; 4]);
    assert!(rig.metric(r#"cellgate_settlements_total{limit="release",outcome="kept"} 1"#));
}

/// Streams that outlast the drain are aborted, which released their estimates as if the cell had not answered.
#[tokio::test]
async fn a_stream_that_the_drain_aborts_keeps_its_estimates() {
    let rig = Rig::new();
    let request = rig.request().await;
    rig.settler.keep_estimates();
    drop(request);
    assert_eq!(rig.used().await, [10; 4]);
}

/// 10 units of 100 an hour are paid back in 6 minutes, and 7 of them were counted as refunded after that.
#[tokio::test]
async fn the_metric_counts_units_that_came_back() {
    let clock = Arc::new(AtomicU64::new(7));
    let time = Arc::clone(&clock);
    let rig = Rig::with(LimitStore::embedded(100, Clock::new(move || Micros(time.load(Ordering::Relaxed)))));
    let mut requests = [rig.request().await, rig.request().await];
    clock.fetch_add(600_000_000, Ordering::Relaxed);
    let before = rig.used().await;
    for request in &mut requests {
        let settled = request.on_headers(&fields(&[OK, ("x-used", "3")]), true);
        request.make(settled);
        rig.used().await;
    }
    let after = rig.used().await;
    assert_eq!((before[0], after[0]), (4, 0));
    assert!(rig.metric(r#"cellgate_settlement_refunded_units_total{limit="keep"} 4"#));
}

#[tokio::test]
async fn only_charges_that_were_made_are_settled() {
    let rig = Rig::new();
    let mut full = charge(0);
    full.charge.cost = 101;
    let decision = rig.store.charge(&[full, charge(3)]).await;
    assert!(decision.is_admitted());
    assert!(RequestSettlement::of(&decision, &rig.config, &rig.settler).is_none());
}

#[tokio::test]
async fn beyond_the_bound_the_estimate_stays() {
    let rig = Rig::new();
    let mut request = rig.request().await;
    let settled = request.on_headers(&fields(&[OK, ("x-used", "3")]), true);
    let busy = rig.settler.all_places().await;
    rig.settler.settle(settled);
    drop(busy);
    assert_eq!(rig.used().await, [10; 4]);
    assert!(rig.metric(r#"cellgate_settlements_total{limit="keep",outcome="dropped"} 1"#));
}

#[tokio::test]
async fn a_debt_is_at_most_the_burst() {
    let rig = Rig::new();
    for _ in 0..4 {
        let mut request = rig.request().await;
        rig.settler.settle(request.on_headers(&fields(&[OK, ("x-used", "50")]), true));
        let _used = rig.used().await;
    }
    assert_eq!(rig.used().await, [100, 100, 40, 40]);
    assert!(rig.metric(r#"cellgate_settlements_total{limit="keep",outcome="carried"} 2"#));
}
