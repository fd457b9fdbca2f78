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
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use crate::admin::{self, Admin, Ready};
use crate::budget::Budget;
use crate::config_file::{LoadError, Store};
use crate::incoming::Incoming;
use crate::metrics::Metrics;
use crate::process::service::Processor;

/// A peer that does not answer a ping this often, within this long, is gone: Envoy's host died, or the network did.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that a peer may cancel before we have accepted them. Envoy carries the requests of many clients on one
/// connection, so h2's default (20) would let one client's cancellations end it, and every request on it.
const MAX_RESETS: usize = 100_000;

/// What a stream may send unread, in bytes: a read of Envoy's at its usual buffer limit, with room.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What a connection may send unread. Streams that are not read must not starve those that are, so that this is no
/// limit in practice; the bound is [`STREAM_WINDOW`] times the streams.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// After its last stream a connection has this long to hand over what is written and to close. One on which nobody
/// ever spoke HTTP/2 would not close at all.
const QUIET: Duration = Duration::from_millis(500);

/// How often the drain counts the open streams.
const COUNT: Duration = Duration::from_millis(20);

/// The names under which health is reported: the whole server, and the one service Envoy calls.
const HEALTH_NAMES: [&str; 2] = ["", <Service as NamedService>::NAME];

type Service =
    envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer<Processor>;

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
    Grpc(#[source] tonic::transport::Error),
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
    let processor =
        Processor::new(Arc::clone(&store), budget.clone(), metrics.clone(), settings.decision_timeout, when_cut);
    let mut grpc = tokio::spawn(
        tonic::transport::Server::builder()
            .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
            .http2_max_local_error_reset_streams(Some(MAX_RESETS))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(settings.max_streams)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(processor.into_server(settings.max_message_bytes))
            .add_service(tonic_health::pb::health_server::HealthServer::new(HealthService::from_health_reporter(
                health.clone(),
            )))
            .serve_with_incoming_shutdown(Incoming::new(grpc), told(grpc_stopped)),
    );
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
    // To the end it has told how the drain goes.
    admin.abort();
    served?.map_err(ServeError::Grpc)
}

type Served = Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>;

/// Waits for the last stream, but no longer than this, and not beyond another signal. Then the others are cut off.
async fn drain(
    grpc: &mut JoinHandle<Result<(), tonic::transport::Error>>,
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
async fn closed(grpc: &mut JoinHandle<Result<(), tonic::transport::Error>>, metrics: &Metrics) -> Served {
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

async fn told(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it any reason to go on.
    let _stopped = stop.wait_for(|stop| *stop).await;
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
