//! Watches files, and reads them again when they change.
//!
//! The watcher observes the directories, because editors replace the file and Kubernetes swaps a symbolic link beside it
//! (`..data`). SIGHUP and a slow poll also reload, for file systems without change events.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

/// The wait after a change event. A writer may truncate the file first and write it afterwards.
const SETTLE_TIME: Duration = Duration::from_millis(20);

/// The interval of reloads without a change event.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Calls `reload` on every change until the future is dropped. `name` is that of the files in messages.
pub(crate) async fn on_change<F: Future<Output = ()>>(paths: &[&Path], name: &'static str, reload: impl Fn() -> F) {
    let changed = Arc::new(Notify::new());
    let _watcher = watcher(paths, Arc::clone(&changed))
        .inspect_err(|error| tracing::warn!(event = "watch_failed", %error, files = name, "cannot watch the directory of a file; polling the file instead"))
        .ok();
    let mut hangup = signal(SignalKind::hangup())
        .inspect_err(|error| tracing::warn!(event = "sighup_failed", %error, files = name, "cannot listen for SIGHUP; changes of the files are still detected"))
        .ok();
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next_hangup = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed.notified() => tokio::time::sleep(SETTLE_TIME).await,
            _ = next_hangup => {}
            _ = poll.tick() => {}
        }
        reload().await;
    }
}

fn watcher(paths: &[&Path], changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // The reload itself causes access events.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            changed.notify_one();
        }
    })?;
    let directories: BTreeSet<_> = paths.iter().map(|path| directory(path)).collect();
    for directory in directories {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
