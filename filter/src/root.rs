//! The plugin as Envoy configures it: read, check, announce; or refuse with the reason.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use crate::host::{Host, Level};
use crate::metrics::Metrics;
use crate::plugin::{NotConfigured, Plugin};

/// Set by the build script: what the module was built from.
const BUILD: &str = match option_env!("CELLGATE_BUILD") {
    Some(build) => build,
    None => "unstamped",
};

/// Where the workers share the announcement that was last logged.
const ANNOUNCED: &str = "cellgate.announced";

/// The root context: one per configuration and worker.
#[derive(Debug)]
pub struct Root<H> {
    host: H,
    plugin: Option<Rc<Plugin<H>>>,
}

impl<H: Host + Clone> Root<H> {
    /// A root that has no configuration yet.
    #[must_use]
    pub fn new(host: H) -> Self {
        Self { host, plugin: None }
    }

    /// Reads the plugin configuration. `false`: it is refused, and Envoy keeps what it had.
    pub fn configure(&mut self) -> bool {
        let configuration = self.host.configuration().unwrap_or_default();
        match Plugin::new(self.host.clone(), &configuration) {
            Ok(plugin) => {
                self.announce(&plugin, &configuration);
                self.plugin = Some(Rc::new(plugin));
                true
            }
            Err(error) => {
                self.refuse(&error);
                false
            }
        }
    }

    /// What new requests are decided with.
    #[must_use]
    pub fn plugin(&self) -> Option<Rc<Plugin<H>>> {
        self.plugin.clone()
    }

    fn refuse(&self, error: &NotConfigured) {
        // Not the plugin's metrics: there is no plugin.
        Metrics::default().config_rejected(&self.host);
        // A line for each problem.
        for line in error.to_string().lines() {
            self.host.log(Level::Error, &format!("cellgate: configuration refused: {line}"));
        }
    }

    /// Says once what is in force. Envoy configures the plugin once for a trial and once per worker, so the line is
    /// compared with the one last logged.
    fn announce(&self, plugin: &Plugin<H>, configuration: &[u8]) {
        let config = plugin.router.config();
        let mut fingerprint = DefaultHasher::new();
        configuration.hash(&mut fingerprint);
        let label = if config.version.is_empty() { "unnamed" } else { &config.version };
        let line = format!(
            "cellgate {} (build {BUILD}): configuration {label} ({:016x}) in force: {} cells, {} sources, holds {} bytes",
            env!("CARGO_PKG_VERSION"),
            fingerprint.finish(),
            config.cells.len(),
            config.sources.len(),
            config.limits.inspect_bytes,
        );
        if self.host.shared(ANNOUNCED).is_none_or(|logged| logged != line.as_bytes()) {
            self.host.set_shared(ANNOUNCED, &line);
            self.host.log(Level::Info, &line);
        }
    }
}

#[cfg(test)]
mod tests;
