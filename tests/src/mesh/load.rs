//! Continuous requests from several clients while a test changes something.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::gateway::Gateway;
use crate::client::{Http1, Request, Response};
use crate::wait;

/// A request and the cell that must receive it.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The request.
    pub request: Request,
    /// The cell.
    pub cell: &'static str,
}

/// Running clients. Dropping it stops them.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: JoinSet<Tally>,
}

/// The results of the clients.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The number of sent requests.
    pub sent: u64,
    /// The wrong results, with their counts.
    pub wrong: BTreeMap<String, u64>,
}

impl Load {
    /// Starts two clients for each kind of request. One opens a connection for each request. The other keeps its
    /// connection until the gateway announces that it will close it, as in a drain.
    #[must_use]
    pub fn start(gateway: &Gateway, kinds: &[Expected]) -> Self {
        let (stop, sent) = (Arc::default(), Arc::default());
        let mut clients = JoinSet::new();
        for expected in kinds {
            for keeps in [false, true] {
                let client = Client { address: gateway.address(), keeps, connection: None };
                clients.spawn(client.run(expected.clone(), Arc::clone(&stop), Arc::clone(&sent)));
            }
        }
        Self { stop, sent, clients }
    }

    /// Waits for `count` more responses, so that requests have met the current state.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn more(&self, count: u64) -> Result<()> {
        let goal = self.sent.load(Ordering::Relaxed) + count;
        let reached = || async { Ok((self.sent.load(Ordering::Relaxed) >= goal).then_some(())) };
        wait::until(&format!("{count} more answers"), reached).await
    }

    /// Stops each client after its current request.
    pub async fn finish(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        while let Some(tally) = self.clients.join_next().await {
            let tally = tally.unwrap_or_else(|error| panic!("a client ended: {error}"));
            all.sent += tally.sent;
            for (what, count) in tally.wrong {
                *all.wrong.entry(what).or_default() += count;
            }
        }
        all
    }
}

impl Tally {
    /// Fails unless every request reached its cell.
    ///
    /// # Errors
    /// See above.
    pub fn must_be_right(&self) -> Result<()> {
        ensure!(self.wrong.is_empty(), "of {} requests went wrong: {:#?}", self.sent, self.wrong);
        ensure!(self.sent > 0, "no request was sent");
        Ok(())
    }
}

struct Client {
    address: SocketAddr,
    keeps: bool,
    connection: Option<Http1>,
}

impl Client {
    async fn run(mut self, expected: Expected, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> Tally {
        let mut tally = Tally::default();
        while !stop.load(Ordering::Relaxed) {
            let answer = self.send(&expected.request).await;
            tally.sent += 1;
            sent.fetch_add(1, Ordering::Relaxed);
            let wrong = match answer {
                Ok(answer) if answer.served_by() == Some(expected.cell) => continue,
                Ok(answer) => format!("{} by {:?}: {}", answer.status, answer.served_by(), answer.text()),
                Err(error) => format!("{error:#}"),
            };
            *tally.wrong.entry(wrong).or_default() += 1;
        }
        tally
    }

    async fn send(&mut self, request: &Request) -> Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Http1::connect(self.address).await?,
        };
        let answer = connection.send(request).await?;
        self.connection = Some(connection).filter(|_| self.keeps && answer.header("connection") != Some("close"));
        Ok(answer)
    }
}
