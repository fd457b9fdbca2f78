//! The state that all requests under one configuration share.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::str::Utf8Error;

use cellgate_config::ConfigError;
use cellgate_routing::{Decider, Tier};

use crate::host::Host;
use crate::leases::{LeaseSession, LeaseSessions};
use crate::metrics::Metrics;

/// The configuration's name in errors: Envoy has no file name for it.
const FILE: &str = "plugin configuration";

/// A configuration with its host and counters. A request keeps the one it started with.
#[derive(Debug)]
pub struct Plugin<H: Host> {
    pub(crate) host: H,
    pub(crate) decider: Decider,
    /// The root's counters, which outlive a configuration.
    pub(crate) metrics: Rc<Metrics<H>>,
    /// The units that requests can spend, if one of the rate limits is leased.
    pub(crate) leases: Option<Rc<LeaseSession<H>>>,
}

/// Why a configuration is refused. The message is for Envoy's log and has one line per problem.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfigurationRefused {
    /// The text is not UTF-8.
    NotUtf8(Utf8Error),
    /// The routing crate refuses it.
    Invalid(ConfigError),
}

impl fmt::Display for ConfigurationRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8(error) => write!(f, "{FILE}: not UTF-8 from byte {} on", error.valid_up_to()),
            Self::Invalid(error) => error.fmt(f),
        }
    }
}

impl Error for ConfigurationRefused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotUtf8(error) => Some(error),
            // Its message is shown as this error's own.
            Self::Invalid(error) => error.source(),
        }
    }
}

impl<H: Host> Plugin<H> {
    /// Reads a configuration in JSON. `sessions` are those of the VM.
    ///
    /// # Errors
    /// It is not UTF-8, or the routing crate refuses it.
    pub fn new(
        host: H,
        metrics: Rc<Metrics<H>>,
        sessions: &LeaseSessions<H>,
        configuration: &[u8],
    ) -> Result<Self, ConfigurationRefused>
    where
        H: Clone,
    {
        let text = std::str::from_utf8(configuration).map_err(ConfigurationRefused::NotUtf8)?;
        let config = cellgate_config::from_json(text, FILE).map_err(ConfigurationRefused::Invalid)?;
        let leases = sessions.session(&host, &config);
        Ok(Self { host, decider: Decider::new(config, Tier::Filter), metrics, leases })
    }
}
