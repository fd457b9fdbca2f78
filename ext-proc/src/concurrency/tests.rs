use std::sync::Arc;

use cellgate_limiting::KeyHasher;
use cellgate_limiting::LimitId;
use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::metrics::Metrics;

fn config() -> Config {
    let text = r#"{"routing_header": "x-cell", "cells": ["a"], "key": [{"header": "t"}], "placement": {"default": "a"},
        "concurrency_limits": [
            {"name": "tenant", "key": ["routing_key"], "at_most": 2},
            {"name": "cell", "key": ["cell"], "at_most": 3, "shadow": true}
        ]}"#;
    cellgate_config::from_json(text, "config.json").unwrap()
}

fn limiter() -> (ConcurrencyLimiter, Metrics) {
    let metrics = Metrics::new().unwrap();
    (ConcurrencyLimiter::new(metrics.concurrency().clone()), metrics)
}

/// The charges of a tenant's request: its own limit, and that of the cell.
fn charges(tenant: &str) -> Vec<ConcurrencyCharge> {
    let key = |name: &'static str, value: &str| KeyHasher::new([5; 16]).key(name, [value.as_bytes()]);
    let (enforced, shadow) = (Enforcement::Enforce, Enforcement::Shadow);
    vec![
        ConcurrencyCharge { id: LimitId(0), key: key("tenant", tenant), at_most: 2, enforcement: enforced },
        ConcurrencyCharge { id: LimitId(1), key: key("cell", "a"), at_most: 3, enforcement: shadow },
    ]
}

#[track_caller]
fn assert_shown(metrics: &Metrics, lines: &[&str]) {
    let text = String::from_utf8(metrics.render(&Budget::new(0)).unwrap()).unwrap();
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_request_leaves_when_its_guard_is_dropped() {
    let ((limiter, metrics), config) = (limiter(), config());
    let first = limiter.enter(charges("acme"), &config).unwrap();
    let second = limiter.enter(charges("acme"), &config).unwrap();
    assert_eq!(limiter.enter(charges("acme"), &config).unwrap_err(), ["tenant"]);
    let others =
        [limiter.enter(charges("globex"), &config).unwrap(), limiter.enter(charges("globex"), &config).unwrap()];
    assert_shown(
        &metrics,
        &[
            r#"cellgate_concurrency_in_flight{limit="tenant"} 4"#,
            r#"cellgate_concurrency_in_flight{limit="cell"} 4"#,
            r#"cellgate_concurrency_checks_total{limit="tenant",outcome="within"} 4"#,
            r#"cellgate_concurrency_checks_total{limit="tenant",outcome="refused"} 1"#,
            r#"cellgate_concurrency_checks_total{limit="cell",outcome="over"} 1"#,
        ],
    );
    drop(first);
    assert!(limiter.enter(charges("acme"), &config).is_ok());
    drop((second, others));
    assert_shown(&metrics, &[r#"cellgate_concurrency_in_flight{limit="tenant"} 0"#]);
    assert_eq!(limiter.table().keys(), 0);
}

#[test]
fn a_request_without_such_limits_takes_no_guard() {
    let ((limiter, _), config) = (limiter(), config());
    assert!(limiter.enter(Vec::new(), &config).unwrap().is_none());
}

#[test]
fn threads_that_enter_and_leave_leave_nothing() {
    let ((limiter, metrics), config) = (limiter(), Arc::new(config()));
    let most = Arc::new(std::sync::atomic::AtomicU32::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (limiter, config, most) = (limiter.clone(), Arc::clone(&config), Arc::clone(&most));
            scope.spawn(move || {
                for round in 0..2_000 {
                    let tenant = ["acme", "globex"][(thread + round) % 2];
                    let entered = limiter.enter(charges(tenant), &config);
                    let count = limiter.table().count(charges(tenant)[0].key);
                    most.fetch_max(count, std::sync::atomic::Ordering::Relaxed);
                    drop(entered);
                }
            });
        }
    });
    assert_eq!(limiter.table().keys(), 0);
    assert!(most.load(std::sync::atomic::Ordering::Relaxed) <= 2);
    assert_shown(&metrics, &[r#"cellgate_concurrency_in_flight{limit="cell"} 0"#]);
}

proptest! {
    /// Guards that are dropped in any order, each once.
    #[test]
    fn each_admitted_request_leaves_once(steps in prop::collection::vec((any::<bool>(), 0..3_usize), 0..60)) {
        let ((limiter, _), config) = (limiter(), config());
        let mut inside = Vec::new();
        for (enters, pick) in steps {
            if enters {
                let tenant = ["acme", "globex", "initech"][pick];
                inside.extend(limiter.enter(charges(tenant), &config).into_iter().flatten().map(|guard| (tenant, guard)));
            } else if !inside.is_empty() {
                drop(inside.swap_remove(pick % inside.len()));
            }
            for tenant in ["acme", "globex", "initech"] {
                let count = inside.iter().filter(|(name, _)| *name == tenant).count();
                prop_assert!(count <= 2);
                prop_assert_eq!(limiter.table().count(charges(tenant)[0].key) as usize, count);
            }
        }
        drop(inside);
        prop_assert_eq!(limiter.table().keys(), 0);
    }
}
