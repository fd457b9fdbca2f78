//! A cell for tests: a backend that reports the requests that it receives.
//!
//! One port serves HTTP/1.1 and HTTP/2 without TLS. The response to an ordinary request is a JSON description of the
//! request ([`Seen::describe`]). A request with `Upgrade`, or a CONNECT, becomes a byte echo. A gRPC call is echoed
//! frame by frame with `grpc-status: 0` at the end. Methods of [`Cell`] make it fail, respond late or stop reading.

mod echo;
mod ledger;
mod seen;
mod service;
mod switches;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use seen::{Ending, Seen};
pub use switches::Reading;

use crate::{ports, wait};
use ledger::Ledger;
use switches::Switches;

/// The response header with the cell's name. It is also present if the response has no body.
pub const SERVED_BY: &str = "served-by";

/// A running cell. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Cell {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// The state that all connections of a cell share.
#[derive(Debug)]
struct Shared {
    name: String,
    ledger: Arc<Ledger>,
    switches: Switches,
}

impl Cell {
    /// Starts a cell on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(name: &str) -> Result<Self> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { name: name.to_owned(), ledger: Arc::default(), switches: Switches::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { name: name.to_owned(), address, shared, accepting })
    }

    /// The cell's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The received requests, oldest first, including those in progress. Only the first 10 000 are kept.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.ledger.all()
    }

    /// Takes the requests that have ended out of the record, so that a long run does not fill it. Oldest first.
    #[must_use]
    pub fn take_seen(&self) -> Vec<Seen> {
        self.shared.ledger.take_ended()
    }

    /// The number of requests that have reached it, complete or not.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.shared.ledger.arrived()
    }

    /// The number of requests that it has received completely.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.shared.ledger.ended(Ending::Complete)
    }

    /// The number of requests that ended before their last byte.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.shared.ledger.ended(Ending::Broken)
    }

    /// Waits until `count` requests have ended in this way.
    ///
    /// # Panics
    /// On a timeout.
    pub async fn wait_for(&self, ending: Ending, count: u64) {
        let what = format!("{count} {ending:?} requests at {}", self.name);
        let found = wait::until(&what, || async { Ok((self.shared.ledger.ended(ending) >= count).then_some(())) });
        found.await.unwrap_or_else(|error| panic!("{error}; there are {}", self.shared.ledger.ended(ending)));
    }

    /// Waits until `count` requests have reached it.
    ///
    /// # Panics
    /// On a timeout.
    pub async fn wait_for_arrivals(&self, count: u64) {
        let what = format!("{count} requests at {}", self.name);
        let reached = wait::until(&what, || async { Ok((self.arrived() >= count).then_some(())) });
        reached.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Responds to the next `count` requests with `status`, after reading them completely.
    pub fn fail_next(&self, count: u32, status: StatusCode) {
        self.shared.switches.fail_next(count, status);
    }

    /// Waits this long before each response.
    pub fn delay(&self, delay: Duration) {
        self.shared.switches.delay(delay);
    }

    /// Simulates a crash: closes the port and all connections.
    pub fn kill(&self) {
        self.accepting.abort();
    }

    /// Sets how bodies are read from now on.
    pub fn reading(&self, reading: Reading) {
        self.shared.switches.reading(reading);
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves until aborted. Aborting drops the set that owns the connections, and so closes them.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        connections.spawn(serve(socket, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    let _ = socket.set_nodelay(true);
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().enable_connect_protocol();
    let service = hyper::service::service_fn(move |request| service::answer(Arc::clone(&shared), request));
    // Some tests break connections on purpose. The ledger records that.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(socket), service).await;
}
