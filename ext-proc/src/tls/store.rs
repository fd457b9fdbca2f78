//! The TLS files in force, and their reload. Files that cannot be used leave the last good ones in force.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::UnixTime;

use super::certificate::Validity;
use super::files::{Content, Snapshot, Stamp, TlsError};
use super::{TlsSettings, server_config};
use crate::inspection::{RefusedFile, TlsInForce};
use crate::metrics::Metrics;
use crate::timestamp;
use crate::watch;

/// The files must not be written for this long. A part of a bundle of authorities is a valid bundle, so that only time tells
/// a whole file from one that is still being written.
const QUIET_TIME: Duration = Duration::from_millis(250);

/// How often files that keep changing are read in one reload. The next poll reads them again.
const MAX_READS: usize = 40;

/// The TLS files and rustls' configuration of their last good content.
#[derive(Debug)]
pub(crate) struct TlsStore {
    settings: TlsSettings,
    good: ArcSwap<GoodFiles>,
    last_read: Mutex<LastRead>,
    refused: Mutex<Option<RefusedFile>>,
    metrics: Metrics,
}

/// The last good content.
#[derive(Debug)]
struct GoodFiles {
    config: Arc<ServerConfig>,
    /// Of the certificate.
    validity: Validity,
}

/// The last content, so that each change is counted and logged once.
struct LastRead {
    content: Result<Content, io::ErrorKind>,
    /// Whether the certificate was not valid yet. The same content is good later.
    premature: bool,
}

impl TlsStore {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be read or used, or the certificate is not valid now.
    pub(crate) fn open(settings: TlsSettings, metrics: Metrics) -> Result<Self, TlsError> {
        let content = Snapshot::read(&settings)?.content;
        let good = build(&settings, &content, &metrics)?;
        Ok(Self {
            settings,
            good: ArcSwap::from_pointee(good),
            last_read: Mutex::new(LastRead { content: Ok(content), premature: false }),
            refused: Mutex::default(),
            metrics,
        })
    }

    /// The configuration in force. A connection keeps the one of its handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.good.load().config)
    }

    /// Whether the certificate in force has expired.
    pub(crate) fn is_expired(&self) -> bool {
        self.good.load().validity.seconds_over(UnixTime::now()) > 0
    }

    /// The files in force, for the admin port.
    pub(crate) fn in_force(&self) -> TlsInForce {
        let validity = self.good.load().validity;
        TlsInForce {
            not_before: validity.not_before.to_string(),
            not_after: validity.not_after.to_string(),
            expires_in_seconds: validity.unix().1.saturating_sub(UnixTime::now().as_secs()),
            client_certificates: self.settings.client_ca.is_some(),
            refused: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Reloads on every change until the future is dropped.
    pub(crate) async fn watch(self: Arc<Self>) {
        let files = [Some(&self.settings.certificate), Some(&self.settings.key), self.settings.client_ca.as_ref()];
        let files: Vec<&Path> = files.into_iter().flatten().map(AsRef::as_ref).collect();
        watch::on_change(&files, "TLS", || Arc::clone(&self).reload()).await;
    }

    /// Reads the files, and applies them if they have changed and are good.
    async fn reload(self: Arc<Self>) {
        let Some(read) = self.read_settled().await else { return };
        if tokio::task::spawn_blocking(move || self.apply(read)).await.is_err() {
            tracing::error!(
                event = "reload_panicked",
                files = "TLS",
                "reloading the TLS files panicked; the last good ones stay in force"
            );
        }
    }

    /// Reads until nothing was written between two reads, because a writer may replace one file after the other, or a file
    /// in parts.
    /// `None` if they keep changing, or have not changed since the last time.
    async fn read_settled(self: &Arc<Self>) -> Option<Result<Content, TlsError>> {
        let mut last: Option<(Result<Content, io::ErrorKind>, Vec<Stamp>)> = None;
        for _ in 0..MAX_READS {
            let store = Arc::clone(self);
            let read = tokio::task::spawn_blocking(move || Snapshot::read(&store.settings)).await.ok()?;
            let (read, stamps) = match read {
                Ok(Snapshot { content, stamps }) => (Ok(content), stamps),
                Err(error) => (Err(error), Vec::new()),
            };
            let content = comparable(&read);
            if last.as_ref().is_some_and(|last| (&last.0, &last.1) == (&content, &stamps)) {
                return Some(read);
            }
            if last.is_none() {
                let known = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
                if known.content == content && !known.premature {
                    return None;
                }
            }
            last = Some((content, stamps));
            tokio::time::sleep(QUIET_TIME).await;
        }
        None
    }

    fn apply(&self, read: Result<Content, TlsError>) {
        let content = comparable(&read);
        let built = read.and_then(|content| build(&self.settings, &content, &self.metrics));
        let premature = matches!(built, Err(TlsError::NotYetValid { .. }));
        {
            let mut known = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
            let repeated = known.content == content && known.premature == premature;
            *known = LastRead { content, premature };
            if repeated {
                return;
            }
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match built {
            Ok(good) => {
                self.good.store(Arc::new(good));
                *refused = None;
                self.metrics.tls_reloaded(true);
                tracing::info!(event = "tls_reloaded", "TLS files reloaded");
            }
            Err(error) => {
                *refused = Some(RefusedFile { at: timestamp::now(), error: error.to_string() });
                self.metrics.tls_reloaded(false);
                tracing::error!(event = "tls_files_refused", %error, "TLS files refused; the last good ones stay in force");
            }
        }
    }
}

/// Builds the configuration. If it is good, the metrics show the certificate's validity.
fn build(settings: &TlsSettings, content: &Content, metrics: &Metrics) -> Result<GoodFiles, TlsError> {
    let parsed = content.parse(settings, UnixTime::now())?;
    let (validity, has_names) = (parsed.validity, parsed.has_names);
    let config = Arc::new(server_config(settings, parsed)?);
    let (not_before, not_after) = validity.unix();
    metrics.certificate_in_force(not_before, not_after);
    if !has_names {
        tracing::warn!(
            event = "tls_certificate_without_san",
            file = %settings.certificate.display(),
            "the certificate has no DNS name and no URI as subject alternative name; clients that verify a name refuse it"
        );
    }
    Ok(GoodFiles { config, validity })
}

fn comparable(read: &Result<Content, TlsError>) -> Result<Content, io::ErrorKind> {
    match read {
        Ok(content) => Ok(content.clone()),
        Err(TlsError::Read { source, .. }) => Err(source.kind()),
        Err(_) => Err(io::ErrorKind::InvalidData),
    }
}

impl std::fmt::Debug for LastRead {
    /// Without the content, which has the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LastRead").field("premature", &self.premature).finish_non_exhaustive()
    }
}
