//! `cellgate serve`: starts the service, and shuts it down on a signal.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Exit, Failure, ServeArgs};
use cellgate_ext_proc::config_file::LoadError;
use cellgate_ext_proc::logging;
use cellgate_ext_proc::{ServeError, Settings};

/// Envoy sends its preface as soon as it is connected. A silent connection only occupies a file descriptor.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs the service until SIGTERM or SIGINT, then drains it. A second signal ends the drain.
///
/// # Errors
/// The configuration is not valid, a port cannot be bound, or the service failed.
pub(crate) async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    logging::start(args.log_format.into(), args.log_level.filter());
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
    let (grpc, admin) = (bind("--listen", args.listen)?, bind("--admin", args.admin)?);
    let settings = Settings {
        config: args.config,
        decision_timeout: args.decision_timeout,
        drain_delay: args.drain_delay,
        drain_timeout: args.drain_timeout,
        max_held_bytes: args.max_held_bytes,
        max_message_bytes: usize::try_from(args.max_message_bytes).unwrap_or(usize::MAX),
        max_streams: args.max_streams,
        preface_timeout: SILENCE,
    };
    cellgate_ext_proc::serve(grpc, admin, settings, signals).await.map_err(|error| {
        let exit = match &error {
            ServeError::Config(LoadError::Read { .. }) => Exit::NoInput,
            ServeError::Config(LoadError::NotText { .. } | LoadError::Shadow { .. } | LoadError::Invalid(_)) => {
                Exit::BadConfig
            }
            ServeError::Metrics(_) | ServeError::Grpc(_) | ServeError::Task(_) | ServeError::Listener(_) => {
                Exit::Internal
            }
        };
        Failure::new(exit, error)
    })?;
    Ok(Exit::Ok)
}

fn bind(option: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    cellgate_ext_proc::bind(address)
        .map_err(|error| Failure::new(Exit::NoPort, format!("{option} {address}: cannot bind the port: {error}")))
}
