//! Streams before, across and after a change of the root's configuration.

use std::rc::Rc;

use proxy_wasm::traits::{HttpContext, RootContext};
use proxy_wasm::types::Action;

use super::Stream;
use crate::fake::{CONFIG, Callback, Fake};
use crate::root::Root;

/// A bodiless request that decides at its headers.
fn bodiless(host: &Fake, stream: &mut Stream<Fake>) -> Action {
    {
        let mut world = host.world();
        world.headers = [(":method", "GET"), (":path", "/api/x"), ("x-tenant", "acme")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into();
        world.callback = Callback::Headers;
        world.released = false;
        world.answer = None;
    }
    stream.on_http_request_headers(3, true)
}

fn answer(host: &Fake) -> Option<u16> {
    host.world().answer.as_ref().map(|(status, _)| *status)
}

fn configured(host: &Fake) -> Root<Fake> {
    host.world().configuration = Some(CONFIG.into());
    let mut root = Root::new(host.clone(), Rc::default());
    assert!(root.on_configure(CONFIG.len()));
    root
}

#[test]
fn decisions_are_counted_at_the_next_tick() {
    let host = Fake::default();
    let mut root = configured(&host);
    assert_eq!(host.world().tick.map(|period| period.as_secs()), Some(1));
    let mut streams: Vec<_> = (0..98).map(|_| root.open()).collect();
    for stream in streams.iter_mut().rev() {
        assert_eq!(bodiless(&host, stream), Action::Continue);
    }
    drop(streams);
    assert_eq!(host.counter("cellgate.decisions.cell.exact"), 0);
    root.on_tick();
    assert_eq!(host.counter("cellgate.decisions.cell.exact"), 98);
}

#[test]
fn a_stream_that_ends_undecided_is_abandoned() {
    let host = Fake::default();
    let mut root = configured(&host);
    let mut stream = root.open();
    {
        let mut world = host.world();
        world.headers = [(":method", "POST"), (":path", "/api/x"), ("content-type", "application/json")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into();
        world.callback = Callback::Headers;
    }
    assert_eq!(stream.on_http_request_headers(3, false), Action::Pause);
    drop(stream);
    root.on_tick();
    assert_eq!(host.counter("cellgate.abandoned"), 1);
}

#[test]
fn a_request_before_any_configuration_is_refused() {
    let host = Fake::default();
    let root = Root::new(host.clone(), Rc::default());
    let mut stream = root.open();
    assert_eq!(bodiless(&host, &mut stream), Action::Pause);
    assert_eq!(answer(&host), Some(503));
    assert_eq!(stream.on_http_request_body(1, true), Action::Pause);
    assert_eq!(stream.on_http_request_trailers(1), Action::Pause);
}

#[test]
fn a_request_keeps_the_configuration_it_started_with() {
    let host = Fake::default();
    let mut root = configured(&host);
    let before = root.open();
    host.world().configuration = Some(CONFIG.replace("acme", "initech").into());
    assert!(root.on_configure(0));
    for (mut stream, reason) in [(before, "exact"), (root.open(), "key_unplaced")] {
        bodiless(&host, &mut stream);
        assert!(host.world().properties["cellgate"].ends_with(&format!("reason={reason}")));
    }
    root.on_tick();
    assert_eq!(host.counter("cellgate.decisions.cell.exact"), 1, "counted whichever configuration decided it");
}

#[test]
fn a_refused_change_leaves_the_old_configuration_in_force() {
    let host = Fake::default();
    let mut root = configured(&host);
    host.world().configuration = Some(b"{}".into());
    assert!(!root.on_configure(0));
    assert_eq!(bodiless(&host, &mut root.open()), Action::Continue);
}

/// The last stream flushes, because a dropped root has no timer.
#[test]
fn a_stream_outlives_its_root() {
    let host = Fake::default();
    let root = configured(&host);
    let mut stream = root.open();
    drop(root);
    assert_eq!(bodiless(&host, &mut stream), Action::Continue);
    assert_eq!(host.counter("cellgate.decisions.cell.exact"), 0);
    drop(stream);
    assert_eq!(host.counter("cellgate.decisions.cell.exact"), 1);
}
