//! A closed-loop client: each of a few keep-alive connections sends the next request when it has the response. It
//! checks every response. It reuses as much of a request as possible, because it shares the machine with the proxy.

mod http1;
mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use cellgate_tests::wait;
use tokio::task::JoinSet;

use crate::exchange::{Answer, Exchange, Protocol};

/// The number of connections to each proxy.
pub(crate) const CONNECTIONS: usize = 8;

/// The largest response of a cell, head and body.
const MAX_RESPONSE: usize = 64 * 1024;

/// The connections to one proxy. A failed connection is replaced.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    protocol: Protocol,
    connections: Vec<Connection>,
}

#[derive(Debug)]
enum Connection {
    Http1(http1::Http1Connection),
    Http2(http2::Http2Connection),
}

impl Client {
    /// Opens the connections.
    ///
    /// # Errors
    /// When the proxy does not accept a connection.
    pub(crate) async fn connect(address: SocketAddr, protocol: Protocol, count: usize) -> Result<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(address, protocol).await?);
        }
        Ok(Self { address, protocol, connections })
    }

    /// Sends `count` requests over all connections at once, taking the exchanges in turn.
    ///
    /// # Errors
    /// At the first response that is not the expected one. All connections are then replaced.
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
                    // The other connections stop after their current response.
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
    /// When there is no response.
    pub(crate) async fn once(&self, exchange: &Exchange) -> Result<Answer> {
        Connection::open(self.address, self.protocol).await?.exchange(exchange).await
    }
}

impl Connection {
    async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self> {
        Ok(match protocol {
            Protocol::Http1 => Self::Http1(http1::Http1Connection::open(address).await?),
            Protocol::Http2 => Self::Http2(http2::Http2Connection::open(address).await?),
        })
    }

    /// Sends requests until `count` have been sent over all connections.
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

#[cfg(test)]
mod tests;
