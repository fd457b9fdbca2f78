//! Keys in Redis: the prefix, and the limit key in hexadecimal digits.

use cellgate_limiting::LimitKey;

use crate::settings::{Atomicity, RedisSettings, Topology};

/// The beginning of all keys.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    /// A hash tag puts all keys on one node of a cluster. A standalone server's keys have one too, so that moving to a
    /// cluster with `Atomicity::Domain` changes no key.
    pub(crate) fn new(settings: &RedisSettings) -> Self {
        let prefix = &settings.prefix;
        match settings.topology {
            Topology::Cluster(Atomicity::Key) => Self { prefix: prefix.clone() },
            Topology::Standalone | Topology::Cluster(Atomicity::Domain) => Self { prefix: format!("{{{prefix}}}") },
        }
    }

    pub(crate) fn key(&self, key: LimitKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A key that no limit has. Each number makes another one.
    pub(crate) fn probe(&self, number: u32) -> String {
        format!("{}{number}probe", self.prefix)
    }
}
