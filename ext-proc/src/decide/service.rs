//! The service's handling of a request, by running its state machine.

use bytes::Bytes;
use cellgate_routing::{Decider, Decision, Outcome, Reason};

use super::{Request, Verdict};
use crate::fields::Attributes;
use crate::{BodyMode, Budget, Event, LimitAnswer, StateMachine};

/// Decides as the service does in `FULL_DUPLEX_STREAMED` mode, with the body in chunks of this many bytes.
pub(super) fn run(decider: &Decider, request: &Request, attributes: &Attributes, chunk: usize) -> Verdict {
    let mut machine = StateMachine::new(decider.clone(), BodyMode::Duplex, Budget::new(u64::MAX).reservation());
    let mut received = 0;
    let mut decided_at = None;
    let limit = usize::try_from(decider.config().limits.stream_bytes).unwrap_or(usize::MAX);
    for event in events(request, attributes, chunk) {
        if let Event::RequestBody { chunk, .. } = &event {
            received += chunk.len();
        }
        if machine.on(event).is_err() {
            break;
        }
        // No store knows what is in use, so the limits admit the request.
        if machine.is_limiting() && machine.on(Event::Limited(LimitAnswer::default())).is_err() {
            break;
        }
        if decided_at.is_none() && !machine.is_deciding() {
            decided_at = Some(received);
        }
        if machine.is_ended() {
            break;
        }
    }
    let how = match decided_at {
        _ if request.end_of_stream => "decides from the head".to_owned(),
        Some(0) => "decides from the head".to_owned(),
        Some(bytes) if bytes < request.body.len() => match machine.decision().map(|decision| decision.outcome) {
            Some(Outcome::Cell(_) | Outcome::Pass) => format!("knows after {bytes} bytes, guards the rest"),
            // It had one chunk more than the limit when it stopped.
            _ => format!("stops after {} bytes", bytes.min(limit)),
        },
        _ => format!("reads all {} bytes", request.body.len()),
    };
    // The events above end the request, and a request that ends is decided.
    let undecided = Decision { outcome: Outcome::Reject(500), reason: Reason::BodyUnread };
    Verdict { how, decision: machine.decision().unwrap_or(undecided), conflict: machine.conflict() }
}

fn events(request: &Request, attributes: &Attributes, size: usize) -> Vec<Event> {
    let Request { fields, metadata, end_of_stream, .. } = request;
    let head = Event::RequestHeaders {
        fields: fields.clone(),
        metadata: metadata.clone(),
        attributes: attributes.clone(),
        end_of_stream: *end_of_stream,
    };
    let mut events = vec![head];
    if !request.end_of_stream {
        let mut rest = Bytes::from(request.body.clone());
        while rest.len() > size {
            events.push(Event::RequestBody { chunk: rest.split_to(size), end_of_stream: false });
        }
        events.push(Event::RequestBody { chunk: rest, end_of_stream: true });
    }
    events
}
