//! Settings of the Redis store.

use std::path::PathBuf;
use std::time::Duration;

/// The longest prefix of keys, in bytes.
const MAX_PREFIX: usize = 64;

/// Settings of the Redis store. Redis 6.2 or newer, or Valkey.
///
/// The server's `maxmemory-policy` must be `noeviction`: a key that is evicted while it is in use gives its allowance back.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// The server; of a cluster, one or more of its nodes. The name is resolved anew for each connection.
    pub addresses: Vec<RedisAddress>,
    /// One server, or a cluster.
    pub topology: Topology,
    /// The number of the database. A cluster has only 0.
    pub database: u16,
    /// The beginning of all keys. Programs with the same prefix and the same secret of keys share their limits.
    pub prefix: String,
    /// TLS. Without it, everything is sent in clear.
    pub tls: Option<TlsFiles>,
    /// The user and the password.
    pub credentials: Option<Credentials>,
    /// How long a request waits for the store, from the call on. At least 1 ms.
    pub deadline: Duration,
    /// After this many failures in a row the circuit breaker opens. At least 1.
    pub max_failures: u32,
    /// The most requests that wait for the store at a time. At least 1.
    pub max_in_flight: usize,
    /// How many programs share the limits: each has this part of a limit with `when_store_fails: local` while the store is
    /// gone. At least 1.
    pub replicas: u32,
    /// The most keys that are counted locally while the store is gone. At least 1.
    pub max_local_keys: usize,
}

/// A server by its name and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// A DNS name or an IP address. A certificate must be valid for it.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One server, or a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server, or a primary behind one name. All charges of a request are stored, or none.
    Standalone,
    /// A cluster.
    Cluster(Atomicity),
}

/// Which charges a cluster judges together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomicity {
    /// All charges of a request are stored, or none. All keys with one prefix are on one node, which carries all the load.
    Domain,
    /// Each key alone. The keys are on all nodes. A request that one limit refuses may have been charged by others: they are
    /// refunded, but if a node fails just then, those units stay charged until they are paid back.
    Key,
}

/// The files of TLS, in PEM format. They are read again for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authorities of the server. Without it, those of the operating system.
    pub ca: Option<PathBuf>,
    /// The certificate of this client with its intermediate certificates, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The user and the password. A user needs these rules, with the prefix of the settings:
///
/// ```text
/// on ~{cellgate:limit:}* -@all +hello +client|setinfo +evalsha +eval +get +getdel +set +del +time
/// ```
///
/// With [`Atomicity::Key`], the keys have no braces. In a cluster `+cluster|slots` comes to it, and for another database than 0
/// `+select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user. Without it, the server's default user.
    pub user: Option<String>,
    /// A file with the password. White space at its end does not count. It is read again for each connection.
    pub password_file: PathBuf,
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// There is no address.
    #[error("the store has no address: name a server as HOST:PORT")]
    NoAddress,
    /// A standalone server has several addresses.
    #[error("a standalone server has {0} addresses: name one, or set the topology to a cluster")]
    ManyAddresses(usize),
    /// A cluster has only database 0.
    #[error("a cluster has no database {0}: remove the number of the database")]
    ClusterDatabase(u16),
    /// The prefix cannot begin a key.
    #[error("the prefix {0:?} cannot begin a key: use 1 to {MAX_PREFIX} of the characters A-Z, a-z, 0-9, and :.-_/")]
    Prefix(String),
    /// A number that must be at least 1 is 0.
    #[error("{0} is 0: use 1 or more")]
    Zero(&'static str),
    /// The deadline is too short.
    #[error("a deadline of {0:?} is too short: use 1 ms or more")]
    Deadline(Duration),
}

impl RedisSettings {
    /// A standalone server without TLS or a password: 5 ms, 5 failures, 1,000 requests in flight, one replica, and 100,000
    /// local keys.
    #[must_use]
    pub fn new(address: RedisAddress) -> Self {
        Self {
            addresses: vec![address],
            topology: Topology::Standalone,
            database: 0,
            prefix: "cellgate:limit:".to_owned(),
            tls: None,
            credentials: None,
            deadline: Duration::from_millis(5),
            max_failures: 5,
            max_in_flight: 1_000,
            replicas: 1,
            max_local_keys: 100_000,
        }
    }

    /// Checks what no type can say.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), BadSettings> {
        let is_cluster = self.topology != Topology::Standalone;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":.-_/".contains(&byte);
        let zero = [
            ("max_failures", self.max_failures == 0),
            ("max_in_flight", self.max_in_flight == 0),
            ("replicas", self.replicas == 0),
            ("max_local_keys", self.max_local_keys == 0),
        ];
        match self.addresses.len() {
            0 => return Err(BadSettings::NoAddress),
            2.. if !is_cluster => return Err(BadSettings::ManyAddresses(self.addresses.len())),
            _ => {}
        }
        if is_cluster && self.database != 0 {
            return Err(BadSettings::ClusterDatabase(self.database));
        }
        if self.prefix.is_empty() || self.prefix.len() > MAX_PREFIX || !self.prefix.bytes().all(fits) {
            return Err(BadSettings::Prefix(self.prefix.clone()));
        }
        if self.deadline < Duration::from_millis(1) {
            return Err(BadSettings::Deadline(self.deadline));
        }
        match zero.iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(BadSettings::Zero(name)),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for RedisAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
