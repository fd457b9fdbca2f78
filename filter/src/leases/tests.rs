//! A VM under leased limits, with the service's own ledger and store at the other end of its calls.

mod service;

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, LogLevel};

use super::*;
use crate::fake::{Callback, Fake};
use crate::root::Root;
use service::Service;

const SECOND: u64 = 1_000_000_000;

/// 40 units at once, 20 of which can be leased.
const LIMITS: &str = r#"[{"name": "tenant", "key": ["routing_key"], "limit": "1/h;burst=40", "lease": true}]"#;

fn config(limits: &str) -> String {
    format!(
        r#"{{
            "routing_header": "x-cell", "cells": ["cell-a"],
            "key": [{{"header": "x-tenant"}}],
            "placement": {{"exact": {{"acme": "cell-a"}}}},
            "rate_limits": {limits}, "sync": {{"cluster": "cellgate"}}
        }}"#
    )
}

/// One VM with its roots.
struct Vm {
    host: Fake,
    sessions: Rc<LeaseSessions<Fake>>,
    roots: Vec<Root<Fake>>,
    service: Service,
}

impl Vm {
    fn new(limits: &str) -> Self {
        let host = Fake::default();
        host.world().now = 1_000_000 * SECOND;
        let mut vm = Self { host, sessions: Rc::default(), roots: Vec::new(), service: Service::new(limits) };
        vm.add_root(limits);
        vm
    }

    fn add_root(&mut self, limits: &str) {
        self.host.world().configuration = Some(config(limits).into());
        let mut root = Root::new(self.host.clone(), Rc::clone(&self.sessions));
        assert!(root.on_configure(0), "{:?}", self.host.world().log);
        self.roots.push(root);
    }

    fn reconfigure(&mut self, limits: &str) {
        self.host.world().configuration = Some(config(limits).into());
        assert!(self.roots[0].on_configure(0), "{:?}", self.host.world().log);
    }

    /// A request of a tenant. Whether it was admitted in the filter, and is not for the service to judge.
    fn request(&self, tenant: &str) -> bool {
        let mut stream = self.roots[0].open();
        {
            let mut world = self.host.world();
            world.headers = [(":method", "GET"), (":path", "/"), ("x-tenant", tenant)]
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into();
            (world.callback, world.released, world.answer) = (Callback::Headers, false, None);
        }
        assert_eq!(stream.on_http_request_headers(3, true), Action::Continue, "a request waits for a call");
        let mut world = self.host.world();
        world.callback = Callback::None;
        let has = |name: &str| world.headers.iter().any(|(known, _)| known == name);
        assert_ne!(has("x-cell"), has("x-cellgate-defer"));
        has("x-cell")
    }

    fn admitted(&self, tenant: &str, requests: usize) -> usize {
        (0..requests).filter(|_| self.request(tenant)).count()
    }

    /// The timers, after a second. Returns the calls that were made, which nobody has answered.
    fn tick(&mut self) -> Vec<Vec<u8>> {
        self.host.world().now += SECOND;
        self.tick_now()
    }

    fn tick_now(&mut self) -> Vec<Vec<u8>> {
        self.roots.iter_mut().for_each(RootContext::on_tick);
        let calls = std::mem::take(&mut self.host.world().grpc_calls);
        calls.into_iter().map(|(_, message)| message).collect()
    }

    /// A second with its call, which the service answers. Returns how many calls there were.
    fn sync(&mut self) -> usize {
        let calls = self.tick();
        for call in &calls {
            let now = self.host.world().now;
            if let Some(response) = self.service.answer(call, now) {
                self.respond(response);
            }
        }
        calls.len()
    }

    fn respond(&mut self, response: Vec<u8>) {
        let size = response.len();
        self.host.world().grpc_response = response;
        let token = self.host.world().token;
        self.roots[0].on_grpc_call_response(token, 0, size);
    }

    /// Until a tenant has units: the first answer brings the secret of keys, the second one units.
    fn warm_up(&mut self, tenant: &str) {
        for _ in 0..2 {
            self.admitted(tenant, 3);
            self.sync();
        }
    }

    fn counter(&mut self, name: &str) -> u64 {
        self.roots.iter().for_each(Root::flush);
        self.host.counter(name)
    }

    fn warnings(&self) -> Vec<String> {
        let world = self.host.world();
        world.log.iter().filter(|(level, _)| *level == LogLevel::Warn).map(|(_, line)| line.clone()).collect()
    }
}

#[test]
fn a_request_is_admitted_with_units_once_a_call_has_brought_some() {
    let mut vm = Vm::new(LIMITS);
    assert_eq!(vm.sync(), 0, "a VM without requests makes no calls");
    assert!(!vm.request("acme"));
    assert_eq!(vm.sync(), 1);
    assert!(!vm.request("acme"), "the first answer brings the secret of keys");
    assert_eq!(vm.sync(), 1);
    assert!(vm.request("acme"));
    assert_eq!(vm.counter("cellgate.leases.spent"), 1);
    assert_eq!(vm.counter("cellgate.leases.missed"), 2);
    assert_eq!(vm.counter("cellgate.syncs"), 2);
    assert_eq!(vm.counter("cellgate.decisions.cell.exact"), 1);
}

#[test]
fn all_that_is_admitted_was_charged_and_at_most_half_a_burst_is_out() {
    let mut vm = Vm::new(LIMITS);
    let mut admitted = 0;
    for _ in 0..20 {
        admitted += vm.admitted("acme", 1_000);
        vm.sync();
        assert!(vm.service.outstanding() <= 20, "{}", vm.service.outstanding());
        assert!(admitted as u64 <= vm.service.charged(), "{admitted}");
    }
    // What is left near the end is for the service to judge.
    assert!((20..=40).contains(&admitted), "{admitted}");
}

#[test]
fn the_listeners_of_a_vm_share_one_call_whatever_the_load() {
    let mut vm = Vm::new(LIMITS);
    vm.add_root(LIMITS);
    vm.add_root(LIMITS);
    vm.warm_up("acme");
    for requests in [1, 10_000] {
        vm.admitted("acme", requests);
        assert_eq!(vm.sync(), 1, "{requests}");
    }
}

#[test]
fn a_vm_whose_requests_have_ended_gives_up_its_units_and_makes_no_more_calls() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    vm.admitted("acme", 2);
    assert!(vm.service.outstanding() > 0);
    let calls: Vec<_> = (0..20).map(|_| vm.sync()).collect();
    assert_eq!(calls[10..], [0; 10], "{calls:?}");
    assert_eq!(vm.service.outstanding(), 0);
    // Two were spent. A refund is worth less by what was paid back meanwhile, which here is a part of a unit.
    assert!((2..=3).contains(&vm.service.in_use()), "{}", vm.service.in_use());
}

#[test]
fn beside_a_limit_without_a_lease_the_service_judges() {
    let exact = r#"{"name": "all", "key": [], "limit": "100/s"}"#;
    let mut vm = Vm::new(&LIMITS.replacen('[', &format!("[{exact},"), 1));
    for _ in 0..4 {
        assert_eq!(vm.admitted("acme", 5), 0);
        vm.sync();
    }
    // The first call, before the secret of keys is there, is the only one.
    assert_eq!(vm.counter("cellgate.syncs"), 1);
}

#[test]
fn a_lease_ends_with_its_term() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    assert!(vm.request("acme"));
    vm.host.world().now += 10 * SECOND;
    assert!(!vm.request("acme"));
}

#[test]
fn failures_are_counted_logged_once_and_leave_requests_to_the_service() {
    let mut vm = Vm::new(LIMITS);
    vm.request("acme");
    vm.tick();
    let token = vm.host.world().token;
    vm.roots[0].on_grpc_call_response(token + 1, 14, 0);
    for status in [14, 4, 13] {
        vm.roots[0].on_grpc_call_response(token, status, 0);
    }
    // It is not copied: the fake has no such bytes.
    vm.roots[0].on_grpc_call_response(token, 0, 200_000_000);
    vm.respond(b"\xff\xff\xff".to_vec());
    vm.host.world().has_no_cluster = true;
    vm.request("acme");
    assert_eq!(vm.tick().len(), 0);
    assert_eq!(vm.counter("cellgate.sync_failures"), 6);
    let warnings = vm.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("gRPC status 14"), "{warnings:?}");
    vm.host.world().has_no_cluster = false;
    vm.warm_up("acme");
    assert!(vm.request("acme"));
    assert!(vm.host.world().log.iter().any(|(_, line)| line.contains("answers again")));
}

#[test]
fn an_answer_that_comes_late_or_twice_changes_nothing() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    vm.admitted("acme", 100);
    let now = vm.host.world().now;
    let late = vm.tick().pop().and_then(|call| vm.service.answer(&call, now)).unwrap();
    vm.sync();
    let held = vm.sessions.0.borrow()[0].stats();
    vm.respond(late.clone());
    vm.respond(late);
    assert_eq!(vm.sessions.0.borrow()[0].stats(), held);
}

#[test]
fn units_survive_a_configuration_with_the_same_limits() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    vm.reconfigure(&LIMITS.replace(": ", ":  "));
    assert!(vm.request("acme"));
    assert_eq!(vm.sessions.0.borrow().len(), 1);
}

#[test]
fn other_limits_end_the_session_and_its_units_come_back() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    assert!(vm.request("acme"));
    let open = vm.roots[0].open();
    let other = LIMITS.replace("burst=40", "burst=60");
    vm.reconfigure(&other);
    assert!(!vm.request("acme"));
    vm.sync();
    assert_eq!(vm.sessions.0.borrow().len(), 2, "a request has the old configuration");
    drop(open);
    vm.sync();
    assert_eq!(vm.sessions.0.borrow().len(), 1);
    assert_eq!(vm.service.outstanding(), 0);
    assert!((1..=2).contains(&vm.service.in_use()), "{}", vm.service.in_use());
}

#[test]
fn a_service_with_other_limits_is_counted_and_logged_once() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    vm.service = Service::new(&LIMITS.replace("burst=40", "burst=50"));
    for _ in 0..5 {
        vm.request("acme");
        vm.sync();
    }
    assert!(vm.counter("cellgate.syncs_withdrawn") >= 3);
    assert_eq!(vm.counter("cellgate.sync_failures"), 0);
    let warnings = vm.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("other rate limits"), "{warnings:?}");
}

#[test]
fn the_timer_follows_an_interval_under_a_second() {
    let mut vm = Vm::new(LIMITS);
    vm.service.set_interval(100_000);
    vm.warm_up("acme");
    assert_eq!(vm.host.world().tick, Some(Duration::from_millis(100)));
    vm.service.set_interval(5_000_000);
    vm.sync();
    assert_eq!(vm.host.world().tick, Some(Duration::from_secs(1)));
    let calls: usize = (0..10)
        .map(|_| {
            vm.request("acme");
            vm.sync()
        })
        .sum();
    assert_eq!(calls, 2);
}

#[test]
fn a_clock_that_goes_back_does_not_stop_the_calls() {
    let mut vm = Vm::new(LIMITS);
    vm.warm_up("acme");
    vm.host.world().now -= 3_600 * SECOND;
    vm.request("acme");
    assert_eq!(vm.tick_now().len(), 1);
}

#[test]
fn in_shadow_nothing_is_spent() {
    let text = config(LIMITS).replacen('{', r#"{"shadow": true,"#, 1);
    let host = Fake::default();
    host.world().configuration = Some(text.into());
    let sessions = Rc::new(LeaseSessions::default());
    let mut root = Root::new(host.clone(), Rc::clone(&sessions));
    assert!(root.on_configure(0));
    let mut stream = root.open();
    {
        let mut world = host.world();
        world.headers = [(":method", "GET"), (":path", "/"), ("x-tenant", "acme")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into();
        (world.callback, world.is_shadow) = (Callback::Headers, true);
    }
    assert_eq!(stream.on_http_request_headers(3, true), Action::Continue);
    drop(stream);
    host.world().callback = Callback::None;
    root.on_tick();
    assert_eq!(host.world().grpc_calls.len(), 0);
    assert_eq!(host.counter("cellgate.leases.missed"), 0);
}
