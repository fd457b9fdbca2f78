//! `cellgate.sync.v1.SyncService`: the service's end of leases (docs/decisions/0027).
//!
//! A filter reports what it has spent and given up, and gets units that are charged to the store first. A report that is
//! malformed ends with `INVALID_ARGUMENT`, one that a later one overtakes while it is answered with `ABORTED`, and a message
//! over [`MAX_MESSAGE_BYTES`] with `OUT_OF_RANGE`. The filter keeps what it holds then, until the term is over.
//!
//! An answer is made within [`DEADLINE`]. Units that the store has not charged by then are not granted. If they were charged
//! all the same, or if a refund has not arrived, they are lost allowance. So nothing that a slow store or a lost
//! connection does creates units.

mod codec;
mod exchange;
mod leased_limits;
mod leases;
mod open_turn;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cellgate_limiting::{Report, Standing};
use cellgate_proto::sync::SyncResponse;
use cellgate_proto::{BadMessage, MAX_MESSAGE_BYTES};
use hyper::{Request, Response};
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};

use crate::config_file::Store;
use crate::limiter::Limiter;
use crate::metrics::LeaseMetrics;
use crate::traces::call_trace::CallTrace;
use crate::traces::{TracedMethod, Tracing};
use codec::SyncCodec;
pub(crate) use leases::{LeaseOrigin, LeaseStats, Leases};

/// The path of the one method.
pub(crate) const PATH: &str = "/cellgate.sync.v1.SyncService/Sync";

/// The name of the service.
pub(crate) const NAME: &str = cellgate_proto::SERVICE;

/// How long an answer may take. A filter waits for a second at most, and makes its next call then.
const DEADLINE: Duration = Duration::from_millis(500);

/// The times that an answer sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long a lease lasts after a report: 1 s to 60 s.
    pub term: Duration,
    /// The time between two reports of a filter: 100 ms to 10 s, and less than half the term.
    pub interval: Duration,
}

/// The service. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct SyncService(Arc<SyncState>);

#[derive(Debug)]
struct SyncState {
    store: Arc<Store>,
    limiter: Limiter,
    leases: Leases,
    metrics: LeaseMetrics,
    tracing: Option<Tracing>,
}

impl SyncService {
    /// A service for the limits of the configuration in `store`.
    pub(crate) fn new(
        store: Arc<Store>,
        limiter: Limiter,
        leases: Leases,
        metrics: LeaseMetrics,
        tracing: Option<Tracing>,
    ) -> Self {
        Self(Arc::new(SyncState { store, limiter, leases, metrics, tracing }))
    }

    /// Handles a call of [`PATH`].
    pub(crate) async fn sync(self, request: Request<Body>) -> Response<Body> {
        let mut grpc = Grpc::new(SyncCodec).max_decoding_message_size(MAX_MESSAGE_BYTES);
        grpc.unary(SyncCall(self.0), request).await
    }
}

/// One call of the method.
struct SyncCall(Arc<SyncState>);

impl UnaryService<Result<Report, BadMessage>> for SyncCall {
    type Response = SyncResponse;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<SyncResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Result<Report, BadMessage>>) -> Self::Future {
        let state = Arc::clone(&self.0);
        let mut trace = CallTrace::begin(state.tracing.as_ref(), TracedMethod::Sync, request.metadata().as_ref());
        Box::pin(async move {
            let answer = state.answer(request.into_inner(), &mut trace).await;
            trace.end_with(&answer);
            answer.map(tonic::Response::new)
        })
    }
}

impl SyncState {
    async fn answer(&self, report: Result<Report, BadMessage>, trace: &mut CallTrace) -> Result<SyncResponse, Status> {
        let begun = Instant::now();
        let (result, answer) = self.exchange(report, begun + DEADLINE).await;
        self.metrics.synced(result, begun.elapsed());
        trace.set(|| vec![KeyValue::new("cellgate.outcome", result)]);
        answer
    }

    /// The answer, and its label for metrics.
    async fn exchange(
        &self,
        report: Result<Report, BadMessage>,
        until: Instant,
    ) -> (&'static str, Result<SyncResponse, Status>) {
        let report = match report {
            Ok(report) => report,
            Err(bad) => return ("invalid", Err(Status::invalid_argument(bad.to_string()))),
        };
        let turn = self.leases.begin(&report, &self.store, &self.metrics);
        drop(report);
        match exchange::answer(turn, &self.limiter, until).await {
            Some(answer) => (label(answer.standing), Ok(SyncResponse::from(&answer))),
            None => ("stale", Err(Status::aborted("the cache has sent a later report while the answer was made"))),
        }
    }
}

fn label(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::Withdrawn => "withdrawn",
        Standing::Unknown => "unknown",
        Standing::Full => "full",
        Standing::Elsewhere => "elsewhere",
    }
}

#[cfg(test)]
mod tests;
