//! Requests that rate limits count: the decision waits, and the answer leads on as the decision would have.

use cellgate_limiting::KeyHasher;

use super::*;
use crate::process::event::LimitAnswer;

const HASHER: KeyHasher = KeyHasher::new([1; 16]);

/// With limits by key, by a value of the body, and by the client's address.
fn limited(mode: BodyMode, limits: &str) -> StateMachine {
    let config = CONFIG.strip_suffix('}').unwrap();
    machine_of(&format!("{config}, \"rate_limits\": [{limits}]}}"), mode, &Budget::new(1 << 20))
}

const BY_TENANT: &str = r#"{"name": "one", "key": ["routing_key"], "limit": "1/s"}"#;
const BY_USER: &str = r#"{"name": "user", "key": [{"json": "/user"}], "limit": "1/s"}"#;

fn admitted() -> Event {
    Event::Limited(LimitAnswer { fields: Some(Box::new(fields())), ..LimitAnswer::default() })
}

fn refused() -> Event {
    let refusal = Some(Reason::RateLimited);
    Event::Limited(LimitAnswer { refusal, fields: Some(Box::new(fields())), ..LimitAnswer::default() })
}

fn fields() -> LimitFields {
    LimitFields { retry_after: Some(7), violated: vec!["one".into()], ..LimitFields::default() }
}

fn on_a() -> HeadMutation {
    HeadMutation { limits: Some(Box::new(fields())), ..change(Some(ON_A)) }
}

fn refusal() -> Vec<Reply> {
    let limits = Some(Box::new(fields()));
    vec![Reply::Immediate { status: 429, reason: Reason::RateLimited, grpc: false, refused_type: None, limits }]
}

/// The events up to the check, and the replies to an admission.
fn cases() -> Vec<(BodyMode, Vec<Event>, Vec<Reply>)> {
    let in_head = || head(&[("x-tenant", "a")], true);
    let buffered = Reply::Body(HeadMutation { remove: vec![], ..on_a() });
    let trailers_reply = Reply::Trailers { remove: vec!["x_cell".into()] };
    let text = r#"{"t":"a","x":1}"#;
    vec![
        (BodyMode::HeadersOnly, vec![in_head()], vec![Reply::Headers(on_a())]),
        (BodyMode::Buffered, vec![in_head()], vec![Reply::Headers(on_a())]),
        (BodyMode::Duplex, vec![in_head()], vec![Reply::Headers(on_a())]),
        (BodyMode::Buffered, vec![head(&[], false), body(text, true)], vec![buffered]),
        (BodyMode::Duplex, vec![head(&[], false), body(text, true)], vec![Reply::Headers(on_a()), chunk(text, true)]),
        (
            BodyMode::Duplex,
            vec![head(&[], false), body(r#"{"t":"#, false), body(r#""a","#, false)],
            vec![Reply::Headers(on_a()), chunk(r#"{"t":"#, false), chunk(r#""a","#, false)],
        ),
        (
            BodyMode::Duplex,
            vec![head(&[("x-tenant", "a")], false), trailers()],
            vec![Reply::Headers(on_a()), trailers_reply],
        ),
    ]
}

#[test]
fn a_decision_waits_for_its_limits_and_is_carried_out_as_it_was() {
    for (mode, events, replies) in cases() {
        let mut machine = limited(mode, BY_TENANT);
        let last = events.len() - 1;
        for (index, event) in events.into_iter().enumerate() {
            let held = machine.on(event).unwrap();
            assert!(index < last || held.is_empty(), "{held:?}");
            assert_eq!(machine.is_limiting(), index == last, "{mode:?}");
        }
        assert!(machine.is_deciding() && !machine.may_end() && machine.decision().is_none());
        assert_eq!(machine.due_charges(&HASHER).unwrap().len(), 1);
        assert_eq!(machine.on(admitted()).unwrap(), replies, "{mode:?}");
        assert_eq!((machine.decision(), machine.due_charges(&HASHER)), (Some(ON_A), None));
    }
}

#[test]
fn a_request_over_a_limit_is_refused_in_every_mode() {
    for (mode, events, _) in cases() {
        let budget = Budget::new(1 << 20);
        let config = CONFIG.strip_suffix('}').unwrap();
        let mut machine = machine_of(&format!("{config}, \"rate_limits\": [{BY_TENANT}]}}"), mode, &budget);
        for event in events {
            machine.on(event).unwrap();
        }
        assert_eq!(machine.on(refused()).unwrap(), refusal(), "{mode:?}");
        assert!(machine.is_ended());
        assert_eq!(machine.decision().unwrap().reason, Reason::RateLimited);
        assert_eq!(budget.used(), 0, "{mode:?}");
    }
}

#[test]
fn behind_the_limit_the_rest_of_the_body_is_guarded() {
    let mut machine = limited(BodyMode::Duplex, BY_TENANT);
    machine.on(head(&[], false)).unwrap();
    machine.on(body(r#"{"t":"a","#, false)).unwrap();
    machine.on(admitted()).unwrap();
    assert_eq!(machine.on(body(r#""t":"b"}"#, true)).unwrap(), immediate(400, Reason::KeyDuplicated));
}

#[test]
fn requests_that_no_limit_counts_do_not_wait() {
    let mut machine = limited(BodyMode::HeadersOnly, BY_TENANT);
    assert_eq!(machine.on(head(&[(":method", "GET")], true)).unwrap().len(), 1);
    let mut machine = limited(BodyMode::Buffered, BY_TENANT);
    machine.on(head(&[], false)).unwrap();
    assert_eq!(machine.on(body("{", true)).unwrap(), immediate(400, Reason::BodyTruncated));
}

#[test]
fn the_filters_decision_is_taken_over_without_the_body() {
    let handed = |text: Option<&str>| {
        let Event::RequestHeaders { fields, metadata, .. } = head(&[], false) else { panic!() };
        let attributes = Attributes { handover: text.map(str::to_owned), ..Attributes::default() };
        Event::RequestHeaders { fields, metadata, attributes, end_of_stream: false }
    };
    let mut machine = limited(BodyMode::HeadersOnly, BY_TENANT);
    assert!(machine.on(handed(Some("cell-b;prefix;any;key"))).unwrap().is_empty());
    let expected = HASHER.key("one", [b"=".as_slice(), b"any;key"]);
    assert_eq!(machine.due_charges(&HASHER).unwrap()[0].charge.key, expected);
    machine.on(admitted()).unwrap();
    let decision = Decision { outcome: Outcome::Cell(CellId(1)), reason: Reason::Prefix };
    assert_eq!(machine.decision(), Some(decision));

    // Without a usable handover, the key may be in the body, which is not here.
    for text in [None, Some(""), Some("cell-z;exact;a"), Some("cell-a;unknown;a"), Some("cell-a")] {
        let mut machine = limited(BodyMode::HeadersOnly, BY_TENANT);
        assert_eq!(machine.on(handed(text)).unwrap(), immediate(500, Reason::BodyUnread), "{text:?}");
    }
    // Where the service has the body, it decides.
    let mut machine = limited(BodyMode::Duplex, BY_TENANT);
    machine.on(handed(Some("cell-b;exact;b"))).unwrap();
    machine.on(body(r#"{"t":"a"}"#, true)).unwrap();
    machine.on(admitted()).unwrap();
    assert_eq!(machine.decision(), Some(ON_A));
}

#[test]
fn a_body_is_read_for_a_limit_although_the_head_decides() {
    let text = r#"{"x":1,"user":"eve"}"#;
    let header_first = |mode, sources: &str| {
        let config = CONFIG.replace(r#"[{"json": "/t"}, {"header": "x-tenant"}]"#, sources);
        let config = config.strip_suffix('}').unwrap();
        machine_of(&format!("{config}, \"rate_limits\": [{BY_USER}]}}"), mode, &Budget::new(1 << 20))
    };
    let expected = HASHER.key("user", [b"=".as_slice(), b"eve"]);
    let unusable = HASHER.key("user", [b"!".as_slice(), b""]);
    for mode in [BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = header_first(mode, r#"[{"header": "x-tenant"}]"#);
        machine.on(head(&[("x-tenant", "a")], false)).unwrap();
        machine.on(body(text, true)).unwrap();
        assert_eq!(machine.due_charges(&HASHER).unwrap()[0].charge.key, expected, "{mode:?}");
    }
    // The value settles the limit before the end of the body.
    let mut machine = header_first(BodyMode::Duplex, r#"[{"header": "x-tenant"}]"#);
    machine.on(head(&[("x-tenant", "a")], false)).unwrap();
    machine.on(body(r#"{"user":"eve","#, false)).unwrap();
    assert_eq!(machine.due_charges(&HASHER).unwrap()[0].charge.key, expected);
    assert_eq!(machine.on(admitted()).unwrap().len(), 2);
    assert_eq!(machine.on(body(r#""x":"#, false)).unwrap(), [chunk(r#""x":"#, false)]);
    // Beyond `limits.stream_bytes` (1024) the value is unusable, wherever the key is.
    for sources in [r#"[{"header": "x-tenant"}]"#, r#"[{"json": "/t"}]"#] {
        let mut machine = header_first(BodyMode::Duplex, sources);
        machine.on(head(&[("x-tenant", "a")], false)).unwrap();
        machine.on(body(&format!(r#"{{"t":"a","x":"{}"#, "x".repeat(500)), false)).unwrap();
        assert!(machine.is_deciding() && !machine.is_limiting());
        machine.on(body(&"x".repeat(1_000), false)).unwrap();
        assert_eq!(machine.due_charges(&HASHER).unwrap()[0].charge.key, unusable, "{sources}");
        machine.on(admitted()).unwrap();
        assert_eq!(machine.decision(), Some(ON_A));
        machine.on(body(r#"","user":"eve"}"#, true)).unwrap();
        assert!(!machine.is_ended() && machine.may_end());
    }
    // Without a body there is no value.
    let mut machine = header_first(BodyMode::Duplex, r#"[{"header": "x-tenant"}]"#);
    assert_eq!(machine.on(head(&[("x-tenant", "a")], true)).unwrap(), [Reply::Headers(change(Some(ON_A)))]);
}

/// A client could otherwise escape its limits by a body that it sends slowly, or by one for which there is no room.
#[test]
fn a_request_that_a_policy_sends_to_a_cell_before_its_body_is_complete_waits_for_its_limits() {
    let by_method = r#"{"name": "one", "key": ["method"], "limit": "1/s"}"#;
    let config = CONFIG.replace(
        r#""method_excluded": "pass""#,
        r#""deadline_exceeded": {"use": "cell-b"}, "overloaded": {"use": "cell-b"}, "body_unread": {"use": "cell-a"}"#,
    );
    let config = format!("{}, \"rate_limits\": [{by_method}, {BY_USER}]}}", config.strip_suffix('}').unwrap());
    let unusable = HASHER.key("user", [b"!".as_slice(), b""]);
    let on_a = Outcome::Cell(CellId(0));
    for (mode, events, outcome) in [
        (BodyMode::Duplex, vec![body("{", false), Event::Deadline], Outcome::Cell(CellId(1))),
        (BodyMode::Duplex, vec![body("{", false), Event::NoRoom], Outcome::Cell(CellId(1))),
        (BodyMode::HeadersOnly, vec![], on_a),
    ] {
        let mut machine = machine_of(&config, mode, &Budget::new(1 << 20));
        for event in std::iter::once(head(&[], false)).chain(events) {
            assert!(machine.on(event).unwrap().is_empty(), "{mode:?}");
        }
        let charges = machine.due_charges(&HASHER).unwrap();
        assert_eq!((charges.len(), charges[1].charge.key), (2, unusable), "{mode:?}");
        assert!(matches!(machine.on(admitted()).unwrap()[0], Reply::Headers(_)), "{mode:?}");
        assert_eq!(machine.decision().unwrap().outcome, outcome);
    }
}

/// The policy of a malformed body would send the request to another cell than that of its head.
#[test]
fn a_body_that_is_read_for_a_limit_does_not_change_the_cell() {
    let by_tenant_and_user = r#"{"name": "user", "key": ["routing_key", {"json": "/user"}], "limit": "1/s"}"#;
    let config = CONFIG.replace(r#"[{"json": "/t"}, {"header": "x-tenant"}]"#, r#"[{"header": "x-tenant"}]"#).replace(
        r#""method_excluded": "pass""#,
        r#""body_malformed": {"use": "cell-b"}, "body_truncated": {"use": "cell-b"}"#,
    );
    let config = format!("{}, \"rate_limits\": [{by_tenant_and_user}]}}", config.strip_suffix('}').unwrap());
    let usable = HASHER.key("user", [b"=".as_slice(), b"a", b"=", b"eve"]);
    let unusable = HASHER.key("user", [b"=".as_slice(), b"a", b"!", b""]);
    for (chunks, key) in [
        (vec![r#"{"x":]"#], unusable),
        (vec![r#"{"x":"#, "]"], unusable),
        (vec![r#"{"x":"#], unusable),
        (vec![r#"{"user":"eve","x":]"#], usable),
    ] {
        for mode in [BodyMode::Buffered, BodyMode::Duplex] {
            let mut machine = machine_of(&config, mode, &Budget::new(1 << 20));
            machine.on(head(&[("x-tenant", "a")], false)).unwrap();
            match mode {
                BodyMode::Buffered => drop(machine.on(body(&chunks.concat(), true)).unwrap()),
                _ => {
                    for (index, text) in chunks.iter().enumerate() {
                        machine.on(body(text, index + 1 == chunks.len())).unwrap();
                    }
                }
            }
            assert_eq!(machine.due_charges(&HASHER).unwrap()[0].charge.key, key, "{mode:?} {chunks:?}");
            machine.on(admitted()).unwrap();
            assert_eq!(machine.decision(), Some(ON_A), "{mode:?} {chunks:?}");
        }
    }
}

#[test]
fn a_body_that_is_not_read_to_its_end_for_a_limit_does_not_change_the_cell() {
    for (action, outcome) in [(r#"{"use": "cell-b"}"#, ON_A.outcome), (r#"{"reject": 408}"#, Outcome::Reject(408))] {
        let policy = format!(r#""deadline_exceeded": {action}, "overloaded": {action}"#);
        let config = CONFIG
            .replace(r#"[{"json": "/t"}, {"header": "x-tenant"}]"#, r#"[{"header": "x-tenant"}]"#)
            .replace(r#""method_excluded": "pass""#, &policy);
        let config = format!("{}, \"rate_limits\": [{BY_TENANT}, {BY_USER}]}}", config.strip_suffix('}').unwrap());
        for event in [Event::Deadline, Event::NoRoom] {
            let mut machine = machine_of(&config, BodyMode::Duplex, &Budget::new(1 << 20));
            machine.on(head(&[("x-tenant", "a")], false)).unwrap();
            machine.on(body(r#"{"x":"#, false)).unwrap();
            machine.on(event).unwrap();
            if let Some(charges) = machine.due_charges(&HASHER) {
                assert_eq!(charges.len(), 2);
                assert_eq!(charges[0].charge.key, HASHER.key("one", [b"=".as_slice(), b"a"]));
                machine.on(admitted()).unwrap();
            }
            assert_eq!(machine.decision().unwrap().outcome, outcome);
        }
    }
}

/// A tunnel is decided by its head. A key in its first bytes would spend the allowance of another tenant.
#[test]
fn a_key_in_a_body_that_is_read_for_a_limit_does_not_count() {
    let by_tenant_and_user = r#"{"name": "user", "key": ["routing_key", {"json": "/user"}], "limit": "1/s"}"#;
    let config = CONFIG.replace(r#""methods": ["POST"]"#, r#""methods": ["POST", "CONNECT"]"#);
    let config = format!("{}, \"rate_limits\": [{by_tenant_and_user}]}}", config.strip_suffix('}').unwrap());
    let mut machine = machine_of(&config, BodyMode::Duplex, &Budget::new(1 << 20));
    machine.on(head(&[(":method", "CONNECT"), ("x-tenant", "a")], false)).unwrap();
    machine.on(body(r#"{"t":"b","user":"eve"}"#, false)).unwrap();
    let expected = HASHER.key("user", [b"=".as_slice(), b"a", b"=", b"eve"]);
    assert_eq!(machine.due_charges(&HASHER).unwrap()[0].charge.key, expected);
    machine.on(admitted()).unwrap();
    assert_eq!(machine.decision(), Some(ON_A));
}

#[test]
fn no_other_event_may_come_before_the_answer() {
    for event in [body("x", true), trailers()] {
        let mut machine = limited(BodyMode::Duplex, BY_TENANT);
        machine.on(head(&[], false)).unwrap();
        machine.on(body(r#"{"t":"a","#, false)).unwrap();
        assert_eq!(machine.on(event), Err(Violation::NotLimited));
    }
    let mut machine = limited(BodyMode::Duplex, BY_TENANT);
    assert_eq!(machine.on(admitted()), Err(Violation::NotLimited));
}
