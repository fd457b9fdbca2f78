//! The task that keeps a link connected.

use std::sync::Arc;
use std::time::Duration;

use cellgate_limiting::{Charge, Enforcement, KeyHasher, Limit, LimitId, Rate};
use redis::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Link;
use super::breakers::Breakers;
use super::live::{End, Live};
use crate::backoff::Backoff;
use crate::connect::{CONNECT_TIMEOUT, ConnectError, Connection, addresses, explain};
use crate::failure::StoreFailure;
use crate::health::{StoreHealth, StoreState};
use crate::keys::Keys;
use crate::script::{Call, Carried, decision};
use crate::settings::{Atomicity, Topology};
use crate::stats::add;

/// How often a probe asks a store that answers.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A connection that has answered for so long begins the pauses anew. So a store that comes and goes is asked less and
/// less often.
const STABLE: Duration = Duration::from_secs(10);

/// Keeps the link connected. It ends only when its task is aborted: a panic in the client of Redis must not leave the
/// limits without a store for ever.
pub(crate) async fn supervise(link: Arc<Link>) {
    loop {
        // Aborted with this task.
        let mut task = JoinSet::new();
        task.spawn(keep_connected(Arc::clone(&link)));
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                link.live.store(None);
                link.set_unavailable(format!("{} caused a panic: please report it", addresses(&link.settings)));
                tokio::time::sleep(HEARTBEAT).await;
            }
            _ => return,
        }
    }
}

async fn keep_connected(link: Arc<Link>) {
    let mut backoff = Backoff::new();
    loop {
        match connect(&link).await {
            Ok(live) => {
                let since = Instant::now();
                let cause = serve(&link, live).await;
                if since.elapsed() >= STABLE {
                    backoff.reset();
                }
                link.set_unavailable(format!("{} {cause}", addresses(&link.settings)));
            }
            Err(reason) => link.set_unavailable(reason),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Connects, and probes once.
async fn connect(link: &Link) -> Result<Arc<Live>, String> {
    let settings = &link.settings;
    let end = Arc::new(End::default());
    let on_end = {
        let end = Arc::clone(&end);
        move || end.come(StoreFailure::Connection("it ended".to_owned()))
    };
    let connection = Connection::open(settings, on_end).await.map_err(|error| error.to_string())?;
    let breakers = breakers(link, &connection).await;
    let live = Live::new(connection, breakers, end);
    let mut failed = None;
    for key in live.breakers.probes() {
        if let Err(reason) = first_probe(link, &live, key).await {
            live.breakers.open_at(live.breakers.part_of(key));
            failed = failed.or(Some(reason));
        }
    }
    let (open, parts) = live.breakers.open();
    match failed {
        Some(reason) if open == parts => Err(reason),
        _ => Ok(Arc::new(live)),
    }
}

/// One circuit breaker, or one for each primary.
async fn breakers(link: &Link, connection: &Connection) -> Breakers {
    let keys = Keys::new(&link.settings);
    let max_failures = link.settings.max_failures;
    if link.settings.topology != Topology::Cluster(Atomicity::Key) {
        return Breakers::one(keys.probe(0), max_failures);
    }
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    let reply = match timeout(CONNECT_TIMEOUT, connection.run(&slots)).await {
        Ok(Ok(reply)) => reply,
        _ => Value::Nil,
    };
    Breakers::of_cluster(&reply, |number| keys.probe(number), max_failures)
}

/// The first call brings the script to the server, which may take longer than the deadline. The second must not.
async fn first_probe(link: &Link, live: &Live, key: &str) -> Result<(), String> {
    let settings = &link.settings;
    let address = addresses(settings);
    let probe = Probe::new(key);
    match timeout(CONNECT_TIMEOUT, live.run(&probe.call)).await {
        Err(_) => Err(ConnectError::Timeout { address }.to_string()),
        Ok(Err(error)) => Err(explain(address, settings, &error).to_string()),
        Ok(Ok(_)) => probe.ask(live, settings.deadline).await.map_err(|failure| format!("{address} {failure}")),
    }
}

/// Gives requests the connection until it is closed, and returns why it was.
async fn serve(link: &Link, live: Arc<Live>) -> StoreFailure {
    link.live.store(Some(Arc::clone(&live)));
    link.set_available(&live);
    let heartbeat = async {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            for key in live.breakers.probes() {
                // A failure counts.
                let _ = Probe::new(key).ask(&live, link.settings.deadline).await;
            }
            link.set_available(&live);
        }
    };
    let cause = tokio::select! {
        cause = live.closed() => cause,
        () = heartbeat => StoreFailure::Unavailable,
    };
    link.live.store(None);
    cause
}

/// A charge of a key that no limit has: it needs all that a request needs.
struct Probe {
    charge: Carried,
    call: Call,
}

impl Probe {
    fn new(key: &str) -> Self {
        let limit = Limit::of(Rate::HIGHEST);
        let limit_key = KeyHasher::new([0; 16]).key("probe", []);
        let charge = Charge { id: LimitId(u16::MAX), key: limit_key, limit, cost: 1, enforcement: Enforcement::Shadow };
        let charge = Carried { charge, units: 0 };
        Self { charge, call: Call::charge(&[charge], vec![key.to_owned()]) }
    }

    async fn ask(&self, live: &Live, deadline: Duration) -> Result<(), StoreFailure> {
        let read = |value| decision(&[self.charge], value).map(|_| ());
        live.probe(&self.call, Instant::now() + deadline, read).await
    }
}

impl Link {
    /// One line for each switch.
    fn set_available(&self, live: &Live) {
        let state = match live.breakers.open() {
            (0, _) => StoreState::Available,
            (failed, primaries) => StoreState::Degraded { failed, primaries },
        };
        let before = self.health.borrow().clone();
        if before.state == state || !live.is_open() {
            return;
        }
        let address = addresses(&self.settings);
        let seconds = before.since.elapsed().as_secs_f64();
        match (&before.state, &state) {
            (_, StoreState::Degraded { failed, primaries }) => {
                add(&self.counters.opens, 1);
                tracing::warn!(
                    event = "limit_store_degraded",
                    store = address,
                    failed,
                    primaries,
                    "primaries of the store of rate limits do not answer"
                );
            }
            (StoreState::Unavailable { .. } | StoreState::Degraded { .. }, _) => {
                tracing::info!(
                    event = "limit_store_available",
                    store = address,
                    seconds,
                    "the store of rate limits answers again"
                );
            }
            _ => tracing::info!(event = "limit_store_available", store = address, "the store of rate limits answers"),
        }
        if !matches!(before.state, StoreState::Available) {
            add(&self.counters.closes, 1);
        }
        self.health.send_replace(StoreHealth::now(state));
    }

    /// One line for each switch, and one for each new reason.
    fn set_unavailable(&self, reason: String) {
        let before = self.health.borrow().clone();
        let address = addresses(&self.settings);
        let since = match &before.state {
            StoreState::Unavailable { reason: same } if *same == reason => return,
            StoreState::Unavailable { .. } => before.since,
            StoreState::Available | StoreState::Degraded { .. } => {
                add(&self.counters.opens, 1);
                Instant::now()
            }
            StoreState::Connecting | StoreState::Embedded => Instant::now(),
        };
        tracing::warn!(
            event = "limit_store_unavailable",
            store = address,
            reason,
            "the store of rate limits is unavailable: limits follow when_store_fails"
        );
        self.health.send_replace(StoreHealth { state: StoreState::Unavailable { reason }, since });
    }
}
