//! What the requests of one configuration share.

use std::rc::Rc;

use cellgate_routing::{Config, Router, Tier};

use crate::host::Host;
use crate::metrics::Metrics;

/// The name that errors give the configuration: Envoy has no file name for it.
const FILE: &str = "plugin configuration";

/// A configuration in force. A request keeps the one it started with.
#[derive(Debug)]
pub struct Plugin<H: Host> {
    pub(crate) host: H,
    pub(crate) router: Router,
    /// The root's: they outlive a configuration.
    pub(crate) metrics: Rc<Metrics<H>>,
}

/// Why a configuration is refused: a sentence for Envoy's log.
#[derive(Debug, PartialEq, Eq)]
pub struct NotConfigured(String);

impl std::fmt::Display for NotConfigured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotConfigured {}

impl<H: Host> Plugin<H> {
    /// Puts a configuration (JSON) in force.
    ///
    /// # Errors
    /// It is not UTF-8, or the core refuses it.
    pub fn new(host: H, metrics: Rc<Metrics<H>>, configuration: &[u8]) -> Result<Self, NotConfigured> {
        let text = std::str::from_utf8(configuration)
            .map_err(|error| NotConfigured(format!("{FILE}: not UTF-8 from byte {} on", error.valid_up_to())))?;
        let config = Config::from_json(text, FILE).map_err(|error| NotConfigured(error.to_string()))?;
        Ok(Self { host, router: Router::new(config, Tier::Filter), metrics })
    }
}
