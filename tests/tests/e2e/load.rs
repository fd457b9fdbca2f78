//! Requests of several clients without a pause, while a test changes something.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::{sha256, wait};
use tokio::task::JoinSet;

/// A body that clients send, and the cell that must get it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) body: String,
    /// In how many pieces, without a Content-Length; 1 is whole, with one.
    pub(crate) pieces: usize,
    pub(crate) cell: &'static str,
}

/// Running clients. Dropping it stops them.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: JoinSet<Vec<String>>,
}

impl Load {
    /// Starts two clients for each kind of request: one that keeps its connection, and one that does not.
    pub(crate) fn start(address: SocketAddr, kinds: &[Sent]) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut clients = JoinSet::new();
        for kind in kinds {
            for keeps in [false, true] {
                clients.spawn(run(address, keeps, kind.clone(), Arc::clone(&stop), Arc::clone(&answered)));
            }
        }
        Self { stop, answered, clients }
    }

    /// The requests that were answered so far, rightly or not.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for this many more answers.
    pub(crate) async fn more(&self, count: u64) {
        let goal = self.answered() + count;
        let reached = || async { Ok((self.answered() >= goal).then_some(())) };
        wait::until(&format!("{count} more answers"), reached).await.unwrap();
    }

    /// Stops each client after its request. Returns what was wrong with the answers.
    pub(crate) async fn failures(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            failures.extend(client.unwrap());
        }
        failures
    }
}

async fn run(
    address: SocketAddr,
    keeps: bool,
    sent: Sent,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> Vec<String> {
    let sum = sha256(sent.body.as_bytes());
    let request = request(&sent);
    let mut connection = None;
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let answer = send(address, &mut connection, &request).await;
        answered.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(answer) if answer.served_by() == Some(sent.cell) && answer.sha256() == sum => {
                let is_kept = keeps && answer.header("connection") != Some("close");
                connection = connection.filter(|_| is_kept);
            }
            Ok(answer) => {
                connection = None;
                failures.push(format!("{} by {:?}: {}", answer.status, answer.served_by(), answer.text()));
            }
            Err(error) => {
                connection = None;
                failures.push(format!("{error:#}"));
            }
        }
    }
    failures
}

fn request(sent: &Sent) -> Request {
    let request = Request::post("/");
    match sent.pieces {
        1 => request.json(sent.body.clone()),
        count => {
            let pieces = sent.body.as_bytes().chunks(sent.body.len().div_ceil(count)).map(<[u8]>::to_vec);
            request.header("content-type", "application/json").pieces(pieces)
        }
    }
}

async fn send(address: SocketAddr, kept: &mut Option<Http1>, request: &Request) -> anyhow::Result<Response> {
    if kept.is_none() {
        *kept = Some(Http1::connect(address).await?);
    }
    match kept {
        Some(connection) => connection.send(request).await,
        None => anyhow::bail!("there is no connection"),
    }
}
