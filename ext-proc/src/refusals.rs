//! The last refusals by reason, for the admin port. Each reason has one entry, so that the memory is bounded.

use std::sync::{Arc, Mutex, PoisonError};

use cellgate_routing::{Decision, Outcome, Reason};
use tokio::time::Instant;
use tonic::Code;

use crate::inspection::RefusalCount;
use crate::timestamp;
use crate::tls::refusal::Reason as ConnectionReason;

/// The refusals since the start. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Refusals(Arc<RefusalTables>);

#[derive(Debug)]
struct RefusalTables {
    requests: Table,
    streams: Table,
    connections: Table,
}

/// An entry for each reason of one kind. Only a refusal takes a lock, and only that of its reason.
#[derive(Debug)]
struct Table(Vec<Mutex<Option<Tally>>>);

#[derive(Clone, Debug)]
struct Tally {
    /// The label of the reason.
    label: &'static str,
    count: u64,
    at: Instant,
    status: Option<u16>,
    request_id: String,
}

impl Refusals {
    /// No refusals.
    pub(crate) fn new() -> Self {
        Self(Arc::new(RefusalTables {
            requests: Table::new(Reason::ALL.len()),
            // The numbers of the statuses begin at 0.
            streams: Table::new(Code::Unauthenticated as usize + 1),
            connections: Table::new(ConnectionReason::ALL.len()),
        }))
    }

    /// Records a decision if it rejects a request. `request_id` is called only then.
    pub(crate) fn decided(&self, decision: Decision, request_id: impl FnOnce() -> String) {
        if let Outcome::Reject(status) = decision.outcome {
            self.0.requests.record(decision.reason as usize, decision.reason.label(), Some(status), request_id());
        }
    }

    /// Records a stream that ended with an error status.
    pub(crate) fn stream_failed(&self, code: Code, request_id: &str) {
        self.0.streams.record(code as usize, status_name(code), None, request_id.to_owned());
    }

    /// Records a refused connection.
    pub(crate) fn connection_refused(&self, reason: ConnectionReason) {
        self.0.connections.record(reason as usize, reason.label(), None, String::new());
    }

    /// Rejected requests, the latest first.
    pub(crate) fn requests(&self) -> Vec<RefusalCount> {
        self.0.requests.list()
    }

    /// Failed streams, the latest first.
    pub(crate) fn streams(&self) -> Vec<RefusalCount> {
        self.0.streams.list()
    }

    /// Refused connections, the latest first.
    pub(crate) fn connections(&self) -> Vec<RefusalCount> {
        self.0.connections.list()
    }
}

impl Table {
    fn new(reasons: usize) -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(reasons).collect())
    }

    fn record(&self, index: usize, label: &'static str, status: Option<u16>, request_id: String) {
        let Some(entry) = self.0.get(index) else { return };
        let at = Instant::now();
        let mut entry = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let count = entry.as_ref().map_or(0, |tally| tally.count) + 1;
        *entry = Some(Tally { label, count, at, status, request_id });
    }

    fn list(&self) -> Vec<RefusalCount> {
        let entries = self.0.iter().map(|entry| entry.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut tallies: Vec<Tally> = entries.flatten().collect();
        tallies.sort_by_key(|tally| std::cmp::Reverse(tally.at));
        let counts = tallies.into_iter().map(|tally| RefusalCount {
            reason: tally.label.to_owned(),
            count: tally.count,
            last_at: timestamp::of(tally.at),
            last_status: tally.status,
            last_request_id: tally.request_id,
        });
        counts.collect()
    }
}

/// The name of a status in gRPC's documentation.
pub(crate) fn status_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use cellgate_routing::CellId;

    use super::*;

    #[test]
    fn each_reason_has_one_entry_with_its_last_refusal() {
        let refusals = Refusals::new();
        let reject = |reason, status| Decision { outcome: Outcome::Reject(status), reason };
        for number in 0..1000 {
            refusals.decided(reject(Reason::KeyMissing, 400), || format!("request {number}"));
        }
        refusals.decided(reject(Reason::Overloaded, 503), || "other".to_owned());
        let accepted = Decision { outcome: Outcome::Cell(CellId(0)), reason: Reason::Default };
        refusals.decided(accepted, || unreachable!("it is no refusal"));
        let listed = refusals.requests();
        assert_eq!(listed.len(), 2);
        let missing = listed.iter().find(|refusal| refusal.reason == "key_missing").unwrap();
        assert_eq!(
            (missing.count, missing.last_status, missing.last_request_id.as_str()),
            (1000, Some(400), "request 999")
        );
    }

    #[test]
    fn every_reason_has_a_place() {
        let refusals = Refusals::new();
        for reason in Reason::ALL {
            refusals.decided(Decision { outcome: Outcome::Reject(400), reason: *reason }, String::new);
        }
        for reason in ConnectionReason::ALL {
            refusals.connection_refused(reason);
        }
        for code in 0..17 {
            refusals.stream_failed(Code::from_i32(code), "id");
        }
        assert_eq!(refusals.requests().len(), Reason::ALL.len());
        assert_eq!(refusals.connections().len(), ConnectionReason::ALL.len());
        assert_eq!(refusals.streams().len(), 17);
        assert!(refusals.streams().iter().all(|refusal| refusal.count == 1));
    }
}
