//! The configuration file while the service runs: read, watched, replaced, the last good one kept.
//!
//! The file's directory is watched, not the file: editors replace files, and Kubernetes swaps a symbolic link beside
//! it (`..data`). SIGHUP and a slow poll do the same as a change, for file systems that tell nobody.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cellgate_routing::config::ConfigError;
use cellgate_routing::{Config, Router, Tier};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use crate::metrics::Metrics;

/// A writer that truncates and then writes makes two changes; reading between them would find half a file.
const SETTLE: Duration = Duration::from_millis(20);

/// How often the file is read although nothing was heard.
const POLL: Duration = Duration::from_secs(10);

/// A configuration file, and the router made of its last good content.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    router: ArcSwap<Router>,
    /// What reading last gave, good or bad, so that each change is judged, counted and logged once.
    seen: Mutex<Result<Vec<u8>, io::ErrorKind>>,
    metrics: Metrics,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not text.
    #[error("{path}: byte {offset}: not UTF-8", path = .path.display())]
    NotText {
        /// Its path.
        path: PathBuf,
        /// Where the first byte is that is wrong, from 0.
        offset: usize,
    },
    /// It is one for filters only.
    #[error("{path}: shadow: a filter that changes nothing defers nothing, so the service has nothing to do", path = .path.display())]
    Shadow {
        /// Its path.
        path: PathBuf,
    },
    /// It can, but not used: one line for each error.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

/// Reads a file as a configuration; `-` is stdin.
///
/// # Errors
/// It cannot be read, or is not a valid configuration.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    let named = name(path);
    let text = if is_stdin(path) {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map(|_| text).map_err(|source| unreadable(named, source))?
    } else {
        read(path)?
    };
    parse(&text, named)
}

/// Whether a path on the command line means stdin.
#[must_use]
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What messages call a file of the command line. Stdin is read as YAML, of which JSON is a part.
#[must_use]
pub fn name(path: &Path) -> &Path {
    if is_stdin(path) { Path::new("<stdin>") } else { path }
}

impl Store {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// It cannot be read, or is not a valid configuration: there is no last good one yet.
    pub fn open(path: &Path, metrics: Metrics) -> Result<Self, LoadError> {
        let text = read(path)?;
        let router = Router::new(for_service(&text, path)?, Tier::Service);
        metrics.config_in_force(&router.config().version);
        Ok(Self { path: path.to_owned(), router: ArcSwap::from_pointee(router), seen: Mutex::new(Ok(text)), metrics })
    }

    /// The router in force. A request keeps the one it began with.
    #[must_use]
    pub fn router(&self) -> Router {
        Router::clone(&self.router.load())
    }

    /// Reads the file again and, if it is another good configuration, puts it into force.
    ///
    /// Blocks while it reads and parses.
    pub fn reload(&self) {
        let read = std::fs::read(&self.path);
        let outcome = match &read {
            Ok(text) => Ok(text.clone()),
            Err(error) => Err(error.kind()),
        };
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == outcome {
                return;
            }
            *seen = outcome;
        }
        match read.map_err(|source| unreadable(&self.path, source)).and_then(|text| for_service(&text, &self.path)) {
            Ok(config) => {
                let version = config.version.clone();
                self.router.store(Arc::new(Router::new(config, Tier::Service)));
                self.metrics.config_in_force(&version);
                self.metrics.reloaded(true);
                tracing::info!(event = "config_reloaded", %version, "configuration in force");
            }
            Err(error) => {
                self.metrics.reloaded(false);
                tracing::error!(event = "config_refused", %error, "configuration refused; the last good one stays");
            }
        }
    }

    /// Reloads on every change, for as long as it is polled.
    pub async fn watch(self: Arc<Self>) {
        let changed = Arc::new(Notify::new());
        let _watcher = watcher(&self.path, Arc::clone(&changed))
            .inspect_err(|error| tracing::warn!(%error, "cannot watch the configuration file; polling it"))
            .ok();
        let mut hangup =
            signal(SignalKind::hangup()).inspect_err(|error| tracing::warn!(%error, "cannot listen to SIGHUP")).ok();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed.notified() => tokio::time::sleep(SETTLE).await,
                _ = hung_up => {}
                _ = poll.tick() => {}
            }
            let store = Arc::clone(&self);
            if tokio::task::spawn_blocking(move || store.reload()).await.is_err() {
                tracing::error!("reloading failed");
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> LoadError {
    LoadError::Read { path: path.to_owned(), source }
}

/// A configuration that the service can carry out.
fn for_service(text: &[u8], path: &Path) -> Result<Config, LoadError> {
    let config = parse(text, path)?;
    if config.shadow { Err(LoadError::Shadow { path: path.to_owned() }) } else { Ok(config) }
}

/// The text of a configuration, which errors name by its path.
///
/// # Errors
/// It is not UTF-8.
pub fn decode<'a>(text: &'a [u8], path: &Path) -> Result<&'a str, LoadError> {
    std::str::from_utf8(text).map_err(|error| LoadError::NotText { path: path.to_owned(), offset: error.valid_up_to() })
}

fn parse(text: &[u8], path: &Path) -> Result<Config, LoadError> {
    Ok(Config::from_file_name(decode(text, path)?, &path.to_string_lossy())?)
}

fn watcher(path: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file is an event too, and must not lead to reading it again.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            changed.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
