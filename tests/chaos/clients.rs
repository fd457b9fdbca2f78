//! The clients: one for each kind of request, which sends it again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cellgate_tests::client::{Http1, Http2, Request, Response};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::checks::{self, Outcome};
use crate::journal::Journal;
use crate::traffic::{Group, Kind, Protocol};

/// The least time between two requests of a client. Requests that the service decides cost more.
const PACE: [Duration; 2] = [Duration::from_millis(40), Duration::from_millis(80)];

/// A client gives up after this time. No fault makes a request last so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The part of an answer that a message shows.
const SHOWN: usize = 300;

/// Running clients. Dropping it stops them.
#[derive(Debug)]
pub(crate) struct Clients {
    _tasks: JoinSet<()>,
}

/// A connection that is kept between requests.
enum Connection {
    Http1(Http1),
    Http2(Http2),
}

impl Clients {
    /// Starts one client for each kind of the journal.
    pub(crate) fn start(address: SocketAddr, journal: &Arc<Journal>) -> Self {
        let mut tasks = JoinSet::new();
        for client in 0..journal.kinds().len() {
            tasks.spawn(send_again_and_again(client, address, Arc::clone(journal)));
        }
        Self { _tasks: tasks }
    }
}

async fn send_again_and_again(client: usize, address: SocketAddr, journal: Arc<Journal>) {
    let Some(kind) = journal.kinds().get(client) else { return };
    let [fast, slow] = PACE;
    let mut tick = tokio::time::interval(if kind.group == Group::Service { slow } else { fast });
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    for number in 0.. {
        tick.tick().await;
        let start = Instant::now();
        let request = kind.request(number);
        let sent = tokio::time::timeout(PATIENCE, send(kind, address, &mut connection, &request)).await;
        let (judged, shown) = match sent {
            Ok(answer) => (checks::answer(kind, number, &answer), show(&answer)),
            Err(_) => (Ok(Outcome::Late), format!("none within {} s", PATIENCE.as_secs())),
        };
        if judged != Ok(Outcome::Good) {
            connection = None;
        }
        journal.record(client, start, judged, &shown);
    }
}

/// Sends a request on the connection that is kept, or on a new one.
async fn send(kind: &Kind, address: SocketAddr, kept: &mut Option<Connection>, request: &Request) -> Result<Response> {
    let connection = match kept.take() {
        Some(connection) => connection,
        None if kind.protocol == Protocol::Http2 => Connection::Http2(Http2::connect(address).await?),
        None => Connection::Http1(Http1::connect(address).await?),
    };
    let connection = kept.insert(connection);
    let answer = match connection {
        Connection::Http1(connection) => connection.send(request).await,
        Connection::Http2(connection) => connection.send(request).await,
    };
    let answer = answer.context("the connection ended")?;
    // A refusal may come before the request is written completely.
    if !answer.status.is_success() || answer.header("connection") == Some("close") {
        *kept = None;
    }
    Ok(answer)
}

fn show(answer: &Result<Response>) -> String {
    match answer {
        Ok(answer) => {
            let text: String = answer.text().chars().take(SHOWN).collect();
            format!("{} {:?} {text}", answer.status, answer.headers)
        }
        Err(error) => format!("{error:#}"),
    }
}
