//! Requests that concurrency limits count: Envoy is asked to keep their streams open.

use cellgate_limiting::{Enforcement, KeyHasher};

use super::*;
use crate::process::event::LimitAnswer;

const HASHER: KeyHasher = KeyHasher::new([1; 16]);

const END: ResponseNeeds = ResponseNeeds { headers: false, end: true };

const BY_TENANT: &str = r#"{"name": "two", "key": ["routing_key"], "at_most": 2}"#;

fn limited(mode: BodyMode, limits: &str) -> StateMachine {
    let config = CONFIG.strip_suffix('}').unwrap();
    machine_of(&format!("{config}, \"concurrency_limits\": [{limits}]}}"), mode, &Budget::new(1 << 20))
}

fn entered() -> Event {
    Event::Limited(LimitAnswer { response: END, ..LimitAnswer::default() })
}

/// The change of the request's head, and the body mode if it asks for the end of the response.
fn change(replies: &[Reply]) -> (Option<Decision>, Option<BodyMode>) {
    match &replies[0] {
        Reply::Headers(change) | Reply::Body(change) => {
            let asks = change.response.map(|ResponseDemand { mode, needs }| {
                assert_eq!(needs, END);
                mode
            });
            (change.decision, asks)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_in_flight_asks_for_the_end_of_its_response() {
    for mode in [BodyMode::HeadersOnly, BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = limited(mode, BY_TENANT);
        assert_eq!(machine.on(head(&[("x-tenant", "a")], true)).unwrap(), []);
        let charges = machine.due_concurrency(&HASHER);
        let [charge] = charges[..] else { panic!("{charges:?}") };
        assert_eq!((charge.id.0, charge.at_most, charge.enforcement), (0, 2, Enforcement::Enforce));
        assert_eq!(machine.due_charges(&HASHER), Some(vec![]));
        assert_eq!(change(&machine.on(entered()).unwrap()), (Some(ON_A), Some(mode)));
        assert!(machine.may_end());
    }
}

#[test]
fn in_buffered_mode_a_request_asks_before_its_limits_are_known() {
    let mut machine = limited(BodyMode::Buffered, BY_TENANT);
    assert_eq!(change(&machine.on(head(&[], false)).unwrap()), (None, Some(BodyMode::Buffered)));
    machine.on(body(r#"{"t":"a"}"#, true)).unwrap();
    assert_eq!(machine.due_concurrency(&HASHER).len(), 1);
    assert_eq!(change(&machine.on(entered()).unwrap()), (Some(ON_A), None));
}

#[test]
fn requests_that_no_such_limit_counts_ask_for_nothing() {
    let elsewhere = r#"{"name": "two", "key": [], "at_most": 2, "applies_to": {"paths": ["/elsewhere"]}}"#;
    for mode in [BodyMode::HeadersOnly, BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = limited(mode, elsewhere);
        assert_eq!(change(&machine.on(head(&[("x-tenant", "a")], true)).unwrap()), (Some(ON_A), None));
    }
    let mut machine = limited(BodyMode::Buffered, elsewhere);
    assert_eq!(change(&machine.on(head(&[], false)).unwrap()), (None, None));
}

#[test]
fn a_request_that_finds_no_place_is_refused() {
    for mode in [BodyMode::HeadersOnly, BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = limited(mode, BY_TENANT);
        machine.on(head(&[("x-tenant", "a")], true)).unwrap();
        let replies = machine.on(Event::Limited(LimitAnswer::no_place(vec!["two".into()]))).unwrap();
        let [Reply::Immediate { status: 429, reason: Reason::ConcurrencyLimited, limits: Some(limits), .. }] =
            &replies[..]
        else {
            panic!("{replies:?}")
        };
        assert_eq!((&limits.violated[..], limits.retry_after), (&["two".to_owned()][..], None));
        assert!(machine.is_ended());
    }
}

#[test]
fn a_limit_by_a_value_of_the_body_waits_for_it() {
    let by_user = r#"{"name": "user", "key": [{"json": "/user"}], "at_most": 1}"#;
    let mut machine = limited(BodyMode::Duplex, by_user);
    assert_eq!(machine.on(head(&[], false)).unwrap(), []);
    assert_eq!(machine.on(body(r#"{"t":"a","#, false)).unwrap(), []);
    assert!(!machine.is_limiting());
    machine.on(body(r#""user":"u"}"#, true)).unwrap();
    let charges = machine.due_concurrency(&HASHER);
    assert_eq!(charges[0].key, HASHER.key("user", [&b"="[..], b"u"]));
}

#[test]
fn a_request_asks_for_what_its_settlements_need() {
    let settled =
        r#"{"name": "s", "key": ["routing_key"], "limit": "1/s", "settle": {"response_header": "u", "at_most": 9}}"#;
    let config = CONFIG.strip_suffix('}').unwrap();
    let config = format!("{config}, \"rate_limits\": [{settled}]}}");
    let headers = ResponseNeeds { headers: true, end: false };
    for mode in [BodyMode::HeadersOnly, BodyMode::Buffered, BodyMode::Duplex] {
        let mut machine = machine_of(&config, mode, &Budget::new(1 << 20));
        machine.on(head(&[("x-tenant", "a")], true)).unwrap();
        let answer = LimitAnswer { response: headers, ..LimitAnswer::default() };
        let replies = machine.on(Event::Limited(answer)).unwrap();
        let [Reply::Headers(change)] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(change.response, Some(ResponseDemand { mode, needs: headers }));
    }
    // Before the limits are known.
    let mut machine = machine_of(&config, BodyMode::Buffered, &Budget::new(1 << 20));
    let replies = machine.on(head(&[], false)).unwrap();
    let [Reply::Headers(change)] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!(change.response, Some(ResponseDemand { mode: BodyMode::Buffered, needs: headers }));
}
