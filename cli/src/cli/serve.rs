//! `cellgate serve`: from options to a running server, and from signals to its end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Exit, Failure, ServeArgs};
use cellgate_ext_proc::config_file::LoadError;
use cellgate_ext_proc::listen;
use cellgate_ext_proc::logging;
use cellgate_ext_proc::server::{self, ServeError, Settings};

/// Envoy speaks as soon as it is connected. Who does not holds a file descriptor for nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs the service until SIGTERM or SIGINT, and drains it. A second one ends the drain.
///
/// # Errors
/// The configuration is not valid, a port is taken, or the service failed.
pub(crate) async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    logging::start(args.log_format.into(), args.log_level.filter());
    // Before anything is ready, so that no signal can end the process without a drain.
    let internal = |error: std::io::Error| Failure::new(Exit::Internal, format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let (heard, signals) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if heard.send(()).await.is_err() {
                return;
            }
        }
    });
    let (grpc, admin) = (bind(args.listen)?, bind(args.admin)?);
    let settings = Settings {
        config: args.config,
        decision_timeout: args.decision_timeout,
        drain_delay: args.drain_delay,
        drain_timeout: args.drain_timeout,
        max_held_bytes: args.max_held_bytes,
        max_message_bytes: usize::try_from(args.max_message_bytes).unwrap_or(usize::MAX),
        max_streams: args.max_streams,
        silence: SILENCE,
    };
    server::serve(grpc, admin, settings, signals).await.map_err(|error| {
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

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    listen::bind(address).map_err(|error| Failure::new(Exit::NoPort, format!("{address}: {error}")))
}
