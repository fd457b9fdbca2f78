//! A cell: the backend that a request should reach, which tells what it received.
//!
//! One port speaks HTTP/1.1 and HTTP/2 without TLS. An ordinary request is answered with a JSON description of what
//! arrived ([`Seen::describe`]). A request with `Upgrade`, or a CONNECT, becomes a byte echo; a gRPC call is echoed
//! frame by frame with `grpc-status: 0` at the end. The switches of [`Cell`] make it fail, lag or stop reading.

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

/// The response header by which a cell says its name, also where there is no body to say it in.
pub const SERVED_BY: &str = "served-by";

/// A running cell. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Cell {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What every connection of a cell shares.
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests it has seen, oldest first, those in progress included. Only the first 10 000 are kept.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.ledger.all()
    }

    /// How many requests have reached it, in whatever state.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.shared.ledger.arrived()
    }

    /// How many requests it has received to the last byte.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.shared.ledger.ended(Ending::Complete)
    }

    /// How many requests ended before their last byte.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.shared.ledger.ended(Ending::Broken)
    }

    /// Waits until `count` requests have ended as told.
    ///
    /// # Panics
    /// When they do not in time.
    pub async fn wait_for(&self, ending: Ending, count: u64) {
        let what = format!("{count} {ending:?} requests at {}", self.name);
        let found = wait::until(&what, || async { Ok((self.shared.ledger.ended(ending) >= count).then_some(())) });
        found.await.unwrap_or_else(|error| panic!("{error}; there are {}", self.shared.ledger.ended(ending)));
    }

    /// Waits until `count` requests have reached it.
    ///
    /// # Panics
    /// When they do not in time.
    pub async fn wait_for_arrivals(&self, count: u64) {
        let what = format!("{count} requests at {}", self.name);
        let reached = wait::until(&what, || async { Ok((self.arrived() >= count).then_some(())) });
        reached.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Answers the next `count` requests with `status`, after reading them whole.
    pub fn fail_next(&self, count: u32, status: StatusCode) {
        self.shared.switches.fail_next(count, status);
    }

    /// Waits this long before each answer.
    pub fn delay(&self, delay: Duration) {
        self.shared.switches.delay(delay);
    }

    /// Ends it as a crash does: its port is closed, and so are its connections.
    pub fn kill(&self) {
        self.accepting.abort();
    }

    /// Chooses how bodies are read from now on.
    pub fn reading(&self, reading: Reading) {
        self.shared.switches.reading(reading);
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves until aborted; the connections end with it, because the set that owns them is dropped.
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
    // A connection that breaks is what some tests are about; the ledger has it.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(socket), service).await;
}
