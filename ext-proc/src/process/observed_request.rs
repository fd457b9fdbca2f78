//! A request of a stream: its state machine, with its metrics and log lines.

use std::time::Duration;

use cellgate_routing::{Decider, Decision, Outcome, Reason};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use tokio::time::Instant;
use tonic::Status;

use crate::budget::{Growth, Reservation};
use crate::concurrency::RequestInFlight;
use crate::fields;
use crate::metrics::Metrics;
use crate::process::event::{Event, LimitAnswer, Reply, Violation};
use crate::process::response::response;
use crate::process::send_queue::SendQueue;
use crate::process::state_machine::StateMachine;
use crate::refusals::Refusals;
use crate::settlement::RequestSettlement;
use crate::traces::call_trace::{CallTrace, Work};
use crate::traces::phase::Phase;

/// The most bytes of an `x-request-id` in a log line.
const MAX_REQUEST_ID: usize = 128;

/// A stream that waits holds at most this many bytes that the budget does not cover. Only decoders of `br` and `zstd` take
/// more at a time: they have decoded a chunk before their memory is known.
const MAX_UNCOVERED: u64 = 1024 * 1024;

/// A request's state machine, with its metrics and log lines.
pub(super) struct ObservedRequest<'a> {
    pub(super) machine: StateMachine,
    /// An empty reservation of the stream.
    pub(super) budget: Reservation,
    pub(super) decider: Decider,
    pub(super) metrics: &'a Metrics,
    pub(super) refusals: &'a Refusals,
    pub(super) started: Instant,
    pub(super) queue: &'a SendQueue,
    /// When the decision was made.
    pub(super) decided: Option<Instant>,
    pub(super) inspected: u64,
    /// Body bytes that have arrived.
    pub(super) received: u64,
    pub(super) trace: &'a mut CallTrace,
    /// The request counts under concurrency limits as long as this is here.
    pub(super) in_flight: Option<RequestInFlight>,
    /// The charges that the response settles.
    pub(super) settlement: Option<RequestSettlement>,
}

impl ObservedRequest<'_> {
    /// Handles an event and queues the replies. Returns whether there was one. `reservation` covers the message of the
    /// event.
    pub(super) fn step(&mut self, event: Event, reservation: Option<Reservation>) -> Result<bool, Status> {
        // The answer of the limits belongs to the message of the last event.
        if !matches!(event, Event::Limited(_)) {
            self.machine.set_message_reservation(reservation);
        }
        if let Event::RequestHeaders { fields, .. } = &event {
            self.queue.set_request_id(request_id(fields));
        }
        if let Event::RequestBody { chunk, .. } = &event {
            self.received += chunk.len() as u64;
        }
        let settled = match (&mut self.settlement, &event) {
            (Some(settlement), Event::ResponseHeaders { fields, end_of_stream }) => {
                settlement.on_headers(fields, *end_of_stream)
            }
            (Some(settlement), Event::ResponseTrailers(fields)) => settlement.on_trailers(fields),
            _ => Vec::new(),
        };
        let replies = self.machine.on(event).map_err(violation_status)?;
        self.observe();
        let replied = !replies.is_empty();
        for reply in replies {
            let reservation = match &reply {
                Reply::BodyChunk { bytes, .. } => self.machine.take_reservation(bytes.len()),
                _ => None,
            };
            self.queue.push(response(reply, self.decider.config()), reservation);
        }
        if let Some(settlement) = &self.settlement {
            settlement.make(settled);
        }
        if !self.machine.is_limiting() {
            self.machine.set_message_reservation(None);
        }
        self.queue.set_bytes_held(self.machine.reserved_bytes() > 0);
        Ok(replied)
    }

    /// Waits until the byte budget has room for what the request holds. Returns false if it has none in time, or if that is
    /// too much to keep until then.
    pub(super) async fn has_room(&mut self) -> bool {
        let bytes = self.machine.shortfall();
        if bytes == 0 {
            return true;
        }
        if self.machine.decoder_shortfall() > MAX_UNCOVERED {
            return false;
        }
        let mut reservation = self.budget.another();
        match reservation.grow_or_wait(bytes) {
            Growth::Grown => {}
            Growth::Waits(wait) => {
                let begun = self.trace.now();
                let granted = wait.await;
                self.trace.worked(Work::Budget, begun);
                let Some(granted) = granted else { return false };
                reservation.merge(granted);
            }
            Growth::Refused => return false,
        }
        self.machine.cover(reservation);
        true
    }

    /// The time at which the request begins to wait for a message. `None`: that does not delay its decision.
    pub(super) fn awaits_message(&self) -> Option<Duration> {
        if self.decided.is_none() { self.trace.now() } else { None }
    }

    /// The limits have answered, which were asked since a time of the trace.
    pub(super) fn limited(&mut self, begun: Option<Duration>, answer: &LimitAnswer) {
        self.trace.worked(Work::Limit, begun);
        self.trace.describe(Work::Limit, || {
            let outcome = answer.refusal.map_or("admitted", Reason::label);
            let violated = answer.fields.iter().flat_map(|fields| &fields.violated).map(String::as_str);
            let mut attributes = limit_names("cellgate.violated_limits", violated);
            attributes.push(KeyValue::new("cellgate.outcome", outcome));
            attributes
        });
    }

    /// Counts and logs the effect of an event.
    fn observe(&mut self) {
        let inspected = self.machine.inspected();
        if inspected > self.inspected {
            self.metrics.inspected(inspected - self.inspected);
            self.inspected = inspected;
        }
        if self.decided.is_none()
            && let Some(decision) = self.machine.decision()
        {
            self.decided = Some(Instant::now());
            self.metrics.decided(decision, self.started.elapsed());
            if let Outcome::Cell(cell) = decision.outcome {
                self.metrics.cells().chosen(self.decider.config().cell_name(cell));
            }
            self.refusals.decided(decision, || self.queue.request_id());
            self.log_decision(decision);
            self.trace_decision(decision);
        }
        if let Some(conflict) = self.machine.conflict() {
            self.metrics.conflict(conflict);
            self.refusals.decided(conflict, || self.queue.request_id());
            self.log_conflict(conflict);
            self.trace.set(|| vec![KeyValue::new("cellgate.conflict", conflict.reason.label())]);
        }
    }

    fn trace_decision(&mut self, decision: Decision) {
        let Self { machine, decider, queue, trace, .. } = self;
        trace.event("cellgate.decided");
        trace.set(|| {
            let mut attributes = vec![
                KeyValue::new("cellgate.outcome", decision.outcome.label()),
                KeyValue::new("cellgate.reason", decision.reason.label()),
                KeyValue::new("cellgate.config_version", decider.config().version.to_string()),
                KeyValue::new("cellgate.request_id", queue.request_id()),
            ];
            match decision.outcome {
                Outcome::Cell(cell) => {
                    attributes.push(KeyValue::new("cellgate.cell", decider.config().cell_name(cell).to_owned()));
                }
                Outcome::Reject(status) => {
                    attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
                }
                Outcome::Defer | Outcome::Pass => {}
            }
            if let Some(recorded) = machine.recorded() {
                let source = recorded.source().map(|source| KeyValue::new("cellgate.source", source.to_owned()));
                let key = recorded.key().map(|key| KeyValue::new("cellgate.key_hash", key.to_string()));
                attributes.extend(source.into_iter().chain(key));
            }
            attributes
        });
        if matches!(decision.outcome, Outcome::Reject(500..)) {
            trace.failed(decision.reason.label());
        }
    }

    fn log_decision(&self, decision: Decision) {
        // The ids are copied, and only for a line.
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let cell = match decision.outcome {
            Outcome::Cell(cell) => self.decider.config().cell_name(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => "",
        };
        let ids = self.queue.ids();
        let (trace_id, span_id) = ids.trace_fields();
        tracing::debug!(
            event = "request_decided",
            request_id = ids.request_id,
            trace_id,
            span_id,
            outcome = decision.outcome.label(),
            reason = decision.reason.label(),
            cell,
            inspected = self.inspected,
            "request decided"
        );
    }

    fn log_conflict(&self, conflict: Decision) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let ids = self.queue.ids();
        let (trace_id, span_id) = ids.trace_fields();
        tracing::debug!(
            event = "request_rejected_late",
            request_id = ids.request_id,
            trace_id,
            span_id,
            outcome = conflict.outcome.label(),
            reason = conflict.reason.label(),
            inspected = self.inspected,
            "request rejected after its decision"
        );
    }
}

/// What was measured belongs to the trace, however the request ends.
impl Drop for ObservedRequest<'_> {
    fn drop(&mut self) {
        let Self { machine, trace, inspected, received, .. } = self;
        let Some(recorded) = machine.recorded() else { return };
        trace.measured(Work::Scan, recorded.scan);
        trace.measured(Work::Place, recorded.place);
        if let Some(cost) = recorded.decoded {
            // The two take turns, so only the sum of their time is known.
            trace.measured(Work::Decode, Phase { busy: cost.time, ..recorded.scan });
            trace.describe(Work::Decode, || vec![KeyValue::new("cellgate.decoded_bytes", number(cost.bytes))]);
        }
        trace.set(|| {
            vec![
                KeyValue::new("cellgate.received_bytes", number(*received)),
                KeyValue::new("cellgate.inspected_bytes", number(*inspected)),
            ]
        });
    }
}

/// An attribute with the names of limits, unless there are none.
pub(super) fn limit_names<'a>(key: &'static str, names: impl Iterator<Item = &'a str>) -> Vec<KeyValue> {
    let names: Vec<_> = names.map(|name| StringValue::from(name.to_owned())).collect();
    if names.is_empty() { Vec::new() } else { vec![KeyValue::new(key, Value::Array(Array::String(names)))] }
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The status that ends the stream of a peer that violated the protocol.
pub(super) fn violation_status(violation: Violation) -> Status {
    match violation {
        Violation::NoHeadersInTime => Status::deadline_exceeded(violation.to_string()),
        Violation::OverBudget => Status::resource_exhausted(violation.to_string()),
        _ => Status::failed_precondition(violation.to_string()),
    }
}

/// The request's `x-request-id`, shortened and without control characters, so that it cannot forge a log line.
fn request_id(head: &fields::Fields) -> String {
    let id = fields::first(head, "x-request-id");
    let id = id.get(..MAX_REQUEST_ID).unwrap_or(id);
    String::from_utf8_lossy(id).chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests;
