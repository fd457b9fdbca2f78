//! The gRPC service: reads a stream's messages, runs its [`StateMachine`], and sends the replies.

use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cellgate_routing::{Decider, Decision, Outcome};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::SERVICE_NAME;
use hyper::header::CONTENT_TYPE;
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Status, Streaming};

use crate::budget::{Budget, Growth, Reservation};
use crate::config_file::Store;
use crate::fields;
use crate::metrics::Metrics;
use crate::process::codec::{ExtProcCodec, IncomingMessage, OutgoingMessage, RequestDecoder};
use crate::process::counted_body::CountedBody;
use crate::process::event::{BodyMode, Event, Reply, Violation};
use crate::process::handler::Handler;
use crate::process::request::RequestError;
use crate::process::response::response;
use crate::process::response_stream::ResponseStream;
use crate::process::send_queue::SendQueue;
use crate::process::stall_watchdog::StallWatchdog;
use crate::process::state_machine::StateMachine;
use crate::refusals::Refusals;

/// The name of the service.
pub(crate) const NAME: &str = SERVICE_NAME;

/// The path of its one method.
pub(crate) const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// After a refusal, the peer has this long to close its half of the stream.
const DRAIN_AFTER_REPLY: Duration = Duration::from_secs(1);

/// The most bytes of an `x-request-id` in a log line.
const MAX_REQUEST_ID: usize = 128;

/// A stream that waits holds at most this many bytes that the budget does not cover. Only decoders of `br` and `zstd` take
/// more at a time: they have decoded a chunk before their memory is known.
const MAX_UNCOVERED: u64 = 1024 * 1024;

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
    metrics: Metrics,
    refusals: Refusals,
    limits: StreamLimits,
    watchdog: StallWatchdog,
    abort: watch::Receiver<bool>,
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
    /// A service that decides by the configuration in `store`. All streams end with an error once `abort` is true.
    #[must_use]
    pub(crate) fn new(
        store: Arc<Store>,
        budget: Budget,
        metrics: Metrics,
        refusals: Refusals,
        limits: StreamLimits,
        abort: watch::Receiver<bool>,
    ) -> Self {
        let watchdog = StallWatchdog::default();
        Self(Arc::new(ProcessorState { store, budget, metrics, refusals, limits, watchdog, abort }))
    }

    /// Ends stalled streams until the future is dropped.
    pub(crate) async fn supervise(self) {
        let state = &self.0;
        let on_failure = |status: &Status, request_id: &str| state.record_failure(status, request_id);
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
        let queue = Arc::new(SendQueue::default());
        let max_message_bytes = self.state.limits.max_message_bytes;
        let reader = MessageReader { messages: request.into_inner(), body: self.body.clone(), max_message_bytes };
        let handler = Handler::new(handle_stream(Arc::clone(&self.state), reader, Arc::clone(&queue)));
        let (watchdog, open) = (self.state.watchdog.clone(), self.state.metrics.stream());
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

/// Handles one stream to its end. Every end but that of the request is an error: after an OK, Envoy lets the rest of the
/// request pass.
async fn handle_stream(state: Arc<ProcessorState>, reader: MessageReader, queue: Arc<SendQueue>) -> Result<(), Status> {
    let mut abort = state.abort.clone();
    let result = tokio::select! {
        biased;
        result = state.process_request(reader, &queue) => result,
        Ok(_) = abort.wait_for(|abort| *abort) => Err(Status::unavailable("the service is shutting down")),
    };
    if let Err(status) = &result {
        state.record_failure(status, &queue.request_id());
    }
    result
}

impl ProcessorState {
    async fn process_request(&self, mut reader: MessageReader, queue: &SendQueue) -> Result<(), Status> {
        let sleep = pin!(tokio::time::sleep(self.limits.decision_timeout));
        let mut deadline = DecisionDeadline { due: sleep.deadline(), sleep, budget: reader.body.reservation() };
        let first = tokio::select! {
            biased;
            message = reader.next() => message?,
            () = deadline.passed() => return Err(violation_status(Violation::NoHeadersInTime)),
        };
        let Some(first) = first else { return Ok(()) };
        let mode = BodyMode::try_from(&first.message).map_err(request_error_status)?;
        let decider = self.store.decider();
        let mut request = ObservedRequest {
            machine: StateMachine::new(decider.clone(), mode, reader.body.reservation()),
            budget: reader.body.reservation(),
            decider,
            metrics: &self.metrics,
            refusals: &self.refusals,
            started: Instant::now(),
            queue,
            decided: None,
            inspected: 0,
        };
        let mut event = Event::try_from(first).map_err(request_error_status)?;
        let mut expired = false;
        loop {
            let replied = request.step(event, reader.take_reservation())?;
            if request.machine.is_ended() {
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
                () = self.crowded(request.decided), if request.machine.guard_memory() > MAX_GUARD_MEMORY => Event::NoRoom,
            };
        }
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
    fn record_failure(&self, status: &Status, request_id: &str) {
        let transport = std::error::Error::source(status).is_some();
        let (code, message) = (status.code(), status.message());
        if transport || matches!(code, Code::Cancelled | Code::Unavailable) {
            tracing::debug!(request_id, ?code, error = message, "stream ended early");
            return;
        }
        self.metrics.violation();
        self.refusals.stream_failed(code, request_id);
        let hint = (code == Code::OutOfRange).then_some("set --max-message-bytes above Envoy's buffer limits");
        tracing::warn!(request_id, ?code, error = message, hint, "stream ended with an error status");
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

/// A request's state machine, with its metrics and log lines.
struct ObservedRequest<'a> {
    machine: StateMachine,
    /// An empty reservation of the stream.
    budget: Reservation,
    decider: Decider,
    metrics: &'a Metrics,
    refusals: &'a Refusals,
    started: Instant,
    queue: &'a SendQueue,
    /// When the decision was made.
    decided: Option<Instant>,
    inspected: u64,
}

impl ObservedRequest<'_> {
    /// Handles an event and queues the replies. Returns whether there was one. `reservation` covers the message of the
    /// event.
    fn step(&mut self, event: Event, reservation: Option<Reservation>) -> Result<bool, Status> {
        self.machine.set_message_reservation(reservation);
        if let Event::RequestHeaders { fields, .. } = &event {
            self.queue.set_request_id(request_id(fields));
        }
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
        self.machine.set_message_reservation(None);
        self.queue.set_bytes_held(self.machine.reserved_bytes() > 0);
        Ok(replied)
    }

    /// Waits until the byte budget has room for what the request holds. Returns false if it has none in time, or if that is
    /// too much to keep until then.
    async fn has_room(&mut self) -> bool {
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
            Growth::Waits(wait) => match wait.await {
                Some(granted) => reservation.merge(granted),
                None => return false,
            },
            Growth::Refused => return false,
        }
        self.machine.cover(reservation);
        true
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
            self.refusals.decided(decision, || self.queue.request_id());
            self.log("request decided", decision);
        }
        if let Some(conflict) = self.machine.conflict() {
            self.metrics.conflict(conflict);
            self.refusals.decided(conflict, || self.queue.request_id());
            self.log("request rejected after its decision", conflict);
        }
    }

    fn log(&self, event: &'static str, decision: Decision) {
        let cell = || match decision.outcome {
            Outcome::Cell(cell) => self.decider.config().cell_name(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => "",
        };
        tracing::debug!(
            request_id = self.queue.request_id(),
            outcome = decision.outcome.label(),
            reason = decision.reason.label(),
            cell = cell(),
            inspected = self.inspected,
            "{event}"
        );
    }
}

/// Is pending once. The handler is polled again when tonic has taken all replies from the send queue.
async fn yield_until_sent() {
    let mut yielded = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn request_error_status(error: RequestError) -> Status {
    Status::failed_precondition(error.to_string())
}

fn violation_status(violation: Violation) -> Status {
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
