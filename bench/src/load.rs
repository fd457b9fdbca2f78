//! A closed-loop client: a few keep-alive connections, the next request as soon as the answer is there, every answer
//! checked. It makes as little of a request anew as it can: it shares the machine with what it measures.

mod http1;
mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use cellgate_tests::wait;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cases::{Delivery, Protocol};

/// The path of every request.
const PATH: &str = "/api/orders";

/// The largest response, head and body, that a cell gives.
const MAX_RESPONSE: usize = 64 * 1024;

/// A request, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The body.
    pub(crate) body: Bytes,
    /// How it is sent.
    pub(crate) delivery: Delivery,
    /// The header that names the cell or the tenant, if one does.
    pub(crate) routing: Option<(&'static str, String)>,
    /// The only good answer.
    pub(crate) expectation: Expectation,
}

/// What the cell must say that it received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The cell that answers.
    pub(crate) cell: String,
    /// The length of the body that reached it.
    pub(crate) body_bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: Bytes,
}

/// Connections to one proxy. One that fails is replaced.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    protocol: Protocol,
    connections: Vec<Connection>,
}

#[derive(Debug)]
enum Connection {
    Http1(http1::Connection),
    Http2(http2::Connection),
}

impl Client {
    /// Opens the connections.
    ///
    /// # Errors
    /// When the proxy does not accept them.
    pub(crate) async fn connect(address: SocketAddr, protocol: Protocol, count: usize) -> Result<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(address, protocol).await?);
        }
        Ok(Self { address, protocol, connections })
    }

    /// Sends `count` requests, the exchanges in turn, over all connections at once.
    ///
    /// # Errors
    /// At the first answer that is not the expected one. The connections are then new ones.
    pub(crate) async fn run(&mut self, exchanges: &Arc<[Exchange]>, count: usize) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let wanted = self.connections.len();
        let mut tasks = JoinSet::new();
        for connection in self.connections.drain(..) {
            tasks.spawn(connection.work(Arc::clone(exchanges), Arc::clone(&next), count));
        }
        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            match ended? {
                Ok(connection) => self.connections.push(connection),
                Err(error) => {
                    // The others stop after the answer they wait for.
                    next.store(count, Ordering::Relaxed);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        while self.connections.len() < wanted {
            self.connections.push(Connection::open(self.address, self.protocol).await?);
        }
        outcome
    }

    /// Sends one request over a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn once(&self, exchange: &Exchange) -> Result<Answer> {
        Connection::open(self.address, self.protocol).await?.exchange(exchange).await
    }
}

impl Connection {
    async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self> {
        Ok(match protocol {
            Protocol::Http1 => Self::Http1(http1::Connection::open(address).await?),
            Protocol::Http2 => Self::Http2(http2::Connection::open(address).await?),
        })
    }

    /// Takes the next request's number, until all are taken.
    async fn work(mut self, exchanges: Arc<[Exchange]>, next: Arc<AtomicUsize>, count: usize) -> Result<Self> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(self);
            }
            let exchange = number.checked_rem(exchanges.len()).and_then(|index| exchanges.get(index));
            let exchange = exchange.context("no exchanges")?;
            exchange.expectation.check(&self.exchange(exchange).await?)?;
        }
    }

    async fn exchange(&mut self, exchange: &Exchange) -> Result<Answer> {
        let answer = async {
            match self {
                Self::Http1(connection) => connection.exchange(exchange).await,
                Self::Http2(connection) => connection.exchange(exchange).await,
            }
        };
        wait::within("an answer", answer).await
    }
}

impl Answer {
    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Status and body, in one line.
    pub(crate) fn summary(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        format!("{} {}", self.status, text.replace(['\n', '\r'], " "))
    }
}

impl Expectation {
    /// Whether this is the answer that is wanted.
    ///
    /// # Errors
    /// When it is not, with what is wrong about it.
    pub(crate) fn check(&self, answer: &Answer) -> Result<()> {
        let Ok(seen) = serde_json::from_slice::<Value>(&answer.body) else {
            bail!("no cell answered, but what stands before it: {}", answer.summary());
        };
        let field = |name: &str| seen.get(name).unwrap_or(&Value::Null);
        let (cell, bytes, hash) = (field("cell"), field("body_bytes"), field("sha256"));
        ensure!(cell.is_string(), "no cell answered, but what stands before it: {}", answer.summary());
        ensure!(answer.status == 200, "a cell answered {}", answer.summary());
        ensure!(*cell == *self.cell, "{} received what was for {}", cell, self.cell);
        ensure!(*bytes == self.body_bytes, "{bytes} of {} bytes arrived", self.body_bytes);
        ensure!(*hash == *self.sha256, "the body arrived changed");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
