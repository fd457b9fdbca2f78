//! Every transition, with scripted events.

mod concurrency;
mod encoded;
mod limits;
mod properties;

use cellgate_routing::{CellId, Tier};

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
    let config = cellgate_config::from_json(config, "test.json").unwrap();
    StateMachine::new(Decider::new(config, Tier::Service), mode, budget.reservation())
}

fn machine(mode: BodyMode) -> StateMachine {
    machine_of(CONFIG, mode, &Budget::new(1 << 20))
}

fn head(extra: &[(&str, &str)], end_of_stream: bool) -> Event {
    let mut all = vec![(":method", "POST"), (":path", "/"), ("content-type", "application/json"), ("x-cell", "evil")];
    all.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    all.extend_from_slice(extra);
    let fields = all.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Event::RequestHeaders { fields, metadata: Vec::new(), attributes: Attributes::default(), end_of_stream }
}

fn body(chunk: &str, end_of_stream: bool) -> Event {
    Event::RequestBody { chunk: Bytes::copy_from_slice(chunk.as_bytes()), end_of_stream }
}

fn trailers() -> Event {
    Event::RequestTrailers(vec![("x_cell".into(), "evil".into()), ("sum".into(), "1".into())])
}

fn response_headers() -> Event {
    Event::ResponseHeaders { fields: vec![], end_of_stream: false }
}

fn change(decision: Option<Decision>) -> HeadMutation {
    HeadMutation { remove: vec!["x-cell".into()], decision, ..HeadMutation::default() }
}

fn chunk(text: &str, end_of_stream: bool) -> Reply {
    Reply::BodyChunk { bytes: Bytes::copy_from_slice(text.as_bytes()), end_of_stream }
}

fn immediate(status: u16, reason: Reason) -> Vec<Reply> {
    vec![Reply::Immediate { status, reason, grpc: false, refused_type: None, limits: None }]
}

#[test]
fn headers_that_decide_are_answered_in_every_mode() {
    for mode in [BodyMode::HeadersOnly, BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = machine(mode);
        let replies = machine.on(head(&[("x-tenant", "a")], true)).unwrap();
        assert_eq!(replies, [Reply::Headers(change(Some(ON_A)))], "{mode:?}");
        assert!(machine.may_end() && !machine.is_deciding());
    }
}

#[test]
fn reserved_names_and_always_the_routing_header_are_removed() {
    let mut machine = machine(BodyMode::HeadersOnly);
    let replies = machine.on(head(&[(":method", "GET"), ("x-cell", "1"), ("x_cell", "2")], true)).unwrap();
    let Some(Reply::Headers(change)) = replies.first() else { panic!("{replies:?}") };
    assert_eq!(change.remove, ["x-cell", "x_cell"]);
    assert_eq!(change.cell(), None);
    assert_eq!(change.decision.unwrap().outcome, Outcome::Pass);

    let mut machine = machine_of(CONFIG, BodyMode::HeadersOnly, &Budget::new(0));
    let clean = Event::RequestHeaders {
        fields: vec![(":method".into(), "GET".into())],
        metadata: Vec::new(),
        attributes: Attributes::default(),
        end_of_stream: true,
    };
    let replies = machine.on(clean).unwrap();
    assert!(matches!(replies.first(), Some(Reply::Headers(change)) if change.remove == ["x-cell"]));
}

#[test]
fn a_key_in_a_body_that_envoy_does_not_send_is_unread() {
    let mut machine = machine(BodyMode::HeadersOnly);
    assert_eq!(machine.on(head(&[], false)).unwrap(), immediate(500, Reason::BodyUnread));
    assert!(machine.is_ended());
}

#[test]
fn buffered_mode_answers_the_headers_and_then_the_whole_body() {
    let mut machine = machine(BodyMode::Buffered);
    assert_eq!(machine.on(head(&[], false)).unwrap(), [Reply::Headers(change(None))]);
    assert!(machine.is_deciding() && !machine.may_end());
    let answered = HeadMutation { decision: Some(ON_A), ..HeadMutation::default() };
    // Before trailers, `end_of_stream` of Envoy's one body message is false.
    assert_eq!(machine.on(body(r#"{"t":"a"}"#, false)).unwrap(), [Reply::Body(answered)]);
    assert!(machine.may_end());
    assert_eq!(machine.on(trailers()).unwrap(), [Reply::Trailers { remove: vec!["x_cell".into()] }]);
}

#[test]
fn buffered_mode_rejects_a_truncated_body() {
    let mut machine = machine(BodyMode::Buffered);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body(r#"{"t":"a""#, true)).unwrap(), immediate(400, Reason::BodyTruncated));
    assert_eq!(machine.on(trailers()).unwrap(), []);
}

/// As in the filter. A regression test: the key once decided first, and then the guard could only reject the body.
#[test]
fn the_policy_answers_an_error_in_a_whole_body() {
    let config = CONFIG.replace(r#""method_excluded": "pass""#, r#""body_truncated": {"use": "cell-b"}"#);
    let decision = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::BodyTruncated };
    let cut = r#"{"t":"a","x":"#;

    let mut machine = machine_of(&config, BodyMode::Buffered, &Budget::new(1 << 20));
    machine.on(head(&[], false)).unwrap();
    let answer = Reply::Body(HeadMutation { decision: Some(decision), ..HeadMutation::default() });
    assert_eq!(machine.on(body(cut, true)).unwrap(), [answer]);

    let mut machine = machine_of(&config, BodyMode::Duplex, &Budget::new(1 << 20));
    machine.on(head(&[], false)).unwrap();
    let answer = [Reply::Headers(change(Some(decision))), chunk(cut, true)];
    assert_eq!(machine.on(body(cut, true)).unwrap(), answer);
}

#[test]
fn trailers_without_a_body_decide_in_buffered_mode() {
    let mut machine = machine(BodyMode::Buffered);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), immediate(400, Reason::BodyAbsent));
    // The header has a key, but the answer to trailers cannot set the routing header.
    let mut machine = self::machine(BodyMode::Buffered);
    machine.on(head(&[("x-tenant", "a")], false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), immediate(500, Reason::BodyUnread));
}

#[test]
fn the_body_passes_after_a_decision_from_the_headers() {
    let excluded = head(&[(":method", "PUT")], false);
    let mut machine = machine(BodyMode::Buffered);
    machine.on(excluded.clone()).unwrap();
    assert_eq!(machine.on(body("x", true)).unwrap(), [Reply::Body(HeadMutation::default())]);
    let mut machine = self::machine(BodyMode::Duplex);
    machine.on(excluded.clone()).unwrap();
    assert_eq!(machine.on(body("x", false)).unwrap(), [chunk("x", false)]);
    assert_eq!(machine.on(body("", true)).unwrap(), [chunk("", true)]);
    assert!(machine.may_end());
    let mut machine = self::machine(BodyMode::HeadersOnly);
    machine.on(excluded).unwrap();
    assert_eq!(machine.on(body("x", true)), Err(Violation::BodyUnexpected));
}

#[test]
fn duplex_mode_holds_the_body_until_the_key_and_sends_it_back_in_order() {
    let budget = Budget::new(1000);
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    assert_eq!(machine.on(head(&[], false)).unwrap(), []);
    assert_eq!(machine.on(body(r#"{"x":1,"#, false)).unwrap(), []);
    assert_eq!(budget.used(), 7 + COST);
    assert_eq!(machine.on(body("", false)).unwrap(), []);
    assert_eq!(budget.used(), 7 + COST, "an empty chunk costs nothing");
    let replies = machine.on(body(r#""t":"a","#, false)).unwrap();
    assert_eq!(replies, [Reply::Headers(change(Some(ON_A))), chunk(r#"{"x":1,"#, false), chunk(r#""t":"a","#, false)]);
    assert_eq!(machine.take_reservation(7).map(|reservation| reservation.bytes()), Some(7));
    assert!(machine.take_reservation(8).is_none(), "a chunk that was not held has no reservation");
    assert_eq!(budget.used(), 0);
    assert!(!machine.may_end());
    assert_eq!(machine.on(body(r#""y":2}"#, true)).unwrap(), [chunk(r#""y":2}"#, true)]);
    assert!(machine.may_end());
}

#[test]
fn duplex_mode_decides_a_body_in_one_chunk() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    let text = r#"{"t":"a"}"#;
    assert_eq!(machine.on(body(text, true)).unwrap(), [Reply::Headers(change(Some(ON_A))), chunk(text, true)]);
}

#[test]
fn trailers_end_the_body_in_duplex_mode() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a"}"#, false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), [Reply::Trailers { remove: vec!["x_cell".into()] }]);
    assert_eq!(machine.on(body("x", true)), Err(Violation::AfterEnd));
    // The header decides only once the body is known to have no key: here, at the trailers.
    let mut machine = self::machine(BodyMode::Duplex);
    machine.on(head(&[("x-tenant", "a")], false)).unwrap();
    assert_eq!(machine.on(body("{}", false)).unwrap(), []);
    let replies = machine.on(trailers()).unwrap();
    let end = Reply::Trailers { remove: vec!["x_cell".into()] };
    assert_eq!(replies, [Reply::Headers(change(Some(ON_A))), chunk("{}", false), end]);
}

/// Envoy 46237: the last body message comes twice. llm-d's and others' processors failed on it.
#[test]
fn a_second_empty_end_of_the_body_is_ignored() {
    for mode in [BodyMode::Duplex, BodyMode::Buffered] {
        let ended = || {
            let mut machine = machine(mode);
            machine.on(head(&[], false)).unwrap();
            machine.on(body(r#"{"t":"a"}"#, true)).unwrap();
            machine
        };
        let mut machine = ended();
        assert_eq!(machine.on(body("", true)).unwrap(), [], "{mode:?}");
        assert_eq!(machine.on(body("", true)).unwrap(), [], "{mode:?}");
        assert!(machine.may_end(), "{mode:?}");
        for (text, end) in [("x", true), ("x", false), ("", false)] {
            assert_eq!(ended().on(body(text, end)), Err(Violation::AfterEnd), "{mode:?}: {text:?}, {end}");
        }
    }
}

#[test]
fn a_conflict_after_the_decision_rejects_the_request() {
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
fn a_conflict_before_the_decision_is_the_decision() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    let replies = machine.on(body(r#"{"t":"a","t":"a"}"#, false)).unwrap();
    assert_eq!(replies, immediate(400, Reason::KeyDuplicated));
    assert_eq!(machine.conflict(), None);
}

#[test]
fn trailers_reject_a_truncated_body() {
    let mut machine = machine(BodyMode::Duplex);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a""#, false)).unwrap();
    assert_eq!(machine.on(trailers()).unwrap(), immediate(400, Reason::BodyTruncated));
}

#[test]
fn the_decision_does_not_depend_on_the_size_of_chunks() {
    let late = |before: usize| format!(r#"{{"x":"{}","t":"a"}}"#, "-".repeat(before));
    // The key's closing quote is byte 1024 or byte 1025.
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

/// The machine holds the chunk and names what the budget has no room for.
#[test]
fn a_body_beyond_the_budget_has_a_shortfall_unless_it_has_the_key() {
    let budget = Budget::new(8 + COST);
    let mut full = budget.reservation();
    assert!(full.try_grow(4));
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body("{   ", false)).unwrap(), []);
    assert_eq!(machine.shortfall(), 0);
    assert_eq!(machine.on(body(" ", false)).unwrap(), []);
    assert_eq!((machine.shortfall(), budget.used()), (1, 8 + COST));
    full.release(1);
    let mut more = machine.reservation.another();
    assert!(more.try_grow(1));
    machine.cover(more);
    assert_eq!((machine.shortfall(), machine.reserved_bytes()), (0, 5 + COST));
    assert_eq!(machine.on(body(r#""t":"a"}"#, true)).unwrap().len(), 3);
    assert_eq!(machine.take_reservation(5).map(|chunk| chunk.bytes()), Some(5));

    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &Budget::new(0));
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body(r#"{"t":"a""#, false)).unwrap().len(), 2);
    assert_eq!(machine.shortfall(), 0);
}

#[test]
fn a_request_for_which_there_is_no_room_is_overload() {
    let budget = Budget::new(0);
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    machine.on(body("{   ", false)).unwrap();
    assert_eq!(machine.shortfall(), 4 + COST);
    assert_eq!(machine.on(Event::NoRoom).unwrap(), immediate(503, Reason::Overloaded));
    assert_eq!(machine.shortfall(), 0);
    // The policy may let it proceed. Then the body is whole.
    let config = CONFIG.replace(r#""pass""#, r#""pass", "overloaded": {"use": "cell-b"}"#);
    let mut machine = machine_of(&config, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    machine.on(body("{   ", false)).unwrap();
    let on_b = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::Overloaded };
    assert_eq!(machine.on(Event::NoRoom).unwrap(), [Reply::Headers(change(Some(on_b))), chunk("{   ", false)]);
    assert_eq!(machine.on(body("}", true)).unwrap(), [chunk("}", true)]);
}

/// A large message reserves its bytes on arrival. They must not count twice.
#[test]
fn a_message_with_a_reservation_needs_no_other() {
    let budget = Budget::new(8 + COST);
    let mut reservation = budget.reservation();
    assert!(reservation.try_grow(8));
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    machine.set_message_reservation(Some(reservation));
    assert_eq!(machine.on(body("{       ", false)).unwrap(), []);
    assert_eq!(budget.used(), 8 + COST);
    machine.set_message_reservation(None);
    assert_eq!(machine.reserved_bytes(), 8 + COST);

    // Chunks that were not held keep the reservation of their message.
    let budget = Budget::new(9);
    let mut reservation = budget.reservation();
    assert!(reservation.try_grow(9));
    let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
    machine.on(head(&[], false)).unwrap();
    machine.set_message_reservation(Some(reservation));
    assert_eq!(machine.on(body(r#"{"t":"a"}"#, true)).unwrap().len(), 2);
    let chunk = machine.take_reservation(9).unwrap();
    machine.set_message_reservation(None);
    assert_eq!((chunk.bytes(), budget.used()), (9, 9));
}

/// The rest of the request would not be whole.
#[test]
fn a_lost_message_rejects_the_request() {
    for mode in [BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = machine(mode);
        machine.on(head(&[], false)).unwrap();
        assert_eq!(machine.on(Event::OverBudget).unwrap(), immediate(503, Reason::Overloaded), "{mode:?}");
        assert!(machine.is_ended());
        // A cell would receive half a request.
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
fn the_deadline_decides_an_undecided_request() {
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
    assert_eq!(machine.on(body("}", true)).unwrap(), [chunk("}", true)]);
}

#[test]
fn a_deadline_whose_policy_uses_a_cell_releases_the_body() {
    let config = CONFIG.replace(r#""pass""#, r#""pass", "deadline_exceeded": {"use": "cell-b"}"#);
    let mut machine = machine_of(&config, BodyMode::Duplex, &Budget::new(1000));
    machine.on(head(&[], false)).unwrap();
    machine.on(body("{", false)).unwrap();
    let on_b = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::DeadlineExceeded };
    assert_eq!(machine.on(Event::Deadline).unwrap(), [Reply::Headers(change(Some(on_b))), chunk("{", false)]);
    assert_eq!(machine.on(body("anything", true)).unwrap(), [chunk("anything", true)]);

    // In BUFFERED mode no reply can name a cell before the body comes, and then the body decides.
    let mut machine = machine_of(&config, BodyMode::Buffered, &Budget::new(1000));
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(Event::Deadline).unwrap(), []);
    machine.on(body(r#"{"t":"a"}"#, true)).unwrap();
    assert_eq!(machine.decision(), Some(ON_A));
}

#[test]
fn responses_are_answered_in_every_state() {
    let mut machine = machine(BodyMode::Buffered);
    assert_eq!(machine.on(response_headers()).unwrap(), [Reply::ResponseHeaders]);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(Event::ResponseTrailers(vec![])).unwrap(), [Reply::ResponseTrailers]);
    machine.on(body("x", true)).unwrap();
    assert_eq!(machine.on(response_headers()).unwrap(), []);
}

/// Only Envoy can answer the client while a request is held.
#[test]
fn a_response_abandons_a_held_request() {
    for response in [response_headers(), Event::ResponseTrailers(vec![])] {
        let budget = Budget::new(1000);
        let mut machine = machine_of(CONFIG, BodyMode::Duplex, &budget);
        machine.on(head(&[], false)).unwrap();
        machine.on(body("{", false)).unwrap();
        assert!(budget.used() > 0);
        assert_eq!(machine.on(response).unwrap().len(), 1);
        assert_eq!(budget.used(), 0);
        assert!(machine.may_end() && !machine.is_deciding() && machine.decision().is_none());
        // Late events are ignored.
        for late in [body("x", true), trailers(), Event::Deadline, Event::OverBudget] {
            assert_eq!(machine.on(late).unwrap(), []);
        }
        assert_eq!(machine.on(Event::ResponseTrailers(vec![])).unwrap(), [Reply::ResponseTrailers]);
    }
}

#[test]
fn messages_out_of_order_are_violations() {
    assert_eq!(machine(BodyMode::Duplex).on(body("x", true)), Err(Violation::HeadersNotFirst));
    assert_eq!(machine(BodyMode::Buffered).on(trailers()), Err(Violation::HeadersNotFirst));
    let mut machine = machine(BodyMode::Buffered);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(head(&[], false)), Err(Violation::HeadersTwice));
}

#[test]
fn too_many_headers_or_trailers_are_a_violation() {
    let fields = |count: usize| (0..count).map(|index| (format!("x-cellgate-{index}"), Vec::new())).collect::<Vec<_>>();
    let head = |count| Event::RequestHeaders {
        fields: fields(count),
        metadata: Vec::new(),
        attributes: Attributes::default(),
        end_of_stream: true,
    };
    assert!(machine(BodyMode::Duplex).on(head(fields::MAX_FIELDS)).is_ok());
    assert_eq!(machine(BodyMode::Duplex).on(head(fields::MAX_FIELDS + 1)), Err(Violation::TooManyFields));
    let trailers = Event::RequestTrailers(fields(fields::MAX_FIELDS + 1));
    assert_eq!(machine(BodyMode::Duplex).on(trailers), Err(Violation::TooManyFields));
}

#[test]
fn grpc_calls_are_recognised_as_in_envoy() {
    let types = [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc-web+proto", false),
        ("application/grpcx", false),
    ];
    for (content_type, grpc) in types {
        let replies = machine(BodyMode::Duplex).on(head(&[("content-type", content_type)], false)).unwrap();
        let reason = Reason::ContentTypeUnsupported;
        let new = machine(BodyMode::Duplex);
        let refused_type = RefusedType::of(reason, new.decider.config(), Some(content_type.as_bytes())).map(Box::new);
        assert!(refused_type.is_some());
        assert_eq!(replies, [Reply::Immediate { status: 415, reason, grpc, refused_type, limits: None }]);
    }
}
