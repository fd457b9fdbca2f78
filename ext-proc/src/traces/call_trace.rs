//! The trace of one call: the ids for its log lines and, if it is sampled, its span with the phases below it.

use std::time::{Duration, SystemTime};

use cellgate_limiting::KeyHasher;
use hyper::HeaderMap;
use opentelemetry::trace::{Span, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tonic::Code;

use super::context::{SpanIds, TraceContext, trace_state};
use super::phase::{Phase, monotonic_time};
use super::{TracedMethod, Tracing};
use crate::refusals::status_name;

/// The names of the spans of work, in the order of [`Work`].
const WORK: [&str; 6] =
    ["cellgate.receive", "cellgate.budget", "cellgate.scan", "cellgate.decode", "cellgate.place", "cellgate.limit"];

/// A kind of work that has a span of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Waiting for messages of Envoy, until the decision.
    Receive,
    /// Waiting for the byte budget.
    Budget,
    /// Scanning the body.
    Scan,
    /// Decoding the body, in turns with scanning it.
    Decode,
    /// The search for the key in the head and at the end of the body, and its placement.
    Place,
    /// Asking the limits.
    Limit,
}

/// The trace of a call. If it is not sampled, it only has ids, and nothing here reads a clock or allocates.
#[derive(Debug, Default)]
pub(crate) struct CallTrace {
    ids: Option<SpanIds>,
    recorded: Option<Box<RecordedCall>>,
}

/// A sampled call.
#[derive(Debug)]
struct RecordedCall {
    tracer: SdkTracer,
    hasher: KeyHasher,
    /// Has the span.
    context: Context,
    /// The same moment by both clocks.
    begun: (SystemTime, Duration),
    /// What each kind of work took, and its attributes.
    work: [(Phase, Vec<KeyValue>); WORK.len()],
    /// When the answer was complete, if the call goes on afterwards.
    answered: Option<Duration>,
    is_ended: bool,
}

impl CallTrace {
    /// The trace of a call with this metadata. Without tracing, it only has the ids of the caller.
    pub(crate) fn begin(tracing: Option<&Tracing>, method: TracedMethod, metadata: &HeaderMap) -> Self {
        let context = TraceContext::of(metadata);
        let sampled = |tracing: &&Tracing| context.sampled.unwrap_or_else(|| tracing.samples_root());
        let Some(tracing) = tracing.filter(sampled) else {
            return Self { ids: context.parent, recorded: None };
        };
        let recorded = RecordedCall::begin(tracing, method, context, metadata);
        let ids = recorded.ids();
        Self { ids: Some(ids), recorded: Some(Box::new(recorded)) }
    }

    /// The ids for log lines: those of the call's span, or of the caller's if the call is not sampled.
    pub(crate) fn ids(&self) -> Option<SpanIds> {
        self.ids
    }

    /// The maker of digests of keys, if the call is sampled.
    pub(crate) fn hasher(&self) -> Option<KeyHasher> {
        self.recorded.as_ref().map(|recorded| recorded.hasher)
    }

    /// The time at which work begins. `None`: the call is not sampled.
    pub(crate) fn now(&self) -> Option<Duration> {
        self.recorded.as_ref().map(|_| monotonic_time())
    }

    /// A piece of work is done that began at a time of [`CallTrace::now`].
    pub(crate) fn worked(&mut self, work: Work, begun: Option<Duration>) {
        if let (Some((phase, _)), Some(begun)) = (self.work(work), begun) {
            phase.add(begun, monotonic_time());
        }
    }

    /// Sets what work took that was measured elsewhere.
    pub(crate) fn measured(&mut self, work: Work, measured: Phase) {
        if let Some((phase, _)) = self.work(work) {
            *phase = measured;
        }
    }

    /// Adds attributes to the span of work. They are made only if the call is sampled.
    pub(crate) fn describe(&mut self, work: Work, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some((_, known)) = self.work(work) {
            known.extend(attributes());
        }
    }

    /// Sets attributes of the call's span, which are made only if it is sampled.
    pub(crate) fn set(&mut self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(recorded) = &self.recorded {
            recorded.context.span().set_attributes(attributes());
        }
    }

    /// Marks a moment of the call.
    pub(crate) fn event(&mut self, name: &'static str) {
        if let Some(recorded) = &self.recorded {
            recorded.context.span().add_event_with_timestamp(name, recorded.time(monotonic_time()), Vec::new());
        }
    }

    /// The service has failed the request, for this reason.
    pub(crate) fn failed(&mut self, reason: &'static str) {
        if let Some(recorded) = &self.recorded {
            recorded.context.span().set_status(Status::error(reason));
        }
    }

    /// The answer is complete, although the call may go on.
    pub(crate) fn answered(&mut self) {
        if let Some(recorded) = &mut self.recorded {
            recorded.answered.get_or_insert_with(monotonic_time);
        }
    }

    /// Ends the span of a call that has one answer.
    pub(crate) fn end_with<T>(&mut self, answer: &Result<T, tonic::Status>) {
        self.end(answer.as_ref().err().map_or(Code::Ok, tonic::Status::code));
    }

    /// Ends the span with the call's status.
    pub(crate) fn end(&mut self, code: Code) {
        if let Some(recorded) = &mut self.recorded {
            recorded.end(code);
        }
    }

    fn work(&mut self, work: Work) -> Option<&mut (Phase, Vec<KeyValue>)> {
        self.recorded.as_mut()?.work.get_mut(work as usize)
    }
}

impl RecordedCall {
    #[allow(clippy::disallowed_methods, reason = "a span has the time of day")]
    fn begin(tracing: &Tracing, method: TracedMethod, context: TraceContext, metadata: &HeaderMap) -> Self {
        let state = if context.is_w3c { trace_state(metadata) } else { Default::default() };
        let parent = context.parent.map_or_else(Context::new, |SpanIds { trace, span }| {
            Context::new().with_remote_span_context(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state))
        });
        let begun = (SystemTime::now(), monotonic_time());
        let tracer = tracing.tracer().clone();
        let attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method.full_name()),
            KeyValue::new("cellgate.tier", "service"),
        ];
        let builder = tracer.span_builder(method.full_name()).with_kind(SpanKind::Server);
        let span = builder.with_start_time(begun.0).with_attributes(attributes).start_with_context(&tracer, &parent);
        Self {
            context: parent.with_span(span),
            tracer,
            hasher: tracing.hasher(),
            begun,
            work: Default::default(),
            answered: None,
            is_ended: false,
        }
    }

    fn ids(&self) -> SpanIds {
        let span = self.context.span();
        let context = span.span_context();
        SpanIds { trace: context.trace_id(), span: context.span_id() }
    }

    /// Adds a span of finished work: one for each kind, however many pieces it had.
    fn child(&self, name: &'static str, phase: Phase, mut attributes: Vec<KeyValue>) {
        let busy = i64::try_from(phase.busy.as_nanos()).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new("cellgate.busy_ns", busy));
        attributes.push(KeyValue::new("cellgate.pieces", i64::from(phase.pieces)));
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Internal);
        let builder = builder.with_start_time(self.time(phase.begun)).with_attributes(attributes);
        builder.start_with_context(&self.tracer, &self.context).end_with_timestamp(self.time(phase.ended));
    }

    /// The time of day at a moment of the other clock.
    fn time(&self, moment: Duration) -> SystemTime {
        self.begun.0 + moment.saturating_sub(self.begun.1)
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        for ((phase, attributes), name) in std::mem::take(&mut self.work).into_iter().zip(WORK) {
            if phase.pieces > 0 {
                self.child(name, phase, attributes);
            }
        }
        let span = self.context.span();
        span.set_attribute(KeyValue::new("rpc.response.status_code", status_name(code)));
        if is_failure(code) {
            span.set_attribute(KeyValue::new("error.type", status_name(code)));
            span.set_status(Status::error(code.description()));
        }
        span.end_with_timestamp(self.time(self.answered.unwrap_or_else(monotonic_time)));
    }
}

/// The peer has reset the stream, or it was cancelled.
impl Drop for RecordedCall {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The statuses for which a server is at fault, by the conventions of gRPC.
fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests;
