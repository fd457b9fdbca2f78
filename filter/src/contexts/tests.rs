//! Callbacks by number, as Envoy makes them.

use super::Contexts;
use crate::fake::{CONFIG, Fake, Phase};
use crate::request::Action;

/// A bodiless request that decides at its headers.
fn bodiless(host: &Fake) {
    let mut world = host.world();
    world.headers = [(":method", "GET"), (":path", "/api/x"), ("x-tenant", "acme")]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into();
    world.phase = Phase::Headers;
    world.released = false;
}

fn configured(host: &Fake) -> Contexts<Fake> {
    host.world().configuration = Some(CONFIG.into());
    let mut contexts = Contexts::new(host.clone());
    contexts.create(1, 0);
    assert!(contexts.configure(1));
    contexts
}

#[test]
fn requests_are_told_apart() {
    let host = Fake::default();
    let mut contexts = configured(&host);
    for id in 2..100 {
        contexts.create(id, 1);
    }
    for id in (2..100).rev() {
        bodiless(&host);
        assert_eq!(contexts.on_headers(id, true), Action::Continue);
        contexts.delete(id);
    }
    assert_eq!(host.counter("cellgate.decisions.cell.exact"), 98);
    assert!(contexts.requests.is_empty());
}

#[test]
fn a_request_before_any_configuration_is_refused() {
    let host = Fake::default();
    let mut contexts = Contexts::new(host.clone());
    contexts.create(1, 0);
    contexts.create(2, 1);
    bodiless(&host);
    assert_eq!(contexts.on_headers(2, true), Action::Pause);
    assert_eq!(host.world().answer.as_ref().map(|(status, _)| *status), Some(503));
    assert_eq!(contexts.on_body(2, 1, true), Action::Pause);
    assert_eq!(contexts.on_trailers(2), Action::Pause);
    contexts.delete(2);
}

#[test]
fn a_request_keeps_the_configuration_it_started_with() {
    let host = Fake::default();
    let mut contexts = configured(&host);
    contexts.create(2, 1);
    host.world().configuration = Some(CONFIG.replace("acme", "initech").into());
    assert!(contexts.configure(1));
    contexts.create(3, 1);
    for (id, reason) in [(2, "exact"), (3, "key_unplaced")] {
        bodiless(&host);
        host.world().answer = None;
        contexts.on_headers(id, true);
        assert!(host.world().properties["cellgate"].ends_with(&format!("reason={reason}")));
    }
}

#[test]
fn a_root_started_again_keeps_its_configuration() {
    let host = Fake::default();
    let mut contexts = configured(&host);
    contexts.create(1, 0);
    host.world().configuration = Some(b"{}".into());
    assert!(!contexts.configure(1));
    contexts.create(2, 1);
    bodiless(&host);
    assert_eq!(contexts.on_headers(2, true), Action::Continue);
}

#[test]
fn a_request_of_a_root_that_is_gone_is_refused() {
    let host = Fake::default();
    let mut contexts = configured(&host);
    contexts.create(2, 1);
    contexts.delete(1);
    // The root may be named, or none: then it looks like a root of its own.
    for (id, parent) in [(3, 1), (4, 0)] {
        contexts.create(id, parent);
        bodiless(&host);
        host.world().answer = None;
        assert_eq!(contexts.on_headers(id, true), Action::Pause);
        assert_eq!(host.world().answer.as_ref().map(|(status, _)| *status), Some(503));
        contexts.delete(id);
    }
    // The one that was there before goes on.
    bodiless(&host);
    host.world().answer = None;
    assert_eq!(contexts.on_headers(2, true), Action::Continue);
    contexts.delete(2);
    assert!(contexts.requests.is_empty() && contexts.roots.is_empty());
}

#[test]
fn roots_come_and_go() {
    let host = Fake::default();
    let mut contexts = configured(&host);
    contexts.create(2, 1);
    contexts.delete(1);
    assert!(!contexts.configure(1));
    bodiless(&host);
    assert_eq!(contexts.on_headers(2, true), Action::Continue);
}
