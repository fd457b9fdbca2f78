//! Admits connections: the TLS handshake, if there is TLS, and the HTTP/2 preface, each within a time. Refusals are counted
//! and logged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::{Connection, Transport};
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::socket::PeerAddress;
use crate::tls::handshake::Handshakes;
use crate::tls::refusal::{Reason, Refusal};
use crate::workers::AcceptedConnection;

/// Each reason has at most one line in this time. A client that retries without end must not fill the log.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Admits connections. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    handshakes: Option<Handshakes>,
    /// How long a handshake may take, and how long the preface.
    time: Duration,
    metrics: Metrics,
    refusals: Refusals,
    lines: Arc<Mutex<Lines>>,
}

/// The log lines of each reason.
#[derive(Debug, Default)]
struct Lines([ReasonLines; Reason::ALL.len()]);

#[derive(Debug, Default)]
struct ReasonLines {
    /// The time of the last line.
    last: Option<Instant>,
    /// Refusals since then.
    suppressed: u64,
}

impl Admission {
    /// Admits TLS connections, or plain-text ones without `handshakes`.
    pub(crate) fn new(handshakes: Option<Handshakes>, time: Duration, metrics: Metrics, refusals: Refusals) -> Self {
        Self { handshakes, time, metrics, refusals, lines: Arc::default() }
    }

    /// Waits until a connection has begun to speak HTTP/2. `None` if it is refused, and closed.
    pub(crate) async fn admit(&self, accepted: AcceptedConnection) -> Option<Connection> {
        let AcceptedConnection { socket, count } = accepted;
        let peer = socket.peer();
        let transport = match &self.handshakes {
            None => Transport::Plain(socket),
            Some(handshakes) => match handshakes.accept(socket, self.time).await {
                Ok(stream) => {
                    self.metrics.handshake("ok");
                    Transport::Tls(Box::new(stream))
                }
                Err(refusal) => {
                    self.refuse(peer, &refusal);
                    return None;
                }
            },
        };
        let connection = tokio::time::timeout(self.time, Connection::begin(transport, count)).await.ok()??;
        if connection.is_misplaced_tls() {
            self.refuse(peer, &Refusal::tls_on_plain_text());
            return None;
        }
        Some(connection)
    }

    fn refuse(&self, peer: PeerAddress, refusal: &Refusal) {
        let (reason, remedy) = (refusal.reason.label(), refusal.reason.remedy());
        self.metrics.handshake(reason);
        self.refusals.connection_refused(refusal.reason);
        if refusal.reason == Reason::Closed {
            // Load balancers and scanners only connect.
            tracing::debug!(event = "connection_refused", %peer, reason, error = %refusal, "connection refused");
            return;
        }
        match self.lines.lock().unwrap_or_else(PoisonError::into_inner).next(refusal.reason, Instant::now()) {
            Some(0) => {
                tracing::warn!(event = "connection_refused", %peer, reason, error = %refusal, remedy, "connection refused");
            }
            Some(suppressed) => {
                tracing::warn!(event = "connection_refused", %peer, reason, error = %refusal, remedy, suppressed, "connection refused");
            }
            None => {}
        }
    }
}

impl Lines {
    /// Whether a line may be written, and the number of refusals for this reason since its last line.
    fn next(&mut self, reason: Reason, now: Instant) -> Option<u64> {
        let lines = self.0.get_mut(reason as usize)?;
        if lines.last.is_some_and(|last| now.duration_since(last) < LINE_INTERVAL) {
            lines.suppressed += 1;
            return None;
        }
        lines.last = Some(now);
        Some(std::mem::take(&mut lines.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_one_line_a_second_which_counts_those_before_it() {
        let (start, mut lines) = (Instant::now(), Lines::default());
        for reason in Reason::ALL {
            assert_eq!(lines.next(reason, start), Some(0), "{reason:?}");
        }
        let later = start + Duration::from_millis(999);
        assert_eq!([0; 7].map(|_| lines.next(Reason::Protocol, later)), [None; 7]);
        let next = start + Duration::from_secs(1);
        assert_eq!((lines.next(Reason::Protocol, next), lines.next(Reason::Protocol, next)), (Some(7), None));
        assert_eq!(lines.next(Reason::UnknownCa, next), Some(0));
    }
}
