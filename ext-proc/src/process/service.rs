//! The gRPC side: reads a stream, drives its [`StateMachine`], writes the replies.

use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cellgate_routing::{Decision, Outcome, Router};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::SERVICE_NAME;
use hyper::header::CONTENT_TYPE;
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Status, Streaming};

use crate::budget::{Budget, Reservation};
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

/// The name of the service.
pub const NAME: &str = SERVICE_NAME;

/// The path of its one method.
pub const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// How long a peer that has its answer may take to end its half of the stream.
const DRAIN_AFTER_REPLY: Duration = Duration::from_secs(1);

/// The most of an `x-request-id` that is logged.
const REQUEST_ID: usize = 128;

/// The ext_proc service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Processor(Arc<ProcessorState>);

#[derive(Debug)]
struct ProcessorState {
    store: Arc<Store>,
    budget: Budget,
    metrics: Metrics,
    decision_timeout: Duration,
    max_message: usize,
    watchdog: StallWatchdog,
    cut: watch::Receiver<bool>,
}

/// What HTTP says to a request that is none of gRPC's.
pub fn reject_non_grpc<B>(request: &Request<B>) -> Option<Response<()>> {
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

/// One stream, and what is said about it in logs and metrics.
struct ObservedRequest<'a> {
    machine: StateMachine,
    router: Router,
    metrics: &'a Metrics,
    started: Instant,
    send_queue: &'a SendQueue,
    decided: bool,
    inspected: u64,
}

impl Processor {
    /// A service that decides by the configuration in `store` within `decision_timeout`. When `cut` turns true, every
    /// stream ends with an error.
    ///
    /// `max_message_bytes` must exceed every buffer limit of Envoy: a BUFFERED body is one message.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        budget: Budget,
        metrics: Metrics,
        decision_timeout: Duration,
        max_message: usize,
        cut: watch::Receiver<bool>,
    ) -> Self {
        let watchdog = StallWatchdog::default();
        Self(Arc::new(ProcessorState { store, budget, metrics, decision_timeout, max_message, watchdog, cut }))
    }

    /// Takes the budget's bytes from peers that do not take them, for as long as it is polled.
    pub async fn supervise(self) {
        let shared = &self.0;
        shared
            .watchdog
            .clone()
            .run(shared.decision_timeout, |status, request_id| shared.failed(status, request_id))
            .await;
    }

    /// Answers a call of [`PATH`]: at once, and then as its messages come.
    pub async fn process(self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let counted_body = CountedBody::new(body, self.0.budget.reservation());
        let mut grpc = Grpc::new(ExtProcCodec::new(counted_body.clone())).max_decoding_message_size(self.0.max_message);
        let call = Call { shared: self.0, counted_body: counted_body.clone() };
        grpc.streaming(call, Request::from_parts(head, counted_body)).await
    }
}

/// One call.
struct Call {
    shared: Arc<ProcessorState>,
    counted_body: CountedBody,
}

impl StreamingService<IncomingMessage> for Call {
    type Response = OutgoingMessage;
    type ResponseStream = ResponseStream;
    type Future = Ready<Result<tonic::Response<ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<IncomingMessage>>) -> Self::Future {
        let send_queue = Arc::new(SendQueue::default());
        let (messages, counted_body) = (request.into_inner(), self.counted_body.clone());
        let inbox = MessageReader { messages, counted_body, max_message: self.shared.max_message };
        let run = Handler::new(run(Arc::clone(&self.shared), inbox, Arc::clone(&send_queue)));
        let (watchdog, open) = (self.shared.watchdog.clone(), self.shared.metrics.stream());
        let replies = ResponseStream::new(send_queue, run, self.counted_body.clone(), watchdog, open);
        ready(Ok(tonic::Response::new(replies)))
    }
}

/// What the peer says.
struct MessageReader {
    messages: Streaming<IncomingMessage>,
    counted_body: CountedBody,
    max_message: usize,
}

impl MessageReader {
    /// The next message; `None` when the peer has said all, or has reset the stream. May be dropped at any time without
    /// losing anything.
    async fn next(&mut self) -> Result<Option<IncomingMessage>, Status> {
        let message = self.messages.message().await?;
        if message.is_none() && self.counted_body.ended_inside_message() {
            return Err(Status::internal("the stream ended in the middle of a message"));
        }
        Ok(message)
    }

    /// The share of the budget that the last message has, if it was a large one.
    fn share(&mut self) -> Option<Reservation> {
        let share = self.counted_body.take_reservation();
        if share.is_some() {
            // tonic's buffer stays as large as its largest message was. It is empty, so another will do.
            let decoder = RequestDecoder::new(self.counted_body.clone());
            self.messages = Streaming::new_request(decoder, self.counted_body.clone(), None, Some(self.max_message));
        }
        share
    }

    /// Takes what the peer sends until it has heard that nothing more is needed, but for a moment only. Ending the
    /// stream under it would have HTTP/2 answer what is on its way with errors, and too many of those end a connection.
    async fn discard_rest(self) {
        let counted_body = self.counted_body.clone();
        drop(self);
        let _silence = tokio::time::timeout(DRAIN_AFTER_REPLY, counted_body.discard_rest()).await;
    }
}

impl Drop for MessageReader {
    fn drop(&mut self) {
        // What tonic has not put together goes with it.
        self.counted_body.discard();
    }
}

/// Answers one stream.
async fn run(shared: Arc<ProcessorState>, inbox: MessageReader, send_queue: Arc<SendQueue>) -> Result<(), Status> {
    let mut cut = shared.cut.clone();
    // Every end that is not the request's own is an error: after an OK, Envoy lets the rest of the request pass.
    let ended = tokio::select! {
        biased;
        ended = shared.answer(inbox, &send_queue) => ended,
        Ok(_) = cut.wait_for(|cut| *cut) => Err(Status::unavailable("the service ends")),
    };
    if let Err(status) = &ended {
        shared.failed(status, &send_queue.request_id());
    }
    ended
}

impl ProcessorState {
    async fn answer(&self, mut inbox: MessageReader, send_queue: &SendQueue) -> Result<(), Status> {
        let mut deadline = pin!(tokio::time::sleep(self.decision_timeout));
        let first = tokio::select! {
            biased;
            message = inbox.next() => message?,
            () = &mut deadline => return Err(refused(Violation::NoHeadersInTime)),
        };
        let Some(first) = first else { return Ok(()) };
        let mode = BodyMode::try_from(&first.message).map_err(unusable)?;
        let router = self.store.router();
        let mut exchange = ObservedRequest {
            machine: StateMachine::new(router.clone(), mode, self.budget.reservation()),
            router,
            metrics: &self.metrics,
            started: Instant::now(),
            send_queue,
            decided: false,
            inspected: 0,
        };
        let mut event = Event::try_from(first).map_err(unusable)?;
        let mut expired = false;
        loop {
            exchange.machine.set_message_reservation(inbox.share());
            let replies = exchange.on(event)?;
            let replied = !replies.is_empty();
            for reply in replies {
                let share = match &reply {
                    Reply::BodyChunk { bytes, .. } => exchange.machine.take_reservation(bytes.len()),
                    _ => None,
                };
                send_queue.push(response(reply, exchange.router.config()), share);
            }
            exchange.machine.set_message_reservation(None);
            send_queue.set_bytes_held(exchange.machine.reserved_bytes() > 0);
            if exchange.machine.is_ended() {
                drop(exchange);
                inbox.discard_rest().await;
                return Ok(());
            }
            if replied {
                taken().await;
            }
            // A peer that always has another message uses up the budget of the task, without which `select!` does not look
            // at the timer.
            if exchange.machine.is_deciding() && !expired && Instant::now() >= deadline.deadline() {
                expired = true;
                event = Event::Deadline;
                continue;
            }
            event = tokio::select! {
                biased;
                message = inbox.next() => match message {
                    Ok(Some(message)) => Event::try_from(message).map_err(unusable)?,
                    Ok(None) if exchange.machine.may_end() => return Ok(()),
                    // Never OK: Envoy would let the rest of the request pass.
                    Ok(None) => return Err(Status::cancelled("the stream ended before its request")),
                    Err(_) if inbox.counted_body.is_over_budget() => Event::OverBudget,
                    Err(status) => return Err(status),
                },
                () = &mut deadline, if exchange.machine.is_deciding() && !expired => {
                    expired = true;
                    Event::Deadline
                }
            };
        }
    }

    /// Counts and logs a stream that ended with an error, unless it is the peer that ended it: by a reset, as Envoy
    /// does when it needs us no more, or with its connection.
    fn failed(&self, status: &Status, request_id: &str) {
        let transport = std::error::Error::source(status).is_some();
        let (code, message) = (status.code(), status.message());
        if transport || matches!(code, Code::Cancelled | Code::Unavailable) {
            tracing::debug!(request_id, ?code, message, "stream ended with an error");
            return;
        }
        self.metrics.violation();
        let hint = if code == Code::OutOfRange { "--max-message-bytes must exceed Envoy's buffer limits" } else { "" };
        tracing::warn!(request_id, ?code, message, hint, "stream refused");
    }
}

impl ObservedRequest<'_> {
    /// Steps the machine, and counts and logs what came of it.
    fn on(&mut self, event: Event) -> Result<Vec<Reply>, Status> {
        if let Event::RequestHeaders { fields, .. } = &event {
            self.send_queue.set_request_id(request_id(fields));
        }
        let replies = self.machine.on(event).map_err(refused)?;
        let inspected = self.machine.inspected();
        if inspected > self.inspected {
            self.metrics.inspected(inspected - self.inspected);
            self.inspected = inspected;
        }
        if !self.decided
            && let Some(decision) = self.machine.decision()
        {
            self.decided = true;
            self.metrics.decided(decision, self.started.elapsed());
            self.log("decided", decision);
        }
        if let Some(conflict) = self.machine.conflict() {
            self.metrics.conflict(conflict);
            self.log("ended after its decision", conflict);
        }
        Ok(replies)
    }

    fn log(&self, what: &'static str, decision: Decision) {
        let cell = || match decision.outcome {
            Outcome::Cell(cell) => self.router.config().cell_name(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => "",
        };
        tracing::debug!(
            request_id = self.send_queue.request_id(),
            outcome = decision.outcome.label(),
            reason = decision.reason.label(),
            cell = cell(),
            inspected = self.inspected,
            "{what}"
        );
    }
}

/// Waits until the send_queue has been emptied: nobody polls before.
async fn taken() {
    let mut asked = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn unusable(error: RequestError) -> Status {
    Status::failed_precondition(error.to_string())
}

fn refused(violation: Violation) -> Status {
    match violation {
        Violation::NoHeadersInTime => Status::deadline_exceeded(violation.to_string()),
        Violation::OverBudget => Status::resource_exhausted(violation.to_string()),
        _ => Status::failed_precondition(violation.to_string()),
    }
}

/// What a client, or Envoy, calls the request: made harmless for a log line.
fn request_id(head: &fields::Fields) -> String {
    let id = fields::first(head, "x-request-id");
    let id = id.get(..REQUEST_ID).unwrap_or(id);
    String::from_utf8_lossy(id).chars().filter(|character| !character.is_control()).collect()
}
