//! The running service, from bound ports to the end of the drain.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cellgate_limit_store::BadSettings;
use cellgate_limiting::KeyHasher;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::admin::token::{AdminToken, TokenError};
use crate::admin::{self, Admin};
use crate::admission::Admission;
use crate::budget::Budget;
use crate::config_file::{LoadError, Store};
use crate::connections::{self, Services};
use crate::inspection::ServiceLimits;
use crate::limiter::{LimitStoreSettings, Limiter};
use crate::listen::Listener;
use crate::logging::Logging;
use crate::metrics::Metrics;
use crate::process::service::{Ends, Observers, Processor, StreamLimits};
use crate::rate_limit_service::{LimitHeaders, RateLimitService};
use crate::readiness::{NotReady, OverloadLimits, Readiness};
use crate::refusals::Refusals;
use crate::sync::{LeaseOrigin, LeaseSettings, Leases, SyncService};
use crate::tls::TlsSettings;
use crate::tls::files::TlsError;
use crate::tls::handshake::Handshakes;
use crate::tls::store::TlsStore;
use crate::traces::{TraceError, TraceSettings, Tracing};

/// The drain ends once no stream was open for this long, so that connections can send their last bytes. It does not wait
/// for connections to close, because one without an HTTP/2 preface never does.
const IDLE_TIME: Duration = Duration::from_millis(500);

/// How long the export of the last traces may take at the end of the drain.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The interval at which the drain counts open streams.
const COUNT_INTERVAL: Duration = Duration::from_millis(20);

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration file.
    pub config: PathBuf,
    /// From a request's first message to its decision, at most.
    pub decision_timeout: Duration,
    /// How long the service still accepts streams after a shutdown signal, until load balancers see that it is not ready.
    pub drain_delay: Duration,
    /// How long open streams may take to finish in the drain. The rest is aborted.
    pub drain_timeout: Duration,
    /// The byte budget: body bytes buffered by all requests together, at most.
    pub max_held_bytes: u64,
    /// How long a request may wait for the byte budget altogether.
    pub budget_timeout: Duration,
    /// The largest message from Envoy.
    pub max_message_bytes: usize,
    /// Concurrent streams, which are requests, on one connection.
    pub max_streams: u32,
    /// The store of rate limits.
    pub limit_store: LimitStoreSettings,
    /// The secret of the keys of rate limits. `None`: a random one.
    pub limit_secret: Option<[u8; 16]>,
    /// The file with the token that `/limits` on the admin port needs. Without it, nobody sees or resets limits.
    pub admin_token: Option<PathBuf>,
    /// The calls of `RateLimitService` that are answered with fields for the response.
    pub limit_headers: LimitHeaders,
    /// Whether responses to requests under rate limits have the `X-RateLimit` fields too.
    pub x_rate_limit: bool,
    /// The times of leases.
    pub leases: LeaseSettings,
    /// When an overloaded service is not ready. `None`: never.
    pub not_ready_when_overloaded: Option<OverloadLimits>,
    /// A connection without a complete TLS handshake is closed after this long, and one without a complete HTTP/2 preface.
    pub preface_timeout: Duration,
    /// The log of the process, whose level the admin port changes. `None`: it has none of ours.
    pub logging: Option<Logging>,
    /// TLS on the gRPC port. Without it, the port is plain text.
    pub tls: Option<TlsSettings>,
    /// The receiver of traces. `None`: nowhere.
    pub traces: Option<TraceSettings>,
}

/// The service failed to start or to run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be loaded.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The files of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of the admin token cannot be used.
    #[error(transparent)]
    AdminToken(#[from] TokenError),
    /// A metric cannot be registered.
    #[error("cannot register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The gRPC server failed.
    #[error("the gRPC server failed: {0}")]
    Grpc(#[source] io::Error),
    /// Traces cannot be sent with the settings.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The task of the gRPC server panicked.
    #[error("the task of the gRPC server failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A setting of the store of rate limits cannot be used.
    #[error("the store of rate limits: {0}")]
    LimitStore(#[from] BadSettings),
    /// The system has no random numbers, which the keys of rate limits need.
    #[error("the system has no random numbers")]
    Random,
    /// The address of a listener is unknown.
    #[error("cannot read the address of a listener: {0}")]
    Listener(#[source] io::Error),
}

/// Serves on a bound port or socket for gRPC and one for the admin port, until the first message in `signals`, or their end, and then drains. A second message ends the
/// drain at once.
///
/// # Errors
/// See [`ServeError`]. Streams that outlast the drain are aborted, which is not an error.
pub async fn serve(
    grpc: impl Into<Listener>,
    admin: TcpListener,
    settings: Settings,
    mut signals: mpsc::Receiver<()>,
) -> Result<(), ServeError> {
    let grpc = grpc.into();
    let started = Instant::now();
    let limits = limits(&settings);
    let readiness = Readiness::starting().await;
    let metrics = Metrics::new()?;
    metrics.runtime().observe_main();
    let budget = Budget::with_waits(settings.max_held_bytes, settings.budget_timeout, metrics.budget_wait_seconds());
    let store = Arc::new(Store::open(&settings.config, metrics.clone())?);
    let admits_any_client = admits_any_client(&grpc, settings.tls.as_ref());
    let tls = settings.tls.map(|tls| TlsStore::open(tls, metrics.clone())).transpose()?.map(Arc::new);
    let token = settings.admin_token.map(AdminToken::open).transpose()?.map(Arc::new);
    let refusals = Refusals::new();

    let secret = settings.limit_secret.map_or_else(random, Ok)?;
    let traced = |settings| Tracing::start(settings, &KeyHasher::new(secret), metrics.traces().clone());
    let tracing = settings.traces.as_ref().map(traced).transpose()?;
    let (checks, settlements) = (metrics.rate_limits().clone(), metrics.settlements().clone());
    let limiter = Limiter::new(settings.limit_store, secret, checks, settlements, settings.x_rate_limit)?;
    let addresses = (grpc.address().map_err(ServeError::Listener)?, address(&admin)?);
    let (stop_grpc, grpc_stopped) = watch::channel(false);
    let (abort, aborted) = watch::channel(false);
    let rate_limits =
        RateLimitService::new(Arc::clone(&store), limiter.clone(), settings.limit_headers, tracing.clone());
    let leases = Leases::new(&LeaseOrigin {
        epoch: u64::from_le_bytes(random()?),
        hasher: *limiter.hasher(),
        is_store_shared: limiter.is_shared(),
        settings: settings.leases,
        config: store.decider().config(),
    });
    metrics.leases().observe(leases.clone());
    let lease_metrics = metrics.leases().clone();
    let sync = SyncService::new(Arc::clone(&store), limiter.clone(), leases.clone(), lease_metrics, tracing.clone());
    let processor = Processor::new(
        Arc::clone(&store),
        budget.clone(),
        Observers { metrics: metrics.clone(), refusals: refusals.clone(), tracing: tracing.clone() },
        limiter.clone(),
        StreamLimits { decision_timeout: settings.decision_timeout, max_message_bytes: settings.max_message_bytes },
        Ends { drain: grpc_stopped.clone(), abort: aborted },
    );
    let supervising = tokio::spawn(processor.clone().supervise());
    let services = Services { processor, rate_limits, sync, health: readiness.health_service() };
    let handshakes = tls.clone().map(Handshakes::new);
    let admission = Admission::new(handshakes, settings.preface_timeout, metrics.clone(), refusals.clone());
    let mut grpc = tokio::spawn(connections::serve(grpc, admission, services, settings.max_streams, grpc_stopped));
    let watching_readiness =
        tokio::spawn(readiness.clone().watch(budget.clone(), settings.not_ready_when_overloaded, tls.clone()));
    let routes = Admin {
        store: Arc::clone(&store),
        metrics: metrics.clone(),
        budget,
        readiness: readiness.clone(),
        refusals,
        tls: tls.clone(),
        limiter: limiter.clone(),
        leases,
        logging: settings.logging.clone(),
        limits,
        started,
    };
    let routes = admin::routes(routes, token.clone());
    let admin = tokio::spawn(admin::connections::serve(admin, routes, metrics.admin().clone()));
    let watching_token = token.map(|token| tokio::spawn(token.watch()));
    let watching = tokio::spawn(Arc::clone(&store).watch());
    let watching_log = settings.logging.map(|logging| {
        metrics.logs().observe(logging.clone());
        tokio::spawn(logging.supervise())
    });
    let with_tls = tls.is_some();
    let watching_tls = tls.map(|tls| tokio::spawn(tls.watch()));

    readiness.set(NotReady::Starting, false).await;
    let version = store.decider().config().version.clone();
    tracing::info!(event = "listening", grpc = %addresses.0, admin = %addresses.1, tls = with_tls, %version, "service started");
    if admits_any_client {
        tracing::warn!(
            event = "tls_any_client",
            remedy = "set --tls-client-ca to the authority of the proxies' certificates, and --tls-client-san to their names",
            "TLS without --tls-client-ca: every client that reaches the port may connect"
        );
    }

    let ended = tokio::select! {
        ended = &mut grpc => Some(ended),
        _ = signals.recv() => None,
    };
    tracing::info!(event = "draining", timeout = ?settings.drain_timeout, "drain started");
    readiness.set(NotReady::Draining, true).await;
    watching_readiness.abort();
    let served = match ended {
        Some(ended) => ended,
        None => {
            let timeout = tokio::select! {
                () = tokio::time::sleep(settings.drain_delay) => settings.drain_timeout,
                () = next_signal(&mut signals) => Duration::ZERO,
            };
            stop_grpc.send_replace(true);
            readiness.end_watches().await;
            let aborting = || {
                limiter.keep_estimates();
                abort.send_replace(true);
            };
            drain(&mut grpc, &metrics, timeout, &mut signals, aborting).await
        }
    };
    watching.abort();
    for watching in [watching_tls, watching_token, watching_log].into_iter().flatten() {
        watching.abort();
    }
    supervising.abort();
    // Closes the remaining connections.
    grpc.abort();
    if let Some(tracing) = tracing {
        tracing.flush(FLUSH_TIMEOUT).await;
    }
    // Last, so that metrics show the drain.
    admin.abort();
    served?.map_err(ServeError::Grpc)
}

type Served = Result<io::Result<()>, tokio::task::JoinError>;

/// Waits until no stream is open, for at most `timeout`, or until another signal. Then aborts the remaining streams.
async fn drain(
    grpc: &mut JoinHandle<io::Result<()>>,
    metrics: &Metrics,
    timeout: Duration,
    signals: &mut mpsc::Receiver<()>,
    abort: impl FnOnce(),
) -> Served {
    let drained = tokio::select! {
        served = streams_finished(grpc, metrics) => Some(served),
        () = tokio::time::sleep(timeout) => None,
        () = next_signal(signals) => None,
    };
    if let Some(served) = drained {
        tracing::info!(event = "drained", "drain finished");
        return served;
    }
    tracing::warn!(
        event = "drain_timeout",
        streams = metrics.open_streams(),
        "drain ended before all streams had finished; aborted the rest"
    );
    abort();
    // Leave time to send the error statuses. A peer that does not read them sees a closed connection.
    tokio::time::timeout(2 * IDLE_TIME, streams_finished(grpc, metrics)).await.unwrap_or(Ok(Ok(())))
}

/// Waits until all connections are closed, or no stream was open for [`IDLE_TIME`].
async fn streams_finished(grpc: &mut JoinHandle<io::Result<()>>, metrics: &Metrics) -> Served {
    let mut counts = tokio::time::interval(COUNT_INTERVAL);
    counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut idle_since = None;
    loop {
        tokio::select! {
            served = &mut *grpc => return served,
            now = counts.tick() => {
                idle_since = if metrics.open_streams() == 0 { idle_since.or(Some(now)) } else { None };
                if idle_since.is_some_and(|since| now.duration_since(since) >= IDLE_TIME) {
                    return Ok(Ok(()));
                }
            }
        }
    }
}

/// Waits for another signal. The end of the channel does not count.
async fn next_signal(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        std::future::pending().await
    }
}

/// The limits for the admin port, without those of the configuration.
fn limits(settings: &Settings) -> ServiceLimits {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    ServiceLimits {
        message_bytes: settings.max_message_bytes as u64,
        stream_bytes: 0,
        streams_per_connection: settings.max_streams.into(),
        decision_timeout_ms: milliseconds(settings.decision_timeout),
        budget_timeout_ms: milliseconds(settings.budget_timeout),
        drain_delay_ms: milliseconds(settings.drain_delay),
        drain_timeout_ms: milliseconds(settings.drain_timeout),
    }
}

/// Random bytes: the secret of the digests of limit keys, or the epoch of leases.
fn random<const N: usize>() -> Result<[u8; N], ServeError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ServeError::Random)?;
    Ok(bytes)
}

/// Whether TLS encrypts, but keeps nobody out. The permissions of a Unix socket do.
fn admits_any_client(grpc: &Listener, tls: Option<&TlsSettings>) -> bool {
    matches!(grpc, Listener::Tcp(_)) && tls.is_some_and(|tls| tls.client_ca.is_none())
}

fn address(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(ServeError::Listener)
}
