//! Every transition, and the rule against a naive form of it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use proptest::prelude::*;

use cellgate_routing::{
    BodyMode, BodyReader, CellId, Decider, Decision, HeadResult, Inspection, InspectionStep, Outcome, Phase, Reason,
    Tier,
};

const CONFIG: &str = r#"{
    "routing_header": "x-cell",
    "cells": ["a", "b"],
    "applies_to": { "paths": ["/api"] },
    "key": [{ "json": "/t" }, { "form": "t" }],
    "placement": { "exact": { "one": "a", "two": "b" } },
    "policy": { "path_excluded": "pass", "body_unread": { "use": "b" } }
}"#;

const WHOLE: &str = r#"{"t":"one"}"#;
/// Longer than `inspect_bytes`.
const LENGTH: u64 = 100;

/// A small limit keeps the bodies short; a configuration file cannot name one below 1 KiB.
fn decider_with(duplicates: &str) -> Decider {
    let text = CONFIG.replace(r#""key""#, &format!(r#""duplicates": "{duplicates}", "key""#));
    let mut config = cellgate_config::from_json(&text, "test.json").unwrap();
    config.limits.inspect_bytes = 64;
    Decider::new(config, Tier::Filter)
}

fn decider() -> Decider {
    decider_with("reject")
}

fn fields(length: Option<u64>) -> Vec<(String, Vec<u8>)> {
    let mut fields = vec![
        (":method".to_owned(), b"POST".to_vec()),
        (":path".to_owned(), b"/api".to_vec()),
        ("content-type".to_owned(), b"application/json".to_vec()),
    ];
    fields.extend(length.map(|length| ("content-length".to_owned(), length.to_string().into_bytes())));
    fields
}

/// An event of an inspection.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The head, with this Content-Length.
    Head(Option<u64>),
    /// A head that decides.
    Excluded,
    /// A head with an encoded body of this Content-Length.
    Encoded(Option<u64>),
    Chunk(&'static str),
    LastChunk(&'static str),
    Trailers,
    Unread,
    Unreadable,
    ReleaseFailed,
}

fn apply(inspection: &mut Inspection, decider: &Decider, event: Event) -> InspectionStep {
    let chunk = |inspection: &mut Inspection, part: &str, end_of_stream| {
        inspection.push(part.as_bytes()).err().unwrap_or_else(|| inspection.end_chunk(end_of_stream))
    };
    match event {
        Event::Head(length) => inspection.head(decider, fields(length).as_slice(), false, None),
        Event::Excluded => inspection.head(decider, [(":path", "/")].as_slice(), false, None),
        Event::Encoded(length) => {
            let mut fields = fields(length);
            fields.push(("content-encoding".to_owned(), b"br".to_vec()));
            inspection.head(decider, fields.as_slice(), false, None)
        }
        Event::Chunk(part) => chunk(inspection, part, false),
        Event::LastChunk(part) => chunk(inspection, part, true),
        Event::Trailers => inspection.trailers(),
        Event::Unread => inspection.unread_body(),
        Event::Unreadable => inspection.unreadable_fields(),
        Event::ReleaseFailed => inspection.release_failed(),
    }
}

/// `wait`, `continue`, `a exact`, `defer stream;body_too_large`, `conflict 400 key_duplicated after a`.
fn show(decider: &Decider, step: InspectionStep) -> String {
    let name = |cell: CellId| decider.config().cell_name(cell).to_owned();
    match step {
        InspectionStep::Wait => "wait".to_owned(),
        InspectionStep::Continue => "continue".to_owned(),
        InspectionStep::Conflict { status, reason, cell } => {
            format!("conflict {status} {reason} after {}", cell.map_or("none".to_owned(), name))
        }
        InspectionStep::Decide { decision: Decision { outcome, reason }, mode } => match outcome {
            Outcome::Cell(cell) => format!("{} {reason}", name(cell)),
            Outcome::Reject(status) => format!("reject {status} {reason}"),
            Outcome::Defer => format!("defer {};{reason}", mode.label()),
            Outcome::Pass => format!("pass {reason}"),
        },
    }
}

#[track_caller]
fn assert_transitions(mut inspection: Inspection, decider: &Decider, transitions: &[(Event, &str, Phase)]) {
    for (event, step, phase) in transitions {
        let actual = apply(&mut inspection, decider, *event);
        assert_eq!(show(decider, actual), *step, "{event:?} of {transitions:?}");
        assert_eq!(inspection.phase(), *phase, "after {event:?} of {transitions:?}");
    }
}

#[test]
fn every_transition_of_an_enforced_rule() {
    use Event::*;
    use Phase::*;
    let fits = Head(Some(64));
    let large = Head(Some(LENGTH));
    let unknown = Head(None);
    let key = Chunk(r#"{"t":"one","#);
    let released = (key, "a exact", Guarding);
    let decider = decider();
    for transitions in [
        // The head decides.
        &[(Excluded, "pass path_excluded", Released), (Chunk("x"), "continue", Released)][..],
        &[(Encoded(Some(64)), "defer buffer;body_encoded", Released)],
        &[(Encoded(Some(65)), "defer stream;body_encoded", Released)],
        &[(Encoded(None), "defer stream;body_encoded", Released)],
        // Nothing precedes the head.
        &[(Chunk("x"), "reject 500 body_unread", Refused), (fits, "wait", Refused)],
        &[(Trailers, "reject 500 body_unread", Refused)],
        &[(Unreadable, "reject 500 body_unread", Refused)],
        &[(Unread, "wait", Start)],
        // The release fails.
        &[(Excluded, "pass path_excluded", Released), (ReleaseFailed, "reject 500 body_unread", Refused)],
        // A held body is decided at its end.
        &[(fits, "wait", Holding), (Chunk(WHOLE), "wait", Holding), (LastChunk(""), "a exact", Released)],
        &[(fits, "wait", Holding), (LastChunk(WHOLE), "a exact", Released), (Trailers, "continue", Released)],
        &[(fits, "wait", Holding), (Chunk(WHOLE), "wait", Holding), (Trailers, "a exact", Released)],
        &[(fits, "wait", Holding), (fits, "wait", Holding)],
        &[(fits, "wait", Holding), (Chunk("}"), "reject 400 body_malformed", Refused), (Trailers, "wait", Refused)],
        &[(fits, "wait", Holding), (LastChunk(""), "reject 400 body_absent", Refused)],
        &[(fits, "wait", Holding), (Chunk(LONG), "defer stream;body_too_large", Released)],
        &[(fits, "wait", Holding), (Unread, "b body_unread", Released)],
        &[(fits, "wait", Holding), (Unreadable, "reject 500 body_unread", Refused)],
        // A peek is over with the first byte.
        &[(Head(Some(65)), "wait", Peeking), (Chunk("{"), "defer stream;body_too_large", Released)],
        &[(unknown, "wait", Peeking), (Chunk("{"), "defer stream;body_length_unknown", Released)],
        &[(unknown, "wait", Peeking), (Chunk(""), "wait", Peeking), released],
        &[(unknown, "wait", Peeking), (Chunk("}"), "reject 400 body_malformed", Refused)],
        &[(unknown, "wait", Peeking), (Chunk(r#"{"t":true,"#), "reject 400 key_boolean", Refused)],
        &[(unknown, "wait", Peeking), (Chunk(r#"{"t":"none","#), "reject 421 key_unplaced", Refused)],
        // A whole body is decided like a held one.
        &[(unknown, "wait", Peeking), (LastChunk(WHOLE), "a exact", Released)],
        &[(unknown, "wait", Peeking), (LastChunk(""), "reject 400 body_absent", Refused)],
        &[(unknown, "wait", Peeking), (Trailers, "reject 400 body_absent", Refused)],
        &[(Head(Some(65)), "wait", Peeking), (Chunk(OF_65_BYTES), "a exact", Released)],
        &[(unknown, "wait", Peeking), (Unread, "b body_unread", Released)],
        &[(unknown, "wait", Peeking), (Unreadable, "reject 500 body_unread", Refused)],
        // A guard scans what is left.
        &[
            (large, "wait", Peeking),
            released,
            (Chunk(r#""x":1"#), "continue", Guarding),
            (LastChunk("}"), "continue", Released),
        ],
        &[
            (large, "wait", Peeking),
            released,
            (Chunk(r#""x":1}"#), "continue", Guarding),
            (Trailers, "continue", Released),
        ],
        &[(large, "wait", Peeking), released, (Chunk(r#""t":1"#), "conflict 400 key_duplicated after a", Refused)],
        &[(large, "wait", Peeking), released, (Chunk("]"), "conflict 400 body_malformed after a", Refused)],
        &[(large, "wait", Peeking), released, (LastChunk(""), "conflict 400 body_truncated after a", Refused)],
        &[(large, "wait", Peeking), released, (Trailers, "conflict 400 body_truncated after a", Refused)],
        &[(large, "wait", Peeking), released, (Chunk(REST_UNFINISHED), "conflict 400 body_truncated after a", Refused)],
        &[(large, "wait", Peeking), released, (Unread, "conflict 400 body_unread after a", Refused)],
        &[(large, "wait", Peeking), released, (Unreadable, "conflict 500 body_unread after a", Refused)],
        // A released body is not scanned, but its trailers must be readable.
        &[(Excluded, "pass path_excluded", Released), (Unread, "continue", Released)],
        &[(Excluded, "pass path_excluded", Released), (Unreadable, "conflict 500 body_unread after none", Refused)],
        &[
            (Excluded, "pass path_excluded", Released),
            (Unreadable, "conflict 500 body_unread after none", Refused),
            (Unreadable, "wait", Refused),
        ],
    ] {
        assert_transitions(Inspection::enforcing(), &decider, transitions);
    }
}

/// More than `inspect_bytes`.
const LONG: &str = r#"{"x":"----------------------------------------------------------","#;
const OF_65_BYTES: &str = "{\"t\":\"one\"}                                                      ";
/// With the first 11 bytes it fills the Content-Length.
const REST_UNFINISHED: &str =
    "\"x\":1                                                                                    ";

#[test]
fn the_lengths_of_the_texts_are_exact() {
    assert!(LONG.len() > 64);
    assert_eq!(OF_65_BYTES.len(), 65);
    assert_eq!(REST_UNFINISHED.len() + r#"{"t":"one","#.len(), LENGTH as usize);
}

#[test]
fn every_transition_of_a_shadow() {
    use Event::*;
    use Phase::*;
    let decider = decider();
    for transitions in [
        &[(Excluded, "pass path_excluded", Released), (Chunk("x"), "continue", Released)][..],
        &[(Encoded(None), "defer stream;body_encoded", Released)],
        &[(Unreadable, "reject 500 body_unread", Released)],
        &[(Chunk("x"), "continue", Released)],
        &[(Trailers, "continue", Released)],
        &[(Head(Some(64)), "continue", Shadowing), (Chunk("{"), "continue", Shadowing)],
        &[(Head(Some(64)), "continue", Shadowing), (LastChunk(WHOLE), "a exact", Released)],
        &[(Head(Some(11)), "continue", Shadowing), (Chunk(WHOLE), "a exact", Released)],
        &[
            (Head(None), "continue", Shadowing),
            (Chunk(LONG), "continue", Shadowing),
            (Trailers, "reject 400 body_truncated", Released),
        ],
        &[(Head(None), "continue", Shadowing), (Chunk("}"), "reject 400 body_malformed", Released)],
        &[(Head(None), "continue", Shadowing), (Unread, "b body_unread", Released)],
    ] {
        assert_transitions(Inspection::shadowing(), &decider, transitions);
    }
}

#[test]
fn a_listed_peers_decision_replaces_the_inspection() {
    let decider = decider();
    let decision = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::DecidedBefore };
    let mut inspection = Inspection::enforcing();
    let step = inspection.head(&decider, fields(Some(10)).as_slice(), false, Some(decision));
    assert_eq!(step, InspectionStep::Decide { decision, mode: BodyMode::Buffer });
    assert!(!inspection.scans_body());
}

#[test]
fn an_inspection_that_waits_for_its_body_ends_undecided_once() {
    let decider = decider();
    for (event, is_undecided) in [(Event::Head(Some(9)), true), (Event::Head(None), true), (Event::Excluded, false)] {
        let mut inspection = Inspection::enforcing();
        apply(&mut inspection, &decider, event);
        assert_eq!(inspection.end(), is_undecided, "{event:?}");
        assert!(!inspection.end(), "{event:?}");
    }
    assert!(!Inspection::enforcing().end(), "nothing has arrived");
}

#[test]
fn only_a_waiting_request_is_shown_again() {
    let decider = decider();
    let mut inspection = Inspection::enforcing();
    apply(&mut inspection, &decider, Event::Head(Some(64)));
    apply(&mut inspection, &decider, Event::Chunk("{"));
    assert_eq!(inspection.held_bytes(), 1);
    let mut inspection = Inspection::enforcing();
    apply(&mut inspection, &decider, Event::Head(None));
    apply(&mut inspection, &decider, Event::Chunk(r#"{"t":"one","#));
    assert_eq!((inspection.phase(), inspection.held_bytes()), (Phase::Guarding, 0));
}

fn reading(decider: &Decider, length: Option<u64>) -> BodyReader {
    match decider.open(fields(length).as_slice(), false) {
        HeadResult::NeedsBody(reading) => reading,
        HeadResult::Decided(decision) => panic!("decided: {decision:?}"),
    }
}

/// The decision by the whole body.
fn by_whole_body(decider: &Decider, length: Option<u64>, body: &[u8]) -> Decision {
    let mut reading = reading(decider, length);
    reading.push(body).err().unwrap_or_else(|| reading.finish())
}

/// The rule in its naive form, for an HTTP/1 request: the end comes after the last chunk. Returns the decision and
/// what ends the request after it. Of two faults behind a release, the parts choose the reason.
fn naive(decider: &Decider, length: Option<u64>, chunks: &[&[u8]], part: usize) -> (Decision, Option<Decision>) {
    let body = chunks.concat();
    if body.is_empty() || length.is_some_and(|length| length <= 64) || length == Some(chunks[0].len() as u64) {
        return (by_whole_body(decider, length, &body), None);
    }
    let mut reading = reading(decider, length);
    if let Err(decision) = reading.push(chunks[0]) {
        return (decision, None);
    }
    match reading.settle() {
        Ok((decision, mut guard)) if matches!(decision.outcome, Outcome::Cell(_) | Outcome::Pass) => {
            let mut parts = chunks[1..].iter().flat_map(|chunk| chunk.chunks(part));
            (decision, parts.try_for_each(|part| guard.push(part)).and_then(|()| guard.finish()).err())
        }
        Ok((decision, _)) => (decision, None),
        Err(_) => {
            let reason = if length.is_some() { Reason::BodyTooLarge } else { Reason::BodyLengthUnknown };
            (decider.answer(reason), None)
        }
    }
}

/// The inspection's decision and conflict, with each chunk scanned in parts of `part` bytes.
fn inspect(decider: &Decider, length: Option<u64>, chunks: &[&[u8]], part: usize) -> (Decision, Option<Decision>) {
    let mut inspection = Inspection::enforcing();
    inspection.head(decider, fields(length).as_slice(), false, None);
    let (mut decided, mut conflict) = (None, None);
    for (chunk, end_of_stream) in chunks.iter().map(|chunk| (*chunk, false)).chain([(&b""[..], true)]) {
        let scanned = chunk.chunks(part).try_for_each(|part| inspection.push(part));
        match scanned.err().unwrap_or_else(|| inspection.end_chunk(end_of_stream)) {
            InspectionStep::Wait | InspectionStep::Continue => {}
            InspectionStep::Decide { decision, .. } => assert_eq!(decided.replace(decision), None, "decided twice"),
            InspectionStep::Conflict { status, reason, .. } => {
                conflict = Some(Decision { outcome: Outcome::Reject(status), reason });
            }
        }
    }
    (decided.expect("no decision"), conflict)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let members = prop_oneof![
        Just(r#""t":"one""#.to_owned()),
        Just(r#""t":"two""#.to_owned()),
        Just(r#""t":"none""#.to_owned()),
        Just(r#""t":null"#.to_owned()),
        Just("}".to_owned()),
        (0..80_usize).prop_map(|filler| format!(r#""x":"{}""#, "-".repeat(filler))),
    ];
    let document = proptest::collection::vec(members, 0..4).prop_map(|members| format!("{{{}}}", members.join(",")));
    (document, any::<proptest::sample::Index>(), prop::bool::weighted(0.8)).prop_map(|(document, cut, is_whole)| {
        let end = if is_whole { document.len() } else { cut.index(document.len()) };
        document.into_bytes()[..end].to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Cut anywhere: a held body is decided by the whole of it, and any other by the naive rule.
    #[test]
    fn any_cut_of_a_body_follows_the_rule(
        body in body(),
        has_length in any::<bool>(),
        sizes in proptest::collection::vec(1..100_usize, 0..6),
        part in 1..40_usize,
        last_wins in any::<bool>(),
    ) {
        let decider = decider_with(if last_wins { "last" } else { "reject" });
        let length = has_length.then_some(body.len() as u64);
        let (mut chunks, mut rest) = (Vec::new(), &body[..]);
        for size in sizes {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            if !chunk.is_empty() {
                chunks.push(chunk);
            }
            rest = after;
        }
        if !rest.is_empty() {
            chunks.push(rest);
        }
        let inspected = inspect(&decider, length, &chunks, part);
        prop_assert_eq!(inspected, naive(&decider, length, &chunks, part));
        if length.is_some_and(|length| length <= 64) {
            prop_assert_eq!(inspected, (by_whole_body(&decider, length, &body), None));
        }
    }
}
