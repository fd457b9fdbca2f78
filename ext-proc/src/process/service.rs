//! The gRPC side: reads a stream, drives its [`Machine`], writes the replies.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cellgate_routing::{Decision, Outcome, Router};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::budget::Budget;
use crate::config_file::Store;
use crate::fields;
use crate::metrics::Metrics;
use crate::process::machine::Machine;
use crate::process::message::{Event, Reply, Violation};
use crate::process::replies::{self, Replies};
use crate::process::wire;

/// The most of an `x-request-id` that is logged.
const REQUEST_ID: usize = 128;

/// The ext_proc service.
#[derive(Clone, Debug)]
pub struct Processor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    budget: Budget,
    metrics: Metrics,
    decision_timeout: Duration,
    cut: watch::Receiver<bool>,
}

/// One stream, and what is said about it in logs and metrics.
struct Exchange<'a> {
    machine: Machine,
    router: Router,
    metrics: Metrics,
    started: Instant,
    request_id: &'a mut String,
    decided: bool,
    inspected: u64,
}

impl Processor {
    /// A service that decides by the configuration in `store` within `decision_timeout`. When `cut` turns true, every
    /// stream ends with an error.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        budget: Budget,
        metrics: Metrics,
        decision_timeout: Duration,
        cut: watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Shared { store, budget, metrics, decision_timeout, cut }))
    }

    /// As a tonic service.
    ///
    /// `max_message_bytes` must exceed every buffer limit of Envoy: a BUFFERED body is one message.
    #[must_use]
    pub fn into_server(self, max_message_bytes: usize) -> ExternalProcessorServer<Self> {
        ExternalProcessorServer::new(self).max_decoding_message_size(max_message_bytes)
    }

    async fn run(
        &self,
        mut inbound: Streaming<ProcessingRequest>,
        outbound: &mpsc::Sender<ProcessingResponse>,
        request_id: &mut String,
    ) -> Result<(), Status> {
        let shared = &self.0;
        let deadline = tokio::time::sleep(shared.decision_timeout);
        let mut deadline = pin!(deadline);
        let first = tokio::select! {
            message = inbound.message() => message?,
            () = &mut deadline => return Err(Status::deadline_exceeded(Violation::Silence.to_string())),
        };
        let Some(first) = first else { return Ok(()) };
        let mode = wire::mode(&first).map_err(refused)?;
        let router = shared.store.router();
        let mut exchange = Exchange {
            machine: Machine::new(router.clone(), mode, shared.budget.hold()),
            router,
            metrics: shared.metrics.clone(),
            started: Instant::now(),
            request_id,
            decided: false,
            inspected: 0,
        };
        let mut event = wire::event(first).map_err(refused)?;
        let mut expired = false;
        loop {
            for reply in exchange.on(event)? {
                let size = if let Reply::Piece { bytes, .. } = &reply { bytes.len() } else { 0 };
                let message = wire::response(reply, exchange.router.config());
                let sent = outbound.send(message);
                // Whoever does not read must not keep its share of the budget. Without one it may take its time.
                let sent = if exchange.machine.held() > 0 {
                    tokio::time::timeout(shared.decision_timeout, sent).await
                } else {
                    Ok(sent.await)
                };
                match sent {
                    Ok(Ok(())) => {}
                    // A closed queue means that the peer is gone: nobody is left to tell.
                    Ok(Err(_)) => return Ok(()),
                    Err(_elapsed) => return Err(Status::deadline_exceeded("the held body was not taken back in time")),
                }
                exchange.machine.sent(size);
            }
            if exchange.machine.is_ended() {
                return Ok(());
            }
            event = tokio::select! {
                message = inbound.message() => match message? {
                    Some(message) => wire::event(message).map_err(refused)?,
                    None if exchange.machine.may_end() => return Ok(()),
                    // Never OK: Envoy would let the rest of the request pass unread.
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
    fn failed(&self, status: &Status, request_id: &str) {
        let transport = std::error::Error::source(status).is_some();
        let (code, message) = (status.code(), status.message());
        if transport || matches!(code, Code::Cancelled | Code::Unavailable) {
            tracing::debug!(request_id, ?code, message, "stream ended with an error");
            return;
        }
        self.0.metrics.violation();
        let hint = if code == Code::OutOfRange { "--max-message-bytes must exceed Envoy's buffer limits" } else { "" };
        tracing::warn!(request_id, ?code, message, hint, "stream refused");
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = Replies;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let (outbound, end, replies) = replies::channel(self.0.metrics.stream());
        let processor = self.clone();
        tokio::spawn(async move {
            let mut request_id = String::new();
            let mut cut = processor.0.cut.clone();
            // Every end that is not the request's own is an error: after an OK, Envoy lets the rest of the request pass.
            let ended = tokio::select! {
                ended = processor.run(request.into_inner(), &outbound, &mut request_id) => ended,
                Ok(_) = cut.wait_for(|cut| *cut) => Err(Status::unavailable("the service ends")),
            };
            if let Err(status) = &ended {
                processor.failed(status, &request_id);
            }
            let _gone = end.send(ended);
        });
        Ok(Response::new(replies))
    }
}

impl Exchange<'_> {
    /// Steps the machine, and counts and logs what came of it.
    fn on(&mut self, event: Event) -> Result<Vec<Reply>, Status> {
        if let Event::RequestHeaders { fields, .. } = &event {
            *self.request_id = request_id(fields.as_slice());
        }
        let replies = self.machine.on(event).map_err(|violation| match violation {
            Violation::Silence => Status::deadline_exceeded(violation.to_string()),
            _ => Status::failed_precondition(violation.to_string()),
        })?;
        self.metrics.inspected(self.machine.inspected() - self.inspected);
        self.inspected = self.machine.inspected();
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
        let cell = match decision.outcome {
            Outcome::Cell(cell) => self.router.config().cell_name(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => "",
        };
        tracing::debug!(
            request_id = %self.request_id,
            outcome = decision.outcome.label(),
            reason = decision.reason.label(),
            cell,
            inspected = self.inspected,
            "{what}"
        );
    }
}

fn refused(error: wire::Unusable) -> Status {
    Status::failed_precondition(error.to_string())
}

/// A client's text, made harmless for a log line.
fn request_id(head: &[(String, Vec<u8>)]) -> String {
    let id = fields::first(head, "x-request-id");
    let id = id.get(..REQUEST_ID).unwrap_or(id);
    String::from_utf8_lossy(id).chars().filter(|character| !character.is_control()).collect()
}
