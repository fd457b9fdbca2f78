//! `cellgate serve`: starts the service, and shuts it down on a signal.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::values::ListenAddress;
use super::{Exit, Failure, ServeArgs};
use cellgate_ext_proc::config_file::LoadError;
use cellgate_ext_proc::logging;
use cellgate_ext_proc::{
    BadOtlpHeaders, Listener, OverloadLimits, ServeError, Settings, TlsError, TlsSettings, TokenError, TraceError,
    UnixSocket,
};

/// The permissions of a Unix socket: its user and its group.
const SOCKET_MODE: u32 = 0o660;

/// Envoy sends its preface as soon as it is connected. A silent connection only occupies a file descriptor.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs the service until SIGTERM or SIGINT, then drains it. A second signal ends the drain.
///
/// # Errors
/// The options contradict each other, the configuration or a TLS file is not valid, a port or a socket cannot be bound, or the service failed.
pub(crate) async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    let tls = tls(&args)?;
    let (limit_store, limit_secret) = (args.limit_store.settings()?, args.limit_store.secret()?);
    let (leases, traces) = (args.leases.settings()?, args.traces.settings()?);
    let (logging, _log_writer) = logging::start(args.log_format.into(), &args.log_level);
    // Before anything else starts, so that no signal ends the process without a drain.
    let internal = |error: std::io::Error| Failure::new(Exit::Internal, format!("cannot handle signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let (received, signals) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if received.send(()).await.is_err() {
                return;
            }
        }
    });
    let (grpc, admin) = (listen(&args.listen, args.socket_mode)?, bind("--admin", args.admin)?);
    let settings = Settings {
        config: args.config,
        decision_timeout: args.decision_timeout,
        drain_delay: args.drain_delay,
        drain_timeout: args.drain_timeout,
        max_held_bytes: args.max_held_bytes,
        budget_timeout: args.budget_timeout,
        max_message_bytes: usize::try_from(args.max_message_bytes).unwrap_or(usize::MAX),
        max_streams: args.max_streams,
        limit_store,
        limit_secret,
        admin_token: args.admin_token_file,
        limit_headers: args.limit_headers.into(),
        x_rate_limit: args.x_ratelimit_headers,
        leases,
        not_ready_when_overloaded: (args.not_ready_above > 0)
            .then_some(OverloadLimits { percent: args.not_ready_above, time: args.not_ready_after }),
        preface_timeout: SILENCE,
        logging: Some(logging),
        tls,
        traces,
    };
    cellgate_ext_proc::serve(grpc, admin, settings, signals).await.map_err(|error| {
        let exit = match &error {
            ServeError::Config(LoadError::Read { .. })
            | ServeError::Tls(TlsError::Read { .. })
            | ServeError::Traces(
                TraceError::Ca(TlsError::Read { .. }) | TraceError::Headers(BadOtlpHeaders::Read { .. }),
            )
            | ServeError::AdminToken(TokenError::Read { .. }) => Exit::NoInput,
            ServeError::Config(LoadError::NotText { .. } | LoadError::Shadow { .. } | LoadError::Invalid(_))
            | ServeError::Tls(_)
            | ServeError::LimitStore(_)
            | ServeError::Traces(_)
            | ServeError::AdminToken(TokenError::Invalid { .. }) => Exit::BadConfig,
            ServeError::Metrics(_)
            | ServeError::Random
            | ServeError::AdminToken(TokenError::Random)
            | ServeError::Grpc(_)
            | ServeError::Task(_)
            | ServeError::Listener(_) => Exit::Internal,
        };
        Failure::new(exit, error)
    })?;
    Ok(Exit::Ok)
}

/// The settings of TLS. Without a certificate, plain text must be asked for, unless the address is a Unix socket.
fn tls(args: &ServeArgs) -> Result<Option<TlsSettings>, Failure> {
    let usage = |message: &str| Err(Failure::new(Exit::Usage, format!("--listen {}: {message}", args.listen)));
    if args.socket_mode.is_some() && matches!(args.listen, ListenAddress::Tcp(_)) {
        return usage("--socket-mode is for Unix sockets: remove it, or use `--listen unix:/PATH`");
    }
    match (&args.tls_cert, &args.tls_key) {
        (Some(_), Some(_)) if args.plain_text => usage("--plain-text contradicts --tls-cert: use only one of the two"),
        (Some(certificate), Some(key)) => Ok(Some(TlsSettings {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: args.tls_client_ca.clone(),
            client_names: args.tls_client_san.clone(),
            min_version: args.tls_min_version.into(),
        })),
        _ if args.plain_text || matches!(args.listen, ListenAddress::Unix(_)) => Ok(None),
        _ => usage(
            "a TCP port needs TLS: use --tls-cert FILE and --tls-key FILE. If a mesh encrypts the connections, or nobody \
             else can reach the port, use --plain-text",
        ),
    }
}

fn listen(address: &ListenAddress, mode: Option<u32>) -> Result<Listener, Failure> {
    match address {
        ListenAddress::Tcp(address) => Ok(bind("--listen", *address)?.into()),
        ListenAddress::Unix(path) => UnixSocket::bind(path, mode.unwrap_or(SOCKET_MODE))
            .map(Listener::from)
            .map_err(|error| Failure::new(Exit::NoPort, format!("--listen {address}: {error}"))),
    }
}

fn bind(option: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    cellgate_ext_proc::bind(address).map_err(|error| {
        let advice = bind_advice(&error);
        Failure::new(Exit::NoPort, format!("{option} {address}: cannot bind the port: {error}{advice}"))
    })
}

/// The remedy for the usual causes, behind the system's own words.
fn bind_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ": stop the process that uses it, or use another port",
        io::ErrorKind::AddrNotAvailable => ": use an address of this host, such as `[::]` or `127.0.0.1`",
        io::ErrorKind::PermissionDenied => ": use a port from 1024 on",
        _ => "",
    }
}
