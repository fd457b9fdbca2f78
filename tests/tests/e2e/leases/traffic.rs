//! Traffic at a steady rate.

use std::net::SocketAddr;
use std::time::Duration;

use cellgate_tests::client::{Http1, Request};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The connections of a client.
const CONNECTIONS: u32 = 10;

/// The statuses of all answers, in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(pub(super) Vec<u16>);

impl Tally {
    pub(super) fn count(&self, status: u16) -> usize {
        self.0.iter().filter(|found| **found == status).count()
    }

    /// All have this status.
    pub(super) fn are_all(&self, status: u16) -> bool {
        self.count(status) == self.0.len()
    }
}

/// Sends requests at a rate for a time. A slow answer makes a connection send less, and never more.
pub(super) async fn send(address: SocketAddr, request: &Request, per_second: u32, time: Duration) -> Tally {
    let connections = CONNECTIONS.min(per_second);
    let period = Duration::from_secs(1) * connections / per_second;
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for number in 0..connections {
        let request = request.clone();
        clients.spawn(async move {
            let mut ticks = tokio::time::interval_at(Instant::now() + period * number / connections, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut connection = Http1::connect(address).await.unwrap();
            let mut statuses = Vec::new();
            while ticks.tick().await < end {
                let answer = connection.send(&request).await.unwrap();
                statuses.push(answer.status.as_u16());
                if answer.header("connection") == Some("close") {
                    connection = Http1::connect(address).await.unwrap();
                }
            }
            statuses
        });
    }
    Tally(clients.join_all().await.concat())
}

/// Reads a value from time to time, until a task ends. Returns the task's result and the highest value.
pub(super) async fn watch<T, V: Ord + Default>(task: impl Future<Output = T>, read: impl AsyncFn() -> V) -> (T, V) {
    let mut highest = V::default();
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(task);
    loop {
        tokio::select! {
            result = &mut task => return (result, highest),
            _ = ticks.tick() => highest = highest.max(read().await),
        }
    }
}
