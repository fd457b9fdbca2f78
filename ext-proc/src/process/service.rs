//! The gRPC side: reads a stream, drives its [`Machine`], writes the replies.

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

use crate::budget::{Budget, Hold};
use crate::config_file::Store;
use crate::fields;
use crate::metrics::Metrics;
use crate::process::codec::{Codec, Received, RequestDecoder, Sent};
use crate::process::counted_body::Intake;
use crate::process::event::{Event, Mode, Reply, Violation};
use crate::process::handler::Run;
use crate::process::request::Unusable;
use crate::process::response::response;
use crate::process::response_stream::Replies;
use crate::process::send_queue::Outbox;
use crate::process::stall_watchdog::Stalled;
use crate::process::state_machine::Machine;

/// The name of the service.
pub const NAME: &str = SERVICE_NAME;

/// The path of its one method.
pub const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// How long a peer that has its answer may take to end its half of the stream.
const FAREWELL: Duration = Duration::from_secs(1);

/// The most of an `x-request-id` that is logged.
const REQUEST_ID: usize = 128;

/// The ext_proc service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Processor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    budget: Budget,
    metrics: Metrics,
    decision_timeout: Duration,
    max_message: usize,
    stalled: Stalled,
    cut: watch::Receiver<bool>,
}

/// What HTTP says to a request that is none of gRPC's.
pub fn misses<B>(request: &Request<B>) -> Option<Response<()>> {
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
struct Exchange<'a> {
    machine: Machine,
    router: Router,
    metrics: &'a Metrics,
    started: Instant,
    outbox: &'a Outbox,
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
        let stalled = Stalled::default();
        Self(Arc::new(Shared { store, budget, metrics, decision_timeout, max_message, stalled, cut }))
    }

    /// Takes the budget's bytes from peers that do not take them, for as long as it is polled.
    pub async fn supervise(self) {
        let shared = &self.0;
        shared
            .stalled
            .clone()
            .run(shared.decision_timeout, |status, request_id| shared.failed(status, request_id))
            .await;
    }

    /// Answers a call of [`PATH`]: at once, and then as its messages come.
    pub async fn process(self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let intake = Intake::new(body, self.0.budget.hold());
        let mut grpc = Grpc::new(Codec::new(intake.clone())).max_decoding_message_size(self.0.max_message);
        let call = Call { shared: self.0, intake: intake.clone() };
        grpc.streaming(call, Request::from_parts(head, intake)).await
    }
}

/// One call.
struct Call {
    shared: Arc<Shared>,
    intake: Intake,
}

impl StreamingService<Received> for Call {
    type Response = Sent;
    type ResponseStream = Replies;
    type Future = Ready<Result<tonic::Response<Replies>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Received>>) -> Self::Future {
        let outbox = Arc::new(Outbox::default());
        let (messages, intake) = (request.into_inner(), self.intake.clone());
        let inbox = Inbox { messages, intake, max_message: self.shared.max_message };
        let run = Run::new(run(Arc::clone(&self.shared), inbox, Arc::clone(&outbox)));
        let (stalled, open) = (self.shared.stalled.clone(), self.shared.metrics.stream());
        let replies = Replies::new(outbox, run, self.intake.clone(), stalled, open);
        ready(Ok(tonic::Response::new(replies)))
    }
}

/// What the peer says.
struct Inbox {
    messages: Streaming<Received>,
    intake: Intake,
    max_message: usize,
}

impl Inbox {
    /// The next message; `None` when the peer has said all, or has reset the stream. May be dropped at any time without
    /// losing anything.
    async fn next(&mut self) -> Result<Option<Received>, Status> {
        let message = self.messages.message().await?;
        if message.is_none() && self.intake.is_cut() {
            return Err(Status::internal("the stream ended in the middle of a message"));
        }
        Ok(message)
    }

    /// The share of the budget that the last message has, if it was a large one.
    fn share(&mut self) -> Option<Hold> {
        let share = self.intake.share();
        if share.is_some() {
            // tonic's buffer stays as large as its largest message was. It is empty, so another will do.
            let decoder = RequestDecoder::new(self.intake.clone());
            self.messages = Streaming::new_request(decoder, self.intake.clone(), None, Some(self.max_message));
        }
        share
    }

    /// Takes what the peer sends until it has heard that nothing more is needed, but for a moment only. Ending the
    /// stream under it would have HTTP/2 answer what is on its way with errors, and too many of those end a connection.
    async fn farewell(self) {
        let intake = self.intake.clone();
        drop(self);
        let _silence = tokio::time::timeout(FAREWELL, intake.drop_rest()).await;
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // What tonic has not put together goes with it.
        self.intake.clear();
    }
}

/// Answers one stream.
async fn run(shared: Arc<Shared>, inbox: Inbox, outbox: Arc<Outbox>) -> Result<(), Status> {
    let mut cut = shared.cut.clone();
    // Every end that is not the request's own is an error: after an OK, Envoy lets the rest of the request pass.
    let ended = tokio::select! {
        biased;
        ended = shared.answer(inbox, &outbox) => ended,
        Ok(_) = cut.wait_for(|cut| *cut) => Err(Status::unavailable("the service ends")),
    };
    if let Err(status) = &ended {
        shared.failed(status, &outbox.request_id());
    }
    ended
}

impl Shared {
    async fn answer(&self, mut inbox: Inbox, outbox: &Outbox) -> Result<(), Status> {
        let mut deadline = pin!(tokio::time::sleep(self.decision_timeout));
        let first = tokio::select! {
            biased;
            message = inbox.next() => message?,
            () = &mut deadline => return Err(refused(Violation::Silence)),
        };
        let Some(first) = first else { return Ok(()) };
        let mode = Mode::try_from(&first.message).map_err(unusable)?;
        let router = self.store.router();
        let mut exchange = Exchange {
            machine: Machine::new(router.clone(), mode, self.budget.hold()),
            router,
            metrics: &self.metrics,
            started: Instant::now(),
            outbox,
            decided: false,
            inspected: 0,
        };
        let mut event = Event::try_from(first).map_err(unusable)?;
        let mut expired = false;
        loop {
            exchange.machine.arrived(inbox.share());
            let replies = exchange.on(event)?;
            let replied = !replies.is_empty();
            for reply in replies {
                let share = match &reply {
                    Reply::Piece { bytes, .. } => exchange.machine.share(bytes.len()),
                    _ => None,
                };
                outbox.push(response(reply, exchange.router.config()), share);
            }
            exchange.machine.arrived(None);
            outbox.hold(exchange.machine.held() > 0);
            if exchange.machine.is_ended() {
                drop(exchange);
                inbox.farewell().await;
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
                    Err(_) if inbox.intake.is_full() => Event::NoRoom,
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

impl Exchange<'_> {
    /// Steps the machine, and counts and logs what came of it.
    fn on(&mut self, event: Event) -> Result<Vec<Reply>, Status> {
        if let Event::RequestHeaders { fields, .. } = &event {
            self.outbox.name(request_id(fields));
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
            request_id = self.outbox.request_id(),
            outcome = decision.outcome.label(),
            reason = decision.reason.label(),
            cell = cell(),
            inspected = self.inspected,
            "{what}"
        );
    }
}

/// Waits until the outbox has been emptied: nobody polls before.
async fn taken() {
    let mut asked = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn unusable(error: Unusable) -> Status {
    Status::failed_precondition(error.to_string())
}

fn refused(violation: Violation) -> Status {
    match violation {
        Violation::Silence => Status::deadline_exceeded(violation.to_string()),
        Violation::NoRoom => Status::resource_exhausted(violation.to_string()),
        _ => Status::failed_precondition(violation.to_string()),
    }
}

/// What a client, or Envoy, calls the request: made harmless for a log line.
fn request_id(head: &fields::Fields) -> String {
    let id = fields::first(head, "x-request-id");
    let id = id.get(..REQUEST_ID).unwrap_or(id);
    String::from_utf8_lossy(id).chars().filter(|character| !character.is_control()).collect()
}
