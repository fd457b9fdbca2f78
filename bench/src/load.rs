//! A closed-loop HTTP/1.1 client: a few keep-alive connections, the next request as soon as the answer is there, every
//! answer checked. Requests are made beforehand, so that the client is cheap: it shares the machine with what it
//! measures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use cellgate_tests::wait;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The largest response, head and body, that a cell gives.
const MAX_RESPONSE: usize = 64 * 1024;

/// A request, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Head and body as they go over the wire.
    pub(crate) request: Bytes,
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

/// Connections to one Envoy. One that fails is gone.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    received: BytesMut,
}

/// One answer.
struct Answer {
    status: u16,
    body: Bytes,
}

impl Client {
    /// Opens the connections.
    ///
    /// # Errors
    /// When Envoy does not accept them.
    pub(crate) async fn connect(address: SocketAddr, count: usize) -> Result<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(address).await?);
        }
        Ok(Self { address, connections })
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
            self.connections.push(Connection::open(self.address).await?);
        }
        outcome
    }
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, received: BytesMut::with_capacity(MAX_RESPONSE) })
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
            let answer = wait::within("an answer", self.exchange(&exchange.request)).await?;
            exchange.expectation.check(&answer)?;
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.socket.write_all(request).await.context("sending a request")?;
        loop {
            if let Some((answer, length)) = parse(&self.received)? {
                let _ = self.received.split_to(length);
                return Ok(answer);
            }
            self.received.reserve(4096);
            let read = self.socket.read_buf(&mut self.received).await.context("reading an answer")?;
            ensure!(read > 0, "the connection was closed in the middle of an answer");
        }
    }
}

impl Expectation {
    fn check(&self, answer: &Answer) -> Result<()> {
        let text = || String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == 200, "status {}: {}", answer.status, text());
        let seen: Value = serde_json::from_slice(&answer.body).with_context(text)?;
        let field = |name: &str| seen.get(name).unwrap_or(&Value::Null);
        let (cell, bytes, hash) = (field("cell"), field("body_bytes"), field("sha256"));
        ensure!(*cell == *self.cell, "{} received what was for {}", cell, self.cell);
        ensure!(*bytes == self.body_bytes, "{bytes} of {} bytes arrived", self.body_bytes);
        ensure!(*hash == *self.sha256, "the body arrived changed");
        Ok(())
    }
}

/// A whole response at the start of `received` and its length; `None` while a part is missing. Understands what Envoy
/// sends in this benchmark: a Content-Length, no chunks.
fn parse(received: &[u8]) -> Result<Option<(Answer, usize)>> {
    let Some(head_end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(received.len() <= MAX_RESPONSE, "a response head without an end");
        return Ok(None);
    };
    let (head, rest) = received.split_at(head_end + 4);
    let head = str::from_utf8(head).context("a response head")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let Some(status) = status else { bail!("not a response: {head:?}") };
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.with_context(|| format!("no Content-Length: {head:?}"))?;
    ensure!(length <= MAX_RESPONSE, "a response of {length} bytes");
    let answer = rest.get(..length).map(|body| Answer { status, body: Bytes::copy_from_slice(body) });
    Ok(answer.map(|answer| (answer, head.len() + length)))
}

#[cfg(test)]
mod tests;
