//! The gRPC service: reads a stream's messages, runs its [`StateMachine`], and sends the replies.

use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cellgate_limiting::LimitId;
use cellgate_routing::ResponseNeeds;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::SERVICE_NAME;
use hyper::header::CONTENT_TYPE;
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Status, Streaming};

use crate::budget::{Budget, Reservation};
use crate::concurrency::ConcurrencyLimiter;
use crate::config_file::Store;
use crate::limiter::Limiter;
use crate::metrics::Metrics;
use crate::process::codec::{ExtProcCodec, IncomingMessage, OutgoingMessage, RequestDecoder};
use crate::process::counted_body::CountedBody;
use crate::process::decision_trace::DecisionTrace;
use crate::process::event::{BodyMode, Event, LimitAnswer, Violation};
use crate::process::handler::Handler;
use crate::process::observed_request::{ObservedRequest, limit_names, violation_status};
use crate::process::request::RequestError;
use crate::process::response_stream::ResponseStream;
use crate::process::send_queue::{RequestIds, SendQueue};
use crate::process::stall_watchdog::StallWatchdog;
use crate::process::state_machine::StateMachine;
use crate::refusals::Refusals;
use crate::settlement::RequestSettlement;
use crate::traces::call_trace::{CallTrace, Work};
use crate::traces::phase::monotonic_time;
use crate::traces::{TracedMethod, Tracing};

/// The name of the service.
pub(crate) const NAME: &str = SERVICE_NAME;

/// The path of its one method.
pub(crate) const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// After a refusal, the peer has this long to close its half of the stream.
const DRAIN_AFTER_REPLY: Duration = Duration::from_secs(1);

/// The decoders of a decided request keep at most this many bytes for as long as the body takes, although others wait. Two
/// decoders of gzip take less.
const MAX_GUARD_MEMORY: u64 = 512 * 1024;

/// How often a decided request with large decoders looks for others that wait.
const CROWDED_INTERVAL: Duration = Duration::from_millis(100);

/// The ext_proc service. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Processor(Arc<ProcessorState>);

/// Limits of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    /// From a request's first message to its decision, at most.
    pub decision_timeout: Duration,
    /// The largest message from Envoy. A BUFFERED body is one message, so this must exceed every buffer limit of Envoy.
    pub max_message_bytes: usize,
}

#[derive(Debug)]
struct ProcessorState {
    store: Arc<Store>,
    budget: Budget,
    observers: Observers,
    limiter: Limiter,
    concurrency: ConcurrencyLimiter,
    limits: StreamLimits,
    watchdog: StallWatchdog,
    drain: watch::Receiver<bool>,
    abort: watch::Receiver<bool>,
}

/// What keeps account of requests.
#[derive(Clone, Debug)]
pub(crate) struct Observers {
    /// Counts them.
    pub metrics: Metrics,
    /// Keeps the last refusals.
    pub refusals: Refusals,
    /// Makes their traces.
    pub tracing: Option<Tracing>,
}

/// The ends of the service.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    /// True once no new connection is accepted. Streams that only wait for the end of a response then end with OK.
    pub drain: watch::Receiver<bool>,
    /// True once all streams must end, with an error.
    pub abort: watch::Receiver<bool>,
}

/// The HTTP response to a request that is not gRPC over protobuf.
pub(crate) fn reject_non_grpc<B>(request: &Request<B>) -> Option<Response<()>> {
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let grpc = content_type.strip_prefix(b"application/grpc");
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !grpc.is_some_and(|rest| matches!(rest, [] | [b';', ..] | b"+proto") || rest.starts_with(b"+proto;")) {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut response = Response::new(());
    *response.status_mut() = status;
    Some(response)
}

impl Processor {
    /// A service that decides by the configuration in `store`.
    #[must_use]
    pub(crate) fn new(
        store: Arc<Store>,
        budget: Budget,
        observers: Observers,
        limiter: Limiter,
        limits: StreamLimits,
        Ends { drain, abort }: Ends,
    ) -> Self {
        let watchdog = StallWatchdog::default();
        let concurrency = ConcurrencyLimiter::new(observers.metrics.concurrency().clone());
        Self(Arc::new(ProcessorState {
            store,
            budget,
            observers,
            limiter,
            concurrency,
            limits,
            watchdog,
            drain,
            abort,
        }))
    }

    /// Ends stalled streams until the future is dropped.
    pub(crate) async fn supervise(self) {
        let state = &self.0;
        let on_failure = |status: &Status, ids: &RequestIds| state.record_failure(status, ids);
        state.watchdog.clone().run(state.limits.decision_timeout, on_failure).await;
    }

    /// Handles a call of [`PATH`]. Returns the response's head at once.
    pub(crate) async fn process(self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = CountedBody::new(body, self.0.budget.reservation());
        let mut grpc =
            Grpc::new(ExtProcCodec::new(body.clone())).max_decoding_message_size(self.0.limits.max_message_bytes);
        let call = Call { state: self.0, body: body.clone() };
        grpc.streaming(call, Request::from_parts(head, body)).await
    }
}

/// One call of the method.
struct Call {
    state: Arc<ProcessorState>,
    body: CountedBody,
}

impl StreamingService<IncomingMessage> for Call {
    type Response = OutgoingMessage;
    type ResponseStream = ResponseStream;
    type Future = Ready<Result<tonic::Response<ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<IncomingMessage>>) -> Self::Future {
        let trace =
            CallTrace::begin(self.state.observers.tracing.as_ref(), TracedMethod::Process, request.metadata().as_ref());
        let queue = Arc::new(SendQueue::default());
        queue.set_trace(trace.ids());
        let max_message_bytes = self.state.limits.max_message_bytes;
        let reader = MessageReader { messages: request.into_inner(), body: self.body.clone(), max_message_bytes };
        let trace = StreamTrace { trace, queue: Arc::clone(&queue) };
        let handler = Handler::new(handle_stream(Arc::clone(&self.state), reader, trace));
        let (watchdog, open) = (self.state.watchdog.clone(), self.state.observers.metrics.stream());
        let responses = ResponseStream::new(queue, handler, self.body.clone(), watchdog, open);
        ready(Ok(tonic::Response::new(responses)))
    }
}

/// Reads the messages of one stream.
struct MessageReader {
    messages: Streaming<IncomingMessage>,
    body: CountedBody,
    max_message_bytes: usize,
}

impl MessageReader {
    /// The next message. `None` if the peer closed its half or reset the stream. Cancel safe.
    async fn next(&mut self) -> Result<Option<IncomingMessage>, Status> {
        let message = self.messages.message().await?;
        if message.is_none() && self.body.ended_inside_message() {
            return Err(Status::internal("the request stream ended in the middle of a message"));
        }
        Ok(message)
    }

    /// Takes the reservation of the last message, if it was large.
    fn take_reservation(&mut self) -> Option<Reservation> {
        let reservation = self.body.take_reservation();
        if reservation.is_some() {
            // tonic's empty buffer keeps the size of its largest message. A new one is small.
            let decoder = RequestDecoder::new(self.body.clone());
            self.messages = Streaming::new_request(decoder, self.body.clone(), None, Some(self.max_message_bytes));
        }
        reservation
    }

    /// Discards messages until the peer closes its half, for at most [`DRAIN_AFTER_REPLY`]. If the stream ended at once,
    /// HTTP/2 would reset it for every frame on its way, and too many resets end a connection.
    async fn discard_rest(self) {
        let body = self.body.clone();
        drop(self);
        let _timeout = tokio::time::timeout(DRAIN_AFTER_REPLY, body.discard_rest()).await;
    }
}

impl Drop for MessageReader {
    fn drop(&mut self) {
        // tonic's buffer with the incomplete message is dropped too.
        self.body.discard();
    }
}

/// The trace of one stream, and its queue, which knows whether the watchdog dropped the handler.
struct StreamTrace {
    trace: CallTrace,
    queue: Arc<SendQueue>,
}

impl Drop for StreamTrace {
    fn drop(&mut self) {
        // Otherwise the trace would say that the peer cancelled the stream, which is no error.
        if self.queue.is_stalled() {
            self.trace.end(Code::DeadlineExceeded);
        }
    }
}

/// Handles one stream to its end. Every end but that of the request is an error: after an OK, Envoy lets the rest of the
/// request pass.
async fn handle_stream(
    state: Arc<ProcessorState>,
    reader: MessageReader,
    mut traced: StreamTrace,
) -> Result<(), Status> {
    let mut abort = state.abort.clone();
    let StreamTrace { trace, queue } = &mut traced;
    let result = tokio::select! {
        biased;
        result = state.process_request(reader, queue, trace) => result,
        Ok(_) = abort.wait_for(|abort| *abort) => Err(Status::unavailable("the service is shutting down")),
    };
    if let Err(status) = &result {
        state.record_failure(status, &queue.ids());
    }
    // A connection that is lost is nobody's failure.
    let code = |status: &Status| if is_transport(status) { Code::Cancelled } else { status.code() };
    trace.end(result.as_ref().err().map_or(Code::Ok, code));
    result
}

impl ProcessorState {
    async fn process_request(
        &self,
        mut reader: MessageReader,
        queue: &SendQueue,
        trace: &mut CallTrace,
    ) -> Result<(), Status> {
        let sleep = pin!(tokio::time::sleep(self.limits.decision_timeout));
        let mut deadline = DecisionDeadline { due: sleep.deadline(), sleep, budget: reader.body.reservation() };
        let waiting = trace.now();
        let first = tokio::select! {
            biased;
            message = reader.next() => message?,
            () = deadline.passed() => return Err(violation_status(Violation::NoHeadersInTime)),
        };
        trace.worked(Work::Receive, waiting);
        let Some(first) = first else { return Ok(()) };
        let mode = BodyMode::try_from(&first.message).map_err(request_error_status)?;
        let decider = self.store.decider();
        let mut request = ObservedRequest {
            machine: StateMachine::new(decider.clone(), mode, reader.body.reservation()),
            budget: reader.body.reservation(),
            decider,
            metrics: &self.observers.metrics,
            refusals: &self.observers.refusals,
            started: Instant::now(),
            queue,
            decided: None,
            inspected: 0,
            received: 0,
            trace,
            in_flight: None,
            settlement: None,
        };
        if let Some(hasher) = request.trace.hasher() {
            request.machine.record(DecisionTrace::new(monotonic_time, hasher));
        }
        let mut drain = self.drain.clone();
        let mut event = Event::try_from(first).map_err(request_error_status)?;
        let mut expired = false;
        loop {
            let mut replied = request.step(event, reader.take_reservation())?;
            if request.machine.is_limiting() {
                let answer = self.check_limits(&mut request).await;
                replied |= request.step(Event::Limited(answer), None)?;
            }
            if request.machine.is_ended() {
                request.trace.answered();
                drop(request);
                reader.discard_rest().await;
                return Ok(());
            }
            if replied {
                yield_until_sent().await;
            }
            // Nothing is read meanwhile, so the peer stops sending.
            if !request.has_room().await {
                event = Event::NoRoom;
                continue;
            }
            // A peer that always has another message ready uses up the task's budget, and then `select!` does not poll
            // the timer.
            if request.machine.is_deciding() && !expired && deadline.has_passed() {
                expired = true;
                event = Event::Deadline;
                continue;
            }
            let waiting = request.awaits_message();
            event = tokio::select! {
                biased;
                message = reader.next() => match message {
                    Ok(Some(message)) => Event::try_from(message).map_err(request_error_status)?,
                    Ok(None) if request.machine.may_end() => return Ok(()),
                    // Not OK: Envoy would let the rest of the request pass.
                    Ok(None) => return Err(Status::cancelled("the stream ended before the request was complete")),
                    Err(_) if reader.body.is_over_budget() => Event::OverBudget,
                    Err(status) => return Err(status),
                },
                () = deadline.passed(), if request.machine.is_deciding() && !expired => {
                    expired = true;
                    Event::Deadline
                }
                // The stream only waits for the end of the response, which Envoy lets pass. Many a stream does, whether a
                // concurrency limit counts its request or not.
                Ok(_) = drain.wait_for(|drain| *drain), if request.machine.may_end() => {
                    if let Some(settlement) = request.settlement.take() {
                        settlement.abandon();
                    }
                    return Ok(());
                }
                () = self.crowded(request.decided), if request.machine.guard_memory() > MAX_GUARD_MEMORY => Event::NoRoom,
            };
            request.trace.worked(Work::Receive, waiting);
        }
    }

    /// Lets the request enter under its concurrency limits, and then charges it. So a request that finds no place uses nothing,
    /// and one that a rate limit refuses leaves at once.
    async fn check_limits(&self, request: &mut ObservedRequest<'_>) -> LimitAnswer {
        let config = request.decider.config();
        let begun = request.trace.now();
        let entering = request.machine.due_concurrency(self.limiter.hasher());
        let names = |id: LimitId| config.concurrency_limits.get(usize::from(id.0)).map_or("", |limit| &*limit.name);
        request.trace.describe(Work::Limit, || {
            limit_names("cellgate.concurrency_limits", entering.iter().map(|charge| names(charge.id)))
        });
        let in_flight = match self.concurrency.enter(entering, config) {
            Ok(in_flight) => in_flight,
            Err(violated) => {
                let answer = LimitAnswer::no_place(violated);
                request.limited(begun, &answer);
                return answer;
            }
        };
        let charges = request.machine.due_charges(self.limiter.hasher()).unwrap_or_default();
        let (mut answer, mut settlement) = (LimitAnswer::default(), None);
        if !charges.is_empty() {
            let names = charges.iter().map(|charge| config.limit_name(charge.charge.id));
            request.trace.describe(Work::Limit, || limit_names("cellgate.rate_limits", names));
            (answer, settlement) = self.limiter.check(&charges, config).await;
        }
        request.limited(begun, &answer);
        if answer.refusal.is_none() {
            let needs = settlement.as_ref().map(RequestSettlement::needs).unwrap_or_default();
            answer.response = needs.and(ResponseNeeds { headers: false, end: in_flight.is_some() });
            request.in_flight = in_flight;
            request.settlement = settlement;
        }
        answer
    }

    /// Returns once other streams wait for the byte budget, but not before the decision timeout has passed again since the
    /// decision. Cancel safe.
    async fn crowded(&self, decided: Option<Instant>) {
        let Some(decided) = decided else { return std::future::pending().await };
        tokio::time::sleep_until(decided + self.limits.decision_timeout).await;
        while self.budget.waiting() == 0 {
            tokio::time::sleep(CROWDED_INTERVAL).await;
        }
    }

    /// Counts and logs a stream that ended with an error. A reset or a lost connection is only logged at debug level: Envoy
    /// resets streams that it no longer needs.
    fn record_failure(&self, status: &Status, ids: &RequestIds) {
        let (code, message, request_id) = (status.code(), status.message(), &*ids.request_id);
        let (trace_id, span_id) = ids.trace_fields();
        if is_transport(status) || matches!(code, Code::Cancelled | Code::Unavailable) {
            tracing::debug!(
                event = "stream_ended_early",
                request_id,
                trace_id,
                span_id,
                ?code,
                error = message,
                "stream ended early"
            );
            return;
        }
        self.observers.metrics.violation();
        self.observers.refusals.stream_failed(code, request_id);
        let hint = (code == Code::OutOfRange).then_some("set --max-message-bytes above Envoy's buffer limits");
        tracing::warn!(
            event = "stream_failed",
            request_id,
            trace_id,
            span_id,
            ?code,
            error = message,
            hint,
            "stream ended with an error status"
        );
    }
}

/// The end of the decision timeout. The time in which the stream waits for the byte budget does not count.
struct DecisionDeadline<'a> {
    sleep: Pin<&'a mut Sleep>,
    /// The deadline of a stream that never waits.
    due: Instant,
    budget: Reservation,
}

impl DecisionDeadline<'_> {
    fn has_passed(&self) -> bool {
        Instant::now() >= self.due + self.budget.waited()
    }

    /// Returns once it has passed. Cancel safe.
    async fn passed(&mut self) {
        self.sleep.as_mut().await;
        while !self.has_passed() {
            self.sleep.as_mut().reset(self.due + self.budget.waited());
            self.sleep.as_mut().await;
        }
    }
}

/// Is pending once. The handler is polled again when tonic has taken all replies from the send queue.
async fn yield_until_sent() {
    let mut yielded = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Whether the status reports a connection or stream that has failed.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

fn request_error_status(error: RequestError) -> Status {
    Status::failed_precondition(error.to_string())
}
