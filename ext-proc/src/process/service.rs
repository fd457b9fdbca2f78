//! The gRPC side: reads a stream, drives its [`Machine`], writes the replies.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cellgate_routing::{Decision, Outcome, Router};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::budget::Budget;
use crate::config_file::Store;
use crate::fields;
use crate::metrics::{Metrics, OpenStream};
use crate::process::machine::Machine;
use crate::process::message::{Event, Reply, Violation};
use crate::process::wire;

/// Messages between a machine and the connection. Small: they are the bytes that no budget counts.
const QUEUE: usize = 2;

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
}

/// One stream, and what is said about it in logs and metrics.
struct Exchange {
    machine: Machine,
    router: Router,
    metrics: Metrics,
    started: Instant,
    request_id: String,
    decided: bool,
    inspected: u64,
    _open: OpenStream,
}

impl Processor {
    /// A service that decides by the configuration in `store` within `decision_timeout`.
    #[must_use]
    pub fn new(store: Arc<Store>, budget: Budget, metrics: Metrics, decision_timeout: Duration) -> Self {
        Self(Arc::new(Shared { store, budget, metrics, decision_timeout }))
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
        outbound: &mpsc::Sender<Result<ProcessingResponse, Status>>,
        open: OpenStream,
    ) -> Result<(), Status> {
        let shared = &self.0;
        let deadline = tokio::time::sleep(shared.decision_timeout);
        let mut deadline = pin!(deadline);
        let first = tokio::select! {
            message = inbound.message() => message?,
            () = &mut deadline => return Err(Status::deadline_exceeded(Violation::Silence.to_string())),
        };
        let Some(first) = first else { return Ok(()) };
        let mode = wire::mode(&first).map_err(|error| self.refuse(error))?;
        let router = shared.store.router();
        let mut exchange = Exchange {
            machine: Machine::new(router.clone(), mode, shared.budget.hold()),
            router,
            metrics: shared.metrics.clone(),
            started: Instant::now(),
            request_id: String::new(),
            decided: false,
            inspected: 0,
            _open: open,
        };
        let mut event = wire::event(first).map_err(|error| self.refuse(error))?;
        let mut expired = false;
        loop {
            for reply in exchange.on(event)? {
                let size = if let Reply::Piece { bytes, .. } = &reply { bytes.len() } else { 0 };
                let message = wire::response(reply, exchange.router.config());
                // A closed queue means that the peer is gone: nobody is left to tell.
                if outbound.send(Ok(message)).await.is_err() {
                    return Ok(());
                }
                exchange.machine.sent(size);
            }
            if exchange.machine.is_ended() {
                return Ok(());
            }
            event = tokio::select! {
                message = inbound.message() => match message? {
                    Some(message) => wire::event(message).map_err(|error| self.refuse(error))?,
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

    fn refuse(&self, error: wire::Unusable) -> Status {
        self.0.metrics.violation();
        tracing::warn!(%error, "stream refused");
        Status::failed_precondition(error.to_string())
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = ReceiverStream<Result<ProcessingResponse, Status>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let (outbound, replies) = mpsc::channel(QUEUE);
        let processor = self.clone();
        let open = self.0.metrics.stream();
        tokio::spawn(async move {
            if let Err(status) = processor.run(request.into_inner(), &outbound, open).await {
                // Every end that is not the request's own must be an error: after an OK, Envoy lets the rest of the
                // request pass. A peer that reset the stream, as Envoy does when it needs us no more, hears nothing.
                tracing::debug!(code = ?status.code(), message = status.message(), "stream ended with an error");
                let _gone = outbound.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}

impl Exchange {
    /// Steps the machine, and counts and logs what came of it.
    fn on(&mut self, event: Event) -> Result<Vec<Reply>, Status> {
        if let Event::RequestHeaders { fields, .. } = &event {
            self.request_id = request_id(fields.as_slice());
        }
        let replies = self.machine.on(event).map_err(|violation| {
            self.metrics.violation();
            tracing::warn!(request_id = %self.request_id, %violation, "stream refused");
            match violation {
                Violation::Silence => Status::deadline_exceeded(violation.to_string()),
                _ => Status::failed_precondition(violation.to_string()),
            }
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

/// A client's text, made harmless for a log line.
fn request_id(head: &[(String, Vec<u8>)]) -> String {
    let id = fields::first(head, "x-request-id");
    let id = id.get(..REQUEST_ID).unwrap_or(id);
    String::from_utf8_lossy(id).chars().filter(|character| !character.is_control()).collect()
}
