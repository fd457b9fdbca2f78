//! Handshakes: each with a deadline, and not too many at a time.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::refusal::Refusal;
use super::store::TlsStore;
use super::turns::Turns;
use crate::socket::Socket;

/// Handshakes at a time, in the whole process. Each one may buffer 64 KiB. Further ones wait for their turn, and a client
/// that sends nothing takes none.
const MAX_HANDSHAKES: usize = 256;

/// Accepts TLS connections. Clones share the limit.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    store: Arc<TlsStore>,
    turns: Turns,
}

impl Handshakes {
    /// Uses the files of a store.
    pub(crate) fn new(store: Arc<TlsStore>) -> Self {
        Self { store, turns: Turns::new(MAX_HANDSHAKES) }
    }

    /// Accepts TLS on a connection, within a time that starts now.
    pub(crate) async fn accept(&self, socket: Socket, time: std::time::Duration) -> Result<TlsStream<Socket>, Refusal> {
        let handshake = async {
            socket.readable().await.map_err(|error| Refusal::of(&error))?;
            let mut turn = self.turns.take().await;
            tokio::select! {
                biased;
                accepted = TlsAcceptor::from(self.store.config()).accept(socket) => {
                    accepted.map_err(|error| Refusal::of(&error))
                }
                () = turn.ended() => Err(Refusal::crowded_out()),
            }
        };
        tokio::time::timeout(time, handshake).await.unwrap_or_else(|_| Err(Refusal::late()))
    }
}
