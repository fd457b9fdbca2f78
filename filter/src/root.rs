//! The plugin as Envoy configures it: read, check, announce; or refuse with the reason.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::host::{Host, Level};
use crate::metrics::Metrics;
use crate::plugin::{NotConfigured, Plugin};
use crate::stream::Stream;

/// Set by the build script: what the module was built from.
const BUILD: &str = match option_env!("CELLGATE_BUILD") {
    Some(build) => build,
    None => "unstamped",
};

/// Where the workers share the announcement that was last logged.
const ANNOUNCED: &str = "cellgate.announced";

/// How often the counters are flushed. No request is ever resumed by this timer: Envoy loses frames of the body when one
/// is resumed outside its own callbacks.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The root context: one per configuration and worker.
#[derive(Debug)]
pub struct Root<H: Host> {
    host: H,
    metrics: Rc<Metrics<H>>,
    plugin: Option<Rc<Plugin<H>>>,
}

impl<H: Host + Clone> Root<H> {
    /// A root that has no configuration yet.
    #[must_use]
    pub fn new(host: H) -> Self {
        let metrics = Rc::new(Metrics::new(host.clone()));
        Self { host, metrics, plugin: None }
    }

    /// Reads the plugin configuration. `false`: it is refused, and Envoy keeps what it had.
    pub fn configure(&mut self) -> bool {
        let configuration = self.host.configuration().unwrap_or_default();
        match Plugin::new(self.host.clone(), Rc::clone(&self.metrics), &configuration) {
            Ok(plugin) => {
                self.announce(&plugin, &configuration);
                self.plugin = Some(Rc::new(plugin));
                self.host.tick_every(FLUSH_EVERY);
                true
            }
            Err(error) => {
                self.refuse(&error);
                false
            }
        }
    }

    /// A request under the configuration that is in force now.
    #[must_use]
    pub fn open(&self) -> Stream<H> {
        Stream::new(self.host.clone(), self.plugin.clone())
    }

    fn refuse(&self, error: &NotConfigured) {
        self.metrics.config_rejected();
        // Where there is no plugin there is no timer.
        self.metrics.flush();
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

impl<H: Host + Clone + 'static> Context for Root<H> {}

impl<H: Host + Clone + 'static> RootContext for Root<H> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.configure()
    }

    fn on_tick(&mut self) {
        self.metrics.flush();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(self.open()))
    }
}

#[cfg(test)]
mod tests;
