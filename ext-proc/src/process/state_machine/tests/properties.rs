//! Random peers: every order of events has a defined outcome, and no byte is lost.

use proptest::prelude::*;

use super::*;
use crate::process::event::MAX_CHUNK;

/// Bytes that are often valid JSON.
fn chunk() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"t":"a""#.to_owned()),
        Just(r#","t":"b"}"#.to_owned()),
        Just("}".to_owned()),
        Just(String::new()),
        "[{}\":,a-z ]{0,40}",
        Just(" ".repeat(600)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => any::<bool>().prop_map(|end| head(&[], end)),
        1 => any::<bool>().prop_map(|end| head(&[("x-tenant", "a"), (":method", "GET")], end)),
        6 => (chunk(), any::<bool>()).prop_map(|(text, end)| body(&text, end)),
        1 => Just(trailers()),
        1 => Just(response_headers()),
        1 => Just(Event::ResponseTrailers(vec![])),
        1 => Just(Event::Deadline),
        1 => Just(Event::OverBudget),
        1 => Just(Event::NoRoom),
    ]
}

fn mode() -> impl Strategy<Value = BodyMode> {
    prop_oneof![Just(BodyMode::HeadersOnly), Just(BodyMode::Buffered), Just(BodyMode::Duplex)]
}

proptest! {
    #[test]
    fn any_order_of_messages_ends_in_a_defined_state(
        mode in mode(),
        room in 0u64..2000,
        events in prop::collection::vec(event(), 0..12),
    ) {
        let budget = Budget::new(room);
        let mut machine = machine_of(CONFIG, mode, &budget);
        let (mut answered, mut ended) = (false, false);
        for event in events {
            let Ok(replies) = machine.on(event) else { break };
            for reply in replies {
                prop_assert!(!ended, "{reply:?} after the refusal");
                match reply {
                    Reply::Headers(_) => prop_assert!(!std::mem::replace(&mut answered, true), "two answers to the headers"),
                    Reply::BodyChunk { bytes, .. } => {
                        prop_assert!(answered && mode == BodyMode::Duplex && bytes.len() <= MAX_CHUNK);
                        drop(machine.take_reservation(bytes.len()));
                    }
                    Reply::Body(_) => prop_assert!(answered && mode == BodyMode::Buffered),
                    Reply::Trailers { .. } => prop_assert!(answered),
                    Reply::Immediate { status, .. } => {
                        prop_assert!((400..600).contains(&status));
                        ended = true;
                    }
                    Reply::ResponseHeaders | Reply::ResponseTrailers => {}
                }
            }
            prop_assert_eq!(machine.is_ended(), ended);
            prop_assert!(machine.shortfall() == 0 || (mode == BodyMode::Duplex && !ended));
            // Without a decision to come there is one, or Envoy has answered the client.
            prop_assert!(machine.is_deciding() || machine.decision().is_some() || machine.may_end());
        }
        drop(machine);
        prop_assert_eq!(budget.used(), 0);
    }

    #[test]
    fn every_byte_is_sent_back_in_order_and_the_body_ends_once(
        padding in 0usize..200_000,
        late in any::<bool>(),
        with_trailers in any::<bool>(),
        cuts in prop::collection::vec(0usize..200_100, 0..20),
    ) {
        let pad = "-".repeat(padding);
        let text = if late { format!(r#"{{"x":"{pad}","t":"a"}}"#) } else { format!(r#"{{"t":"a","x":"{pad}"}}"#) };
        let mut machine = machine_of(&CONFIG.replace("\"stream_bytes\": 1024", "\"stream_bytes\": 1048576"), BodyMode::Duplex, &Budget::new(1 << 20));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut events = vec![head(&[], false)];
        let mut start = 0;
        for (index, cut) in cuts.iter().enumerate() {
            events.push(body(&text[start..*cut], index + 1 == cuts.len() && !with_trailers));
            start = *cut;
        }
        if with_trailers {
            events.push(trailers());
        }
        let (mut back, mut heads, mut ends) = (Vec::new(), 0, 0);
        for event in events {
            for reply in machine.on(event).unwrap() {
                prop_assert_eq!(ends, 0, "a reply after the end");
                match reply {
                    Reply::Headers(change) => {
                        prop_assert!(back.is_empty());
                        prop_assert_eq!(change.decision, Some(ON_A));
                        heads += 1;
                    }
                    Reply::BodyChunk { bytes, end_of_stream } => {
                        prop_assert!(bytes.len() <= MAX_CHUNK);
                        back.extend_from_slice(&bytes);
                        ends += usize::from(end_of_stream);
                    }
                    Reply::Trailers { .. } => ends += 1,
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
        prop_assert_eq!((heads, ends), (1, 1));
        prop_assert!(back == text.as_bytes());
        prop_assert!(machine.may_end());
    }
}
