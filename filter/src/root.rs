//! The root context: reads the plugin's configuration, logs it, or refuses it with the reason.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

use crate::host::{Envoy, Host};
use crate::leases::LeaseSessions;
use crate::metrics::Metrics;
use crate::plugin::{ConfigurationRefused, Plugin};
use crate::stream::Stream;

/// The revision that the module was built from. `scripts/build-wasm.sh` sets it.
const BUILD: &str = match option_env!("CELLGATE_BUILD") {
    Some(build) => build,
    None => "unstamped",
};

/// The shared key of the configuration line that a worker logged last.
const LOGGED_LINE: &str = "cellgate.announced";

/// The longest period in which the counters are flushed and calls to the service are made. This timer must never resume a
/// request: Envoy loses body frames of a request that is resumed outside its own callbacks.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The root context: one per configuration and worker.
#[derive(Debug)]
pub struct Root<H: Host> {
    host: H,
    metrics: Rc<Metrics<H>>,
    /// Of the VM.
    sessions: Rc<LeaseSessions<H>>,
    plugin: Option<Rc<Plugin<H>>>,
    /// The period of the timer.
    period: Duration,
}

impl Root<Envoy> {
    /// A root in Envoy, with the sessions of its VM.
    #[must_use]
    pub fn in_envoy() -> Self {
        thread_local! {
            /// A VM has one thread.
            static SESSIONS: Rc<LeaseSessions<Envoy>> = Rc::default();
        }
        Self::new(Envoy, SESSIONS.with(Rc::clone))
    }
}

impl<H: Host + Clone> Root<H> {
    /// A root that has no configuration yet. All roots of a VM have the same sessions.
    #[must_use]
    pub fn new(host: H, sessions: Rc<LeaseSessions<H>>) -> Self {
        let metrics = Rc::new(Metrics::new(host.clone()));
        Self { host, metrics, sessions, plugin: None, period: FLUSH_EVERY }
    }

    /// Reads the plugin's configuration. `false`: it is refused, and Envoy keeps the previous one.
    pub fn configure(&mut self) -> bool {
        let configuration = self.host.configuration().unwrap_or_default();
        match Plugin::new(self.host.clone(), Rc::clone(&self.metrics), &self.sessions, &configuration) {
            Ok(plugin) => {
                self.log_once(&plugin, &configuration);
                self.plugin = Some(Rc::new(plugin));
                self.host.tick_every(self.period);
                true
            }
            Err(error) => {
                self.refuse(&error);
                false
            }
        }
    }

    /// A request under the current configuration.
    #[must_use]
    pub fn open(&self) -> Stream<H> {
        Stream::new(self.host.clone(), self.plugin.clone())
    }

    #[cfg(test)]
    pub(crate) fn flush(&self) {
        self.metrics.flush();
    }

    /// Takes the answer of the service. The timer follows its interval.
    fn on_response(&mut self, token: u32, status: u32, size: usize) {
        self.sessions.on_response(&self.host, &self.metrics, token, status, size);
        let period = self.sessions.period(FLUSH_EVERY);
        if period != self.period {
            self.period = period;
            self.host.tick_every(period);
        }
    }

    fn refuse(&self, error: &ConfigurationRefused) {
        self.metrics.config_rejected();
        // Without a plugin there is no timer that would flush.
        self.metrics.flush();
        // One line per problem.
        for line in error.to_string().lines() {
            self.host.log(LogLevel::Error, &format!("cellgate: configuration refused: {line}"));
        }
    }

    /// Logs the configuration once. Envoy configures the plugin once for a trial and once per worker, so the line is
    /// logged only if it differs from the last one.
    fn log_once(&self, plugin: &Plugin<H>, configuration: &[u8]) {
        let config = plugin.decider.config();
        let mut fingerprint = DefaultHasher::new();
        configuration.hash(&mut fingerprint);
        let label = if config.version.is_empty() { "unnamed" } else { &config.version };
        let line = format!(
            "cellgate {} (build {BUILD}): configuration {label} ({:016x}) loaded: {} cells, {} sources, holds bodies of at most {} bytes",
            env!("CARGO_PKG_VERSION"),
            fingerprint.finish(),
            config.cells.len(),
            config.sources.len(),
            config.limits.inspect_bytes,
        );
        if self.host.shared(LOGGED_LINE).is_none_or(|logged| logged != line.as_bytes()) {
            self.host.set_shared(LOGGED_LINE, &line);
            self.host.log(LogLevel::Info, &line);
        }
    }
}

impl<H: Host + Clone + 'static> Context for Root<H> {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        self.on_response(token, status, size);
    }
}

impl<H: Host + Clone + 'static> RootContext for Root<H> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.configure()
    }

    fn on_tick(&mut self) {
        self.sessions.tick(&self.metrics);
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
