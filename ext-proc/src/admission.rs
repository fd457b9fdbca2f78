//! Admits connections: the TLS handshake, if there is TLS, and the HTTP/2 preface, each within a time. Refusals are counted
//! and logged.

use std::time::Duration;

use crate::connection::{Connection, Transport};
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::socket::PeerAddress;
use crate::tls::handshake::Handshakes;
use crate::tls::refusal::{Reason, Refusal};
use crate::workers::AcceptedConnection;

/// Admits connections. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    handshakes: Option<Handshakes>,
    /// How long a handshake may take, and how long the preface.
    time: Duration,
    metrics: Metrics,
    refusals: Refusals,
}

impl Admission {
    /// Admits TLS connections, or plain-text ones without `handshakes`.
    pub(crate) fn new(handshakes: Option<Handshakes>, time: Duration, metrics: Metrics, refusals: Refusals) -> Self {
        Self { handshakes, time, metrics, refusals }
    }

    /// The metrics in which handshakes count.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
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
        tracing::warn!(event = "connection_refused", %peer, reason, error = %refusal, remedy, "connection refused");
    }
}
