//! Loads the configuration file, and reloads it when it changes. A bad file leaves the last good configuration in force.

mod error_place;

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cellgate_config::ConfigError;
use cellgate_routing::{Config, Decider, Tier};

use crate::cpu_clock::thread_cpu_time;
use crate::inspection::{ConfigInForce, RefusedFile};
use crate::metrics::Metrics;
use crate::timestamp;
use crate::watch;

/// A configuration and the digest of its text.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// The digest of the file, as [`digest`] returns it.
    pub digest: String,
}

/// A configuration file and the decider of its last good content.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    decider: ArcSwap<Decider>,
    /// The last content or read error, so that each change is counted and logged once.
    last_read: Mutex<Result<Vec<u8>, io::ErrorKind>>,
    in_force: Mutex<ConfigInForce>,
    metrics: Metrics,
}

/// An error of a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not UTF-8.
    #[error("{path}: byte {offset}: not UTF-8", path = .path.display())]
    NotText {
        /// Its path.
        path: PathBuf,
        /// The offset of the first invalid byte, from 0.
        offset: usize,
    },
    /// The configuration has `shadow: true`, which only the filter supports.
    #[error("{path}: shadow: a filter that changes nothing defers nothing, so the service would get no requests: use this file only for filters", path = .path.display())]
    Shadow {
        /// Its path.
        path: PathBuf,
    },
    /// The configuration is not valid. The message has a line for each error.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

/// Reads a file as a configuration; `-` is stdin.
///
/// # Errors
/// The file cannot be read, or is not a valid configuration.
pub fn load(path: &Path) -> Result<LoadedConfig, LoadError> {
    let named = name(path);
    let text = if is_stdin(path) {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map(|_| text).map_err(|source| unreadable(named, source))?
    } else {
        read(path)?
    };
    Ok(LoadedConfig { config: parse(&text, named)?, digest: digest(&text) })
}

/// `sha256:` and the SHA-256 of a text in hexadecimal digits. `sha256sum` prints the same digits for the file.
#[must_use]
pub fn digest(text: &[u8]) -> String {
    let mut digest = "sha256:".to_owned();
    for byte in ring::digest::digest(&ring::digest::SHA256, text).as_ref() {
        // Writing into a string cannot fail.
        let _ok = write!(digest, "{byte:02x}");
    }
    digest
}

/// Whether a path on the command line means stdin.
#[must_use]
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The name of a command-line file in messages. Stdin is read as YAML, of which JSON is a subset.
#[must_use]
pub fn name(path: &Path) -> &Path {
    if is_stdin(path) { Path::new("<stdin>") } else { path }
}

impl Store {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// The file cannot be read, or is not a valid configuration.
    pub fn open(path: &Path, metrics: Metrics) -> Result<Self, LoadError> {
        let text = read(path)?;
        let decider = Decider::with_clock(for_service(&text, path)?, Tier::Service, thread_cpu_time);
        metrics.config_in_force(&decider.config().version);
        let in_force = in_force(path, &decider.config().version, &text);
        Ok(Self {
            path: path.to_owned(),
            decider: ArcSwap::from_pointee(decider),
            last_read: Mutex::new(Ok(text)),
            in_force: Mutex::new(in_force),
            metrics,
        })
    }

    /// The decider in force. A request keeps the decider that it began with.
    #[must_use]
    pub fn decider(&self) -> Decider {
        Decider::clone(&self.decider.load())
    }

    /// The configuration in force, for the admin port.
    #[must_use]
    pub fn in_force(&self) -> ConfigInForce {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file, and applies it if it has changed and is valid. Blocks while it reads and parses.
    pub fn reload(&self) {
        let read = std::fs::read(&self.path);
        let outcome = match &read {
            Ok(text) => Ok(text.clone()),
            Err(error) => Err(error.kind()),
        };
        {
            let mut last_read = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
            if *last_read == outcome {
                return;
            }
            *last_read = outcome;
        }
        let loaded = read
            .map_err(|source| unreadable(&self.path, source))
            .and_then(|text| Ok((for_service(&text, &self.path)?, text)));
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok((config, text)) => {
                let version = config.version.clone();
                *in_force = self::in_force(&self.path, &version, &text);
                self.decider.store(Arc::new(Decider::with_clock(config, Tier::Service, thread_cpu_time)));
                self.metrics.config_in_force(&version);
                self.metrics.reloaded(true);
                tracing::info!(event = "config_reloaded", %version, "configuration reloaded");
            }
            Err(error) => {
                in_force.refused =
                    Some(RefusedFile { at: timestamp::now(), error: error_place::without_values(&error) });
                self.metrics.reloaded(false);
                tracing::error!(event = "config_refused", %error, "configuration refused; the last good one stays in force");
            }
        }
    }

    /// Reloads on every change until the future is dropped.
    pub async fn watch(self: Arc<Self>) {
        let reload = || async {
            let store = Arc::clone(&self);
            if tokio::task::spawn_blocking(move || store.reload()).await.is_err() {
                tracing::error!(
                    event = "reload_panicked",
                    files = "configuration",
                    "reloading the configuration panicked; the last good one stays in force"
                );
            }
        };
        watch::on_change(&[&self.path], "configuration", reload).await;
    }
}

fn in_force(path: &Path, version: &str, text: &[u8]) -> ConfigInForce {
    ConfigInForce {
        version: version.to_owned(),
        digest: digest(text),
        file: path.display().to_string(),
        loaded_at: timestamp::now(),
        refused: None,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> LoadError {
    LoadError::Read { path: path.to_owned(), source }
}

/// Parses a configuration for the service.
fn for_service(text: &[u8], path: &Path) -> Result<Config, LoadError> {
    let config = parse(text, path)?;
    if config.shadow { Err(LoadError::Shadow { path: path.to_owned() }) } else { Ok(config) }
}

/// Decodes the text of a configuration. Errors contain the path.
///
/// # Errors
/// The text is not UTF-8.
pub fn decode<'a>(text: &'a [u8], path: &Path) -> Result<&'a str, LoadError> {
    std::str::from_utf8(text).map_err(|error| LoadError::NotText { path: path.to_owned(), offset: error.valid_up_to() })
}

fn parse(text: &[u8], path: &Path) -> Result<Config, LoadError> {
    Ok(cellgate_config::from_file_name(decode(text, path)?, &path.to_string_lossy())?)
}
