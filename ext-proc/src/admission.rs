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

/// Lines about refusals in one second, at most. A client that retries without end must not fill the log.
const MAX_LINES: u32 = 50;

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

/// The log lines in a second.
#[derive(Debug)]
struct Lines {
    since: Instant,
    written: u32,
    suppressed: u64,
}

impl Admission {
    /// Admits TLS connections, or plain-text ones without `handshakes`.
    pub(crate) fn new(handshakes: Option<Handshakes>, time: Duration, metrics: Metrics, refusals: Refusals) -> Self {
        let lines = Lines { since: Instant::now(), written: 0, suppressed: 0 };
        Self { handshakes, time, metrics, refusals, lines: Arc::new(Mutex::new(lines)) }
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
        match self.lines.lock().unwrap_or_else(PoisonError::into_inner).next(Instant::now()) {
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
    /// Whether a line may be written, and the number of lines that were suppressed before it.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.written) = (now, 0);
        }
        if self.written >= MAX_LINES {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_one_names_the_rest() {
        let since = Instant::now();
        let mut lines = Lines { since, written: 0, suppressed: 0 };
        let written = (0..MAX_LINES + 7).filter(|_| lines.next(since) == Some(0)).count();
        assert_eq!(written, MAX_LINES as usize);
        let later = since + Duration::from_secs(1);
        assert_eq!((lines.next(later), lines.next(later)), (Some(7), Some(0)));
    }
}
