//! Every transition, by a scripted peer.

mod properties;

use cellgate_routing::{CellId, Config, Tier};

use super::*;
use crate::budget::Budget;
use crate::process::body_buffer::COST;

const CONFIG: &str = r#"{
    "routing_header": "x-cell",
    "cells": ["cell-a", "cell-b"],
    "key": [{"json": "/t"}, {"header": "x-tenant"}],
    "placement": {"exact": {"a": "cell-a", "b": "cell-b"}},
    "policy": {"method_excluded": "pass"},
    "applies_to": {"methods": ["POST"]},
    "limits": {"inspect_bytes": 1024, "stream_bytes": 1024}
}"#;

const ON_A: Decision = Decision { outcome: Outcome::Cell(CellId(0)), reason: Reason::Exact };

fn machine_of(config: &str, mode: BodyMode, budget: &Budget) -> StateMachine {
    let config = Config::from_json(config, "test.json").unwrap();
    StateMachine::new(Router::new(config, Tier::Service), mode, budget.reservation())
}

fn machine(mode: BodyMode) -> StateMachine {
    machine_of(CONFIG, mode, &Budget::new(1 << 20))
}

fn head(extra: &[(&str, &str)], end_of_stream: bool) -> Event {
    let mut all = vec![(":method", "POST"), (":path", "/"), ("content-type", "application/json"), ("x-cell", "evil")];
    all.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    all.extend_from_slice(extra);
    let fields = all.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Event::RequestHeaders { fields, end_of_stream }
}

fn body(chunk: &str, end_of_stream: bool) -> Event {
    Event::RequestBody { chunk: Bytes::copy_from_slice(chunk.as_bytes()), end_of_stream }
}

fn trailers() -> Event {
    Event::RequestTrailers(vec![("x_cell".into(), "evil".into()), ("sum".into(), "1".into())])
}

fn change(decision: Option<Decision>) -> HeadMutation {
    HeadMutation { remove: vec!["x-cell".into()], decision }
}

fn piece(text: &str, end_of_stream: bool) -> Reply {
    Reply::BodyChunk { bytes: Bytes::copy_from_slice(text.as_bytes()), end_of_stream }
}

fn immediate(status: u16, reason: Reason) -> Vec<Reply> {
    vec![Reply::Immediate { status, reason, grpc: false }]
}

#[test]
fn a_head_that_decides_is_answered_in_every_mode() {
    for mode in [BodyMode::HeadersOnly, BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = machine(mode);
        let replies = machine.on(head(&[("x-tenant", "a")], true)).unwrap();
        assert_eq!(replies, [Reply::Headers(change(Some(ON_A)))], "{mode:?}");
        assert!(machine.may_end() && !machine.is_deciding());
    }
}

#[test]
fn every_reserved_name_is_removed_and_the_routing_header_always() {
    let mut machine = machine(BodyMode::HeadersOnly);
    let replies = machine.on(head(&[(":method", "GET"), ("x-cell", "1"), ("x_cell", "2")], true)).unwrap();
    let Some(Reply::Headers(change)) = replies.first() else { panic!("{replies:?}") };
    assert_eq!(change.remove, ["x-cell", "x_cell"]);
    assert_eq!(change.cell(), None);
    assert_eq!(change.decision.unwrap().outcome, Outcome::Pass);

    let mut machine = machine_of(CONFIG, BodyMode::HeadersOnly, &Budget::new(0));
    let clean = Event::RequestHeaders { fields: vec![(":method".into(), "GET".into())], end_of_stream: true };
    let replies = machine.on(clean).unwrap();
    assert!(matches!(replies.first(), Some(Reply::Headers(change)) if change.remove == ["x-cell"]));
}

#[test]
fn without_the_body_a_key_in_the_body_is_unread() {
    let mut machine = machine(BodyMode::HeadersOnly);
    assert_eq!(machine.on(head(&[], false)).unwrap(), immediate(421, Reason::BodyUnread));
    assert!(machine.is_ended());
}

#[test]
fn buffered_answers_the_head_and_then_the_whole_body() {
    let mut machine = machine(BodyMode::Buffered);
    assert_eq!(machine.on(head(&[], false)).unwrap(), [Reply::Headers(change(None))]);
    assert!(machine.is_deciding() && !machine.may_end());
    let answered = HeadMutation { remove: vec![], decision: Some(ON_A) };
    // With trailers behind it, Envoy's one body message does not say `end_of_stream`.
    assert_eq!(machine.on(body(r#"{"t":"a"}"#, false)).unwrap(), [Reply::Body(answered)]);
    assert!(machine.may_end());
    assert_eq!(machine.on(trailers()).unwrap(), [Reply::Trailers { remove: vec!["x_cell".into()] }]);
}

#[test]
fn buffered_rejects_a_bad_body() {
    let mut machine = machine(BodyMode::Buffered);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body(r#"{"t":"a""#, true)).unwrap(), immediate(400, Reason::BodyTruncated));
    assert_eq!(machine.on(trailers()).unwrap(), []);
}

/// As where the filter holds a body: what is wrong with one that is all there has the policy's answer. Once it was
/// settled by its key first, and then its guard could only refuse.
#[test]
fn a_whole_body_gets_the_answer_of_the_policy_not_of_a_guard() {
    let config = CONFIG.replace(r#""method_excluded": "pass""#, r#""body_truncated": {"use": "cell-b"}"#);
    let decision = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::BodyTruncated };
    let cut = r#"{"t":"a","x":"#;

    let mut machine = machine_of(&config, BodyMode::Buffered, &Budget::new(1 << 20));
    machine.on(head(&[], false)).unwrap();
    let answer = Reply::Body(HeadMutation { remove: Vec::new(), decision: Some(decision) });
    assert_eq!(machine.on(body(cut, true)).unwrap(), [answer]);

    let mut machine = machine_of(&config, BodyMode::Duplex, &Budget::new(1 << 20));
    machine.on(head(&[], false)).unwrap();
    let answer = [Reply::Headers(change(Some(decision))), piece(cut, true)];
    assert_eq!(machine.on(body(cut, true)).unwrap(), answer);
}

#[test]
fn buffered_trailers_without_a_body() {
    let mut machine = machine(BodyMode::Buffered);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), immediate(421, Reason::BodyAbsent));
    // The fallback holds a key, but its header can no longer be set.
    let mut machine = self::machine(BodyMode::Buffered);
    machine.on(head(&[("x-tenant", "a")], false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), immediate(421, Reason::BodyUnread));
}

#[test]
fn a_body_behind_an_answered_head_passes() {
    let excluded = head(&[(":method", "PUT")], false);
    let mut machine = machine(BodyMode::Buffered);
    machine.on(excluded.clone()).unwrap();
    assert_eq!(machine.on(body("x", true)).unwrap(), [Reply::Body(HeadMutation::default())]);
    let mut machine = self::machine(BodyMode::Duplex);
    machine.on(excluded.clone()).unwrap();
    assert_eq!(machine.on(body("x", false)).unwrap(), [piece("x", false)]);
    assert_eq!(machine.on(body("", true)).unwrap(), [piece("", true)]);
    assert!(machine.may_end());
    let mut machine = self::machine(BodyMode::HeadersOnly);
    machine.on(excluded).unwrap();
    assert_eq!(machine.on(body("x", true)), Err(Violation::BodyUnexpected));
}

#[test]
fn duplex_holds_until_the_key_is_known_and_echoes_in_order() {
    let budget = Budget::new(1000);
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    assert_eq!(machine.on(head(&[], false)).unwrap(), []);
    assert_eq!(machine.on(body(r#"{"x":1,"#, false)).unwrap(), []);
    assert_eq!(budget.used(), 7 + COST);
    assert_eq!(machine.on(body("", false)).unwrap(), []);
    assert_eq!(budget.used(), 7 + COST, "an empty chunk is nothing");
    let replies = machine.on(body(r#""t":"a","#, false)).unwrap();
    assert_eq!(replies, [Reply::Headers(change(Some(ON_A))), piece(r#"{"x":1,"#, false), piece(r#""t":"a","#, false)]);
    assert_eq!(machine.take_reservation(7).map(|share| share.bytes()), Some(7));
    assert!(machine.take_reservation(8).is_none(), "what never waited has no share");
    assert_eq!(budget.used(), 0);
    assert!(!machine.may_end());
    assert_eq!(machine.on(body(r#""y":2}"#, true)).unwrap(), [piece(r#""y":2}"#, true)]);
    assert!(machine.may_end());
}

#[test]
fn duplex_with_the_whole_body_at_once() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    let text = r#"{"t":"a"}"#;
    assert_eq!(machine.on(body(text, true)).unwrap(), [Reply::Headers(change(Some(ON_A))), piece(text, true)]);
}

#[test]
fn duplex_ends_with_trailers() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a"}"#, false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), [Reply::Trailers { remove: vec!["x_cell".into()] }]);
    assert_eq!(machine.on(body("", true)), Err(Violation::AfterEnd));
    // The fallback decides only when the body is known to hold no key: here, at the trailers.
    let mut machine = self::machine(BodyMode::Duplex);
    machine.on(head(&[("x-tenant", "a")], false)).unwrap();
    assert_eq!(machine.on(body("{}", false)).unwrap(), []);
    let replies = machine.on(trailers()).unwrap();
    let end = Reply::Trailers { remove: vec!["x_cell".into()] };
    assert_eq!(replies, [Reply::Headers(change(Some(ON_A))), piece("{}", false), end]);
}

#[test]
fn a_conflict_after_the_release_ends_the_request() {
    for (rest, reason) in
        [(r#","t":"b"}"#, Reason::KeyDuplicated), (r#"x"#, Reason::BodyMalformed), (r#","#, Reason::BodyTruncated)]
    {
        let mut machine = machine(BodyMode::Duplex);
        machine.on(head(&[], false)).unwrap();
        assert_eq!(machine.on(body(r#"{"t":"a""#, false)).unwrap().len(), 2, "{reason}");
        assert_eq!(machine.on(body(rest, true)).unwrap(), immediate(400, reason));
        assert_eq!(machine.decision(), Some(ON_A));
        assert_eq!(machine.conflict().unwrap().reason, reason);
    }
}

#[test]
fn a_conflict_before_the_release_is_the_decision() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    let replies = machine.on(body(r#"{"t":"a","t":"a"}"#, false)).unwrap();
    assert_eq!(replies, immediate(400, Reason::KeyDuplicated));
    assert_eq!(machine.conflict(), None);
}

#[test]
fn truncation_is_found_at_the_trailers_too() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a""#, false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), immediate(400, Reason::BodyTruncated));
}

#[test]
fn a_body_is_read_up_to_the_limit_however_it_is_cut() {
    let late = |before: usize| format!(r#"{{"x":"{}","t":"a"}}"#, "-".repeat(before));
    // The key's closing quote is the 1024th byte, or the 1025th.
    for (text, decided) in [(late(1009), ON_A.reason), (late(1010), Reason::BodyTooLarge)] {
        for cut in 1..=text.len() {
            let mut machine = machine(BodyMode::Duplex);
            machine.on(head(&[], false)).unwrap();
            for start in (0..text.len()).step_by(cut) {
                let end = (start + cut).min(text.len());
                machine.on(body(&text[start..end], end == text.len())).unwrap();
            }
            assert_eq!(machine.decision().unwrap().reason, decided, "cut at {cut}");
        }
    }
}

#[test]
fn no_room_is_overload_and_a_key_needs_none() {
    let budget = Budget::new(8 + COST);
    let mut full = budget.reservation();
    assert!(full.try_grow(4));
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body("{   ", false)).unwrap(), []);
    assert_eq!(machine.on(body(" ", false)).unwrap(), immediate(503, Reason::Overloaded));
    assert_eq!(budget.used(), 4, "what was held is free again");

    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &Budget::new(0));
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body(r#"{"t":"a""#, false)).unwrap().len(), 2);
}

/// A large message holds its bytes from when it arrived: they are not counted again.
#[test]
fn what_arrived_with_its_share_needs_no_other() {
    let budget = Budget::new(8 + COST);
    let mut share = budget.reservation();
    assert!(share.try_grow(8));
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    machine.set_message_reservation(Some(share));
    assert_eq!(machine.on(body("{       ", false)).unwrap(), []);
    assert_eq!(budget.used(), 8 + COST);
    machine.set_message_reservation(None);
    assert_eq!(machine.reserved_bytes(), 8 + COST);

    // Pieces that never waited hold what they arrived with.
    let budget = Budget::new(9);
    let mut share = budget.reservation();
    assert!(share.try_grow(9));
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    machine.set_message_reservation(Some(share));
    assert_eq!(machine.on(body(r#"{"t":"a"}"#, true)).unwrap().len(), 2);
    let piece = machine.take_reservation(9).unwrap();
    machine.set_message_reservation(None);
    assert_eq!((piece.bytes(), budget.used()), (9, 9));
}

/// The message that was to follow is lost: what goes on would not be whole.
#[test]
fn without_room_for_a_message_nothing_goes_on() {
    for mode in [BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = machine(mode);
        machine.on(head(&[], false)).unwrap();
        assert_eq!(machine.on(Event::OverBudget).unwrap(), immediate(503, Reason::Overloaded), "{mode:?}");
        assert!(machine.is_ended());
        // A cell that the policy names would get half a request.
        let config = CONFIG.replace(r#""pass""#, r#""pass", "overloaded": {"use": "cell-b"}"#);
        let mut machine = machine_of(&config, mode, &Budget::new(1000));
        machine.on(head(&[], false)).unwrap();
        assert_eq!(machine.on(Event::OverBudget), Err(Violation::OverBudget), "{mode:?}");
    }
    assert_eq!(machine(BodyMode::Duplex).on(Event::OverBudget), Err(Violation::OverBudget));
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a""#, false)).unwrap();
    assert_eq!(machine.on(Event::OverBudget), Err(Violation::OverBudget));
}

#[test]
fn the_deadline_decides_what_is_undecided() {
    assert_eq!(machine(BodyMode::Duplex).on(Event::Deadline), Err(Violation::NoHeadersInTime));
    for mode in [BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = machine(mode);
        machine.on(head(&[], false)).unwrap();
        assert_eq!(machine.on(Event::Deadline).unwrap(), immediate(408, Reason::DeadlineExceeded), "{mode:?}");
    }
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a""#, false)).unwrap();
    assert_eq!(machine.on(Event::Deadline).unwrap(), []);
    assert_eq!(machine.on(body("}", true)).unwrap(), [piece("}", true)]);
}

#[test]
fn a_deadline_that_names_a_cell_releases_what_is_held() {
    let config = CONFIG.replace(r#""pass""#, r#""pass", "deadline_exceeded": {"use": "cell-b"}"#);
    let mut machine = machine_of(&config, BodyMode::Duplex, &Budget::new(1000));
    machine.on(head(&[], false)).unwrap();
    machine.on(body("{", false)).unwrap();
    let on_b = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::DeadlineExceeded };
    assert_eq!(machine.on(Event::Deadline).unwrap(), [Reply::Headers(change(Some(on_b))), piece("{", false)]);
    assert_eq!(machine.on(body("anything", true)).unwrap(), [piece("anything", true)]);

    // BUFFERED has no reply to carry it until the body comes, which then decides.
    let mut machine = machine_of(&config, BodyMode::Buffered, &Budget::new(1000));
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(Event::Deadline).unwrap(), []);
    machine.on(body(r#"{"t":"a"}"#, true)).unwrap();
    assert_eq!(machine.decision(), Some(ON_A));
}

#[test]
fn responses_are_answered_in_every_state() {
    let mut machine = machine(BodyMode::Buffered);
    assert_eq!(machine.on(Event::ResponseHeaders).unwrap(), [Reply::ResponseHeaders]);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(Event::ResponseTrailers).unwrap(), [Reply::ResponseTrailers]);
    machine.on(body("x", true)).unwrap();
    assert_eq!(machine.on(Event::ResponseHeaders).unwrap(), []);
}

/// While a request is held, nobody but Envoy can have answered it.
#[test]
fn a_request_that_envoy_answered_itself_is_given_up() {
    for response in [Event::ResponseHeaders, Event::ResponseTrailers] {
        let budget = Budget::new(1000);
        let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
        machine.on(head(&[], false)).unwrap();
        machine.on(body("{", false)).unwrap();
        assert!(budget.used() > 0);
        assert_eq!(machine.on(response).unwrap().len(), 1);
        assert_eq!(budget.used(), 0);
        assert!(machine.may_end() && !machine.is_deciding() && machine.decision().is_none());
        // What was on its way goes nowhere.
        for late in [body("x", true), trailers(), Event::Deadline, Event::OverBudget] {
            assert_eq!(machine.on(late).unwrap(), []);
        }
        assert_eq!(machine.on(Event::ResponseTrailers).unwrap(), [Reply::ResponseTrailers]);
    }
}

#[test]
fn what_has_no_place_is_a_violation() {
    assert_eq!(machine(BodyMode::Duplex).on(body("x", true)), Err(Violation::HeadersNotFirst));
    assert_eq!(machine(BodyMode::Buffered).on(trailers()), Err(Violation::HeadersNotFirst));
    let mut machine = machine(BodyMode::Buffered);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(head(&[], false)), Err(Violation::HeadersTwice));
}

#[test]
fn fields_are_counted() {
    let fields = |count: usize| (0..count).map(|index| (format!("x-cellgate-{index}"), Vec::new())).collect::<Vec<_>>();
    let head = |count| Event::RequestHeaders { fields: fields(count), end_of_stream: true };
    assert!(machine(BodyMode::Duplex).on(head(fields::MAX_FIELDS)).is_ok());
    assert_eq!(machine(BodyMode::Duplex).on(head(fields::MAX_FIELDS + 1)), Err(Violation::TooManyFields));
    let trailers = Event::RequestTrailers(fields(fields::MAX_FIELDS + 1));
    assert_eq!(machine(BodyMode::Duplex).on(trailers), Err(Violation::TooManyFields));
}

#[test]
fn grpc_clients_are_known_for_the_answer_as_envoy_knows_them() {
    let types = [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc-web+proto", false),
        ("application/grpcx", false),
    ];
    for (content_type, grpc) in types {
        let replies = machine(BodyMode::Duplex).on(head(&[("content-type", content_type)], false)).unwrap();
        assert_eq!(replies, [Reply::Immediate { status: 415, reason: Reason::ContentTypeUnsupported, grpc }]);
    }
}
