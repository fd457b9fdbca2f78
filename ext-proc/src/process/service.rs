//! The gRPC side: reads a stream, drives its [`Machine`], writes the replies.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use cellgate_routing::{Decision, Outcome, Router};
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::budget::Budget;
use crate::config_file::Store;
use crate::fields;
use crate::metrics::Metrics;
use crate::process::inbox::{Inbox, Said};
use crate::process::machine::Machine;
use crate::process::message::{Event, Reply, Violation};
use crate::process::outbox::{Outbox, Stalled};
use crate::process::replies::Replies;
use crate::process::wire;

/// The name of the service.
pub const NAME: &str = "envoy.service.ext_proc.v3.ExternalProcessor";

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
    request_id: &'a mut Bytes,
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
    pub fn process<B>(&self, request: Request<B>) -> Response<Replies>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let outbox = Arc::new(Outbox::default());
        let inbox = Inbox::new(request.into_body(), self.0.max_message, self.0.budget.hold());
        let run = Box::pin(run(Arc::clone(&self.0), inbox, Arc::clone(&outbox)));
        let mut response = Response::new(Replies::new(outbox, run, self.0.metrics.stream()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// Answers one stream.
async fn run<B>(shared: Arc<Shared>, inbox: Inbox<B>, outbox: Arc<Outbox>) -> Result<(), Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request_id = Bytes::new();
    let mut cut = shared.cut.clone();
    // Every end that is not the request's own is an error: after an OK, Envoy lets the rest of the request pass.
    let ended = tokio::select! {
        biased;
        ended = shared.answer(inbox, &outbox, &mut request_id) => ended,
        Ok(_) = cut.wait_for(|cut| *cut) => Err(Status::unavailable("the service ends")),
    };
    if let Err(status) = &ended {
        shared.failed(status, &request_id);
    }
    ended
}

impl Shared {
    async fn answer<B>(&self, mut inbox: Inbox<B>, outbox: &Arc<Outbox>, request_id: &mut Bytes) -> Result<(), Status>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut deadline = pin!(tokio::time::sleep(self.decision_timeout));
        let first = tokio::select! {
            biased;
            said = inbox.next() => said?,
            () = &mut deadline => return Err(Status::deadline_exceeded(Violation::Silence.to_string())),
        };
        let Some(Said::Message(first)) = first else { return Ok(()) };
        let mode = wire::mode(&first).map_err(refused)?;
        inbox.in_parts();
        let router = self.store.router();
        let mut exchange = Exchange {
            machine: Machine::new(router.clone(), mode, self.budget.hold()),
            router,
            metrics: &self.metrics,
            started: Instant::now(),
            request_id,
            decided: false,
            inspected: 0,
        };
        let mut event = wire::event(first).map_err(refused)?;
        let mut expired = false;
        loop {
            let held = exchange.machine.held() > 0;
            for reply in exchange.on(event)? {
                let share = match &reply {
                    Reply::Piece { bytes, .. } if held => exchange.machine.share(bytes.len()),
                    _ => None,
                };
                outbox.push(reply, share, exchange.router.config());
            }
            if exchange.machine.is_ended() {
                drop(exchange);
                farewell(inbox).await;
                return Ok(());
            }
            if held {
                self.stalled.watch(outbox, exchange.request_id);
            }
            if outbox.is_full() {
                emptied().await;
            }
            event = tokio::select! {
                biased;
                said = inbox.next() => match said? {
                    Some(said) => wire::said(said).map_err(refused)?,
                    None if exchange.machine.may_end() => return Ok(()),
                    // Never OK: Envoy would let the rest of the request pass.
                    None => return Err(Status::cancelled("the stream ended before its request")),
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
    fn failed(&self, status: &Status, request_id: &[u8]) {
        let transport = std::error::Error::source(status).is_some();
        let (code, message, request_id) = (status.code(), status.message(), loggable(request_id));
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
            *self.request_id = request_id(fields);
        }
        let replies = self.machine.on(event).map_err(|violation| match violation {
            Violation::Silence => Status::deadline_exceeded(violation.to_string()),
            _ => Status::failed_precondition(violation.to_string()),
        })?;
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
            request_id = loggable(self.request_id),
            outcome = decision.outcome.label(),
            reason = decision.reason.label(),
            cell = cell(),
            inspected = self.inspected,
            "{what}"
        );
    }
}

/// Takes what the peer sends until it has heard that nothing more is needed, but for a moment only. Ending the stream
/// under it would have HTTP/2 answer what is on its way with errors, and too many of those end a connection.
async fn farewell<B: Body<Data = Bytes> + Unpin>(mut inbox: Inbox<B>)
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _silence = tokio::time::timeout(FAREWELL, inbox.drop_rest()).await;
}

/// Waits until the outbox has been emptied: nobody polls before.
async fn emptied() {
    let mut asked = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn refused(error: wire::Unusable) -> Status {
    Status::failed_precondition(error.to_string())
}

/// What a client, or Envoy, calls the request.
fn request_id(head: &fields::Fields) -> Bytes {
    Bytes::copy_from_slice({
        let id = fields::first(head, "x-request-id");
        id.get(..REQUEST_ID).unwrap_or(id)
    })
}

/// A client's text, made harmless for a log line.
fn loggable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|character| !character.is_control()).collect()
}
