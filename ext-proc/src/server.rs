//! Everything that runs, from bound ports to the end of the drain.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::admin::{self, Admin, Ready};
use crate::budget::Budget;
use crate::config_file::{LoadError, Store};
use crate::connections::{self, Limits, Services};
use crate::metrics::Metrics;
use crate::process::service::{self, Processor};

/// After its last stream a connection has this long to hand over what is written and to close. One on which nobody
/// ever spoke HTTP/2 would not close at all.
const QUIET: Duration = Duration::from_millis(500);

/// How often the drain counts the open streams.
const COUNT: Duration = Duration::from_millis(20);

/// The largest request for our health, in bytes: a name.
const MAX_HEALTH_MESSAGE: usize = 1024;

/// The names under which health is reported: the whole server, and the one service Envoy calls.
const HEALTH_NAMES: [&str; 2] = ["", service::NAME];

/// How to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration file.
    pub config: PathBuf,
    /// From a request's first message to its decision, at most.
    pub decision_timeout: Duration,
    /// Ready no more, but still accepting, for this long: until the load balancers have noticed.
    pub drain_delay: Duration,
    /// What is still in flight after this long is cut off.
    pub drain_timeout: Duration,
    /// Body bytes held back by all requests together, at most.
    pub max_held_bytes: u64,
    /// The largest message from Envoy.
    pub max_message_bytes: usize,
    /// Streams, that is requests, on one connection at a time.
    pub max_streams: u32,
    /// A connection on which nobody has begun to speak HTTP/2 for this long is closed.
    pub silence: Duration,
}

/// Why it does not run, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no good configuration to begin with.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// A metric cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The gRPC port failed.
    #[error("gRPC port: {0}")]
    Grpc(#[source] io::Error),
    /// A task ended in a panic, or was cancelled.
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A bound socket has no address.
    #[error("listener: {0}")]
    Listener(#[source] io::Error),
}

/// Serves on two bound ports until the first message in `signals`, or their end, then drains. The second message ends
/// the drain at once.
///
/// # Errors
/// See [`ServeError`]. Streams that outlast the drain are cut off, which is no error.
pub async fn serve(
    grpc: TcpListener,
    admin: TcpListener,
    settings: Settings,
    mut signals: mpsc::Receiver<()>,
) -> Result<(), ServeError> {
    let health = HealthReporter::new();
    report(&health, ServingStatus::NotServing).await;
    let metrics = Metrics::new()?;
    let budget = Budget::new(settings.max_held_bytes);
    let store = Arc::new(Store::open(&settings.config, metrics.clone())?);
    let ready = Ready::default();

    let addresses = (address(&grpc)?, address(&admin)?);
    let (stop_grpc, grpc_stopped) = watch::channel(false);
    let (cut, when_cut) = watch::channel(false);
    let processor = Processor::new(
        Arc::clone(&store),
        budget.clone(),
        metrics.clone(),
        settings.decision_timeout,
        settings.max_message_bytes,
        when_cut,
    );
    let supervising = tokio::spawn(processor.clone().supervise());
    let health_service = HealthServer::new(HealthService::from_health_reporter(health.clone()))
        .max_decoding_message_size(MAX_HEALTH_MESSAGE);
    let services = Services { processor, health: health_service };
    let limits = Limits { max_streams: settings.max_streams, silence: settings.silence };
    let mut grpc = tokio::spawn(connections::serve(grpc, services, limits, grpc_stopped));
    let routes =
        admin::routes(Admin { store: Arc::clone(&store), metrics: metrics.clone(), budget, ready: ready.clone() });
    let admin = tokio::spawn(axum::serve(admin, routes).into_future());
    let watching = tokio::spawn(Arc::clone(&store).watch());

    report(&health, ServingStatus::Serving).await;
    ready.set(true);
    let version = store.router().config().version.clone();
    tracing::info!(event = "listening", grpc = %addresses.0, admin = %addresses.1, %version, "listening");

    let ended = tokio::select! {
        ended = &mut grpc => Some(ended),
        _ = signals.recv() => None,
    };
    tracing::info!(event = "draining", timeout = ?settings.drain_timeout, "draining");
    ready.set(false);
    report(&health, ServingStatus::NotServing).await;
    let served = match ended {
        Some(ended) => ended,
        None => {
            let timeout = tokio::select! {
                () = tokio::time::sleep(settings.drain_delay) => settings.drain_timeout,
                () = again(&mut signals) => Duration::ZERO,
            };
            stop_grpc.send_replace(true);
            // Watchers of our health would keep the server open; their streams end with their names.
            forget(&health).await;
            drain(&mut grpc, &metrics, timeout, &mut signals, &cut).await
        }
    };
    watching.abort();
    supervising.abort();
    // Closes the connections that are left.
    grpc.abort();
    // To the end it has told how the drain goes.
    admin.abort();
    served?.map_err(ServeError::Grpc)
}

type Served = Result<io::Result<()>, tokio::task::JoinError>;

/// Waits for the last stream, but no longer than this, and not beyond another signal. Then the others are cut off.
async fn drain(
    grpc: &mut JoinHandle<io::Result<()>>,
    metrics: &Metrics,
    timeout: Duration,
    signals: &mut mpsc::Receiver<()>,
    cut: &watch::Sender<bool>,
) -> Served {
    let drained = tokio::select! {
        served = closed(grpc, metrics) => Some(served),
        () = tokio::time::sleep(timeout) => None,
        () = again(signals) => None,
    };
    if let Some(served) = drained {
        tracing::info!(event = "drained", "drained");
        return served;
    }
    tracing::warn!(event = "drain_timeout", streams = metrics.open_streams(), "streams in flight are cut off");
    cut.send_replace(true);
    // Their error statuses are on their way. A peer that does not read them finds its connection closed.
    tokio::time::timeout(2 * QUIET, closed(grpc, metrics)).await.unwrap_or(Ok(Ok(())))
}

/// Waits until the server has closed all connections, or has had no stream for a while.
async fn closed(grpc: &mut JoinHandle<io::Result<()>>, metrics: &Metrics) -> Served {
    let mut count = tokio::time::interval(COUNT);
    count.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut since = None;
    loop {
        tokio::select! {
            served = &mut *grpc => return served,
            now = count.tick() => {
                since = if metrics.open_streams() == 0 { since.or(Some(now)) } else { None };
                if since.is_some_and(|since| now.duration_since(since) >= QUIET) {
                    return Ok(Ok(()));
                }
            }
        }
    }
}

/// Waits for another signal. Their end is none.
async fn again(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        std::future::pending().await
    }
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(name, status).await;
    }
}

async fn forget(health: &HealthReporter) {
    let mut health = health.clone();
    for name in HEALTH_NAMES {
        health.clear_service_status(name).await;
    }
}

fn address(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(ServeError::Listener)
}
