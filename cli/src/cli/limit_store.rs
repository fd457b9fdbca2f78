//! The options of `cellgate serve` for the store of rate limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use cellgate_ext_proc::LimitStoreSettings;
use cellgate_limit_store::{Atomicity, Credentials, RedisAddress, RedisSettings, TlsFiles, Topology};
use clap::{Args, ValueEnum};

use super::{Exit, Failure, values};

/// The port of a server whose address has none.
const DEFAULT_PORT: u16 = 6379;

/// The digits of a secret: 16 bytes.
const SECRET_DIGITS: usize = 32;

/// Options for the store of rate limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rate limits")]
pub(crate) struct LimitStoreArgs {
    /// The most keys of rate limits that are counted in this process at a time; a key takes 80 to 160 bytes
    #[arg(long, value_name = "COUNT", env = "CELLGATE_MAX_LIMIT_KEYS", default_value = "1000000", value_parser = values::limit_keys)]
    max_limit_keys: usize,
    /// The Redis or Valkey that all replicas share: redis://HOST:PORT/DATABASE, or rediss:// for TLS; without it, each replica counts alone
    // A text, because clap would show a URL that is refused, and it may have a password.
    #[arg(
        long,
        value_name = "URL",
        env = "CELLGATE_LIMIT_STORE",
        hide_env_values = true,
        requires = "limit_secret_file"
    )]
    limit_store: Option<String>,
    /// A file with 32 hexadecimal digits, the same for all replicas: the secret with which keys are hashed
    #[arg(long, value_name = "FILE", env = "CELLGATE_LIMIT_SECRET_FILE")]
    limit_secret_file: Option<PathBuf>,
    /// The store is a cluster: `domain` keeps all keys on one node, `key` judges each key of a request alone
    #[arg(long, value_name = "ATOMIC", env = "CELLGATE_LIMIT_STORE_CLUSTER", value_enum, requires = "limit_store")]
    limit_store_cluster: Option<ClusterAtomicity>,
    /// The user of the store
    #[arg(long, value_name = "NAME", env = "CELLGATE_LIMIT_STORE_USER", requires = "limit_store_password_file")]
    limit_store_user: Option<String>,
    /// A file with the password of the store, read again for each connection
    #[arg(long, value_name = "FILE", env = "CELLGATE_LIMIT_STORE_PASSWORD_FILE", requires = "limit_store")]
    limit_store_password_file: Option<PathBuf>,
    /// A PEM file with the authorities of the store's certificate [default: those of the system]
    #[arg(long, value_name = "FILE", env = "CELLGATE_LIMIT_STORE_CA", requires = "limit_store")]
    limit_store_ca: Option<PathBuf>,
    /// A PEM file with the certificate that this service shows to the store
    #[arg(long, value_name = "FILE", env = "CELLGATE_LIMIT_STORE_CERT", requires = "limit_store_key")]
    limit_store_cert: Option<PathBuf>,
    /// A PEM file with that certificate's private key
    #[arg(long, value_name = "FILE", env = "CELLGATE_LIMIT_STORE_KEY", requires = "limit_store_cert")]
    limit_store_key: Option<PathBuf>,
    /// How long a request waits for the store; then the limit's `when_store_fails` answers
    #[arg(long, value_name = "TIME", env = "CELLGATE_LIMIT_STORE_TIMEOUT", default_value = "5ms", value_parser = values::positive_duration)]
    limit_store_timeout: Duration,
    /// The beginning of all keys in the store
    #[arg(long, value_name = "TEXT", env = "CELLGATE_LIMIT_STORE_PREFIX", default_value = "cellgate:limit:")]
    limit_store_prefix: String,
    /// How many replicas share the store: with `when_store_fails: local`, each has this part of a limit while it is gone
    #[arg(long, value_name = "COUNT", env = "CELLGATE_LIMIT_STORE_REPLICAS", default_value = "1", value_parser = values::above_zero)]
    limit_store_replicas: u32,
}

/// Which keys a cluster judges together.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ClusterAtomicity {
    /// All keys of a request, on one node
    Domain,
    /// Each key alone, on all nodes
    Key,
}

/// `redis://HOST:PORT,HOST:PORT/DATABASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreUrl {
    is_tls: bool,
    addresses: Vec<RedisAddress>,
    database: u16,
}

/// The text is not the URL of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadStoreUrl {
    #[error("use redis://HOST:PORT or rediss://HOST:PORT; of a cluster, nodes are separated by commas")]
    Scheme,
    #[error("a name or an IP address is missing, or a port is not a number from 1 to 65535")]
    Address,
    #[error("the database is not a number from 0 to 65535")]
    Database,
    #[error("a password in a URL is visible to others: use --limit-store-user and --limit-store-password-file")]
    Credentials,
}

impl LimitStoreArgs {
    /// The settings of the store. An error does not show its URL.
    pub(super) fn settings(&self) -> Result<LimitStoreSettings, Failure> {
        let Some(url) = &self.limit_store else {
            return Ok(LimitStoreSettings::Embedded { max_keys: self.max_limit_keys });
        };
        let url: StoreUrl = url.parse().map_err(|error: BadStoreUrl| {
            Failure::new(Exit::Usage, format!("--limit-store (or CELLGATE_LIMIT_STORE): {error}"))
        })?;
        let tls = url.is_tls.then(|| TlsFiles {
            ca: self.limit_store_ca.clone(),
            client: self.limit_store_cert.clone().zip(self.limit_store_key.clone()),
        });
        if !url.is_tls && (self.limit_store_ca.is_some() || self.limit_store_cert.is_some()) {
            let message = "--limit-store-ca and --limit-store-cert are for TLS: use a rediss:// URL in --limit-store";
            return Err(Failure::new(Exit::Usage, message));
        }
        let topology = match self.limit_store_cluster {
            None => Topology::Standalone,
            Some(ClusterAtomicity::Domain) => Topology::Cluster(Atomicity::Domain),
            Some(ClusterAtomicity::Key) => Topology::Cluster(Atomicity::Key),
        };
        let credentials = self
            .limit_store_password_file
            .clone()
            .map(|password_file| Credentials { user: self.limit_store_user.clone(), password_file });
        let settings = RedisSettings {
            addresses: url.addresses,
            topology,
            database: url.database,
            prefix: self.limit_store_prefix.clone(),
            tls,
            credentials,
            deadline: self.limit_store_timeout,
            replicas: self.limit_store_replicas,
            max_local_keys: self.max_limit_keys,
            ..RedisSettings::new(RedisAddress { host: String::new(), port: 0 })
        };
        settings.check().map_err(|error| Failure::new(Exit::Usage, format!("--limit-store: {error}")))?;
        Ok(LimitStoreSettings::Redis(Box::new(settings)))
    }

    /// The secret of the keys, if there is a file.
    pub(super) fn secret(&self) -> Result<Option<[u8; 16]>, Failure> {
        self.limit_secret_file.as_deref().map(secret).transpose()
    }
}

fn secret(file: &Path) -> Result<[u8; 16], Failure> {
    let path = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::new(Exit::NoInput, format!("--limit-secret-file {path}: cannot read the file: {error}"))
    })?;
    // The text is secret, so the message does not show it.
    let bad = || {
        let message = format!(
            "--limit-secret-file {path}: expected {SECRET_DIGITS} hexadecimal digits, such as those that \
             `openssl rand -hex 16` prints"
        );
        Failure::new(Exit::BadConfig, message)
    };
    let text = text.trim_end();
    let is_hex = text.len() == SECRET_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
    number.map(u128::to_be_bytes).ok_or_else(bad)
}

impl FromStr for StoreUrl {
    type Err = BadStoreUrl;

    fn from_str(text: &str) -> Result<Self, BadStoreUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(BadStoreUrl::Scheme)?;
        let is_tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(BadStoreUrl::Scheme),
        };
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains('@') {
            return Err(BadStoreUrl::Credentials);
        }
        let is_number = database.bytes().all(|byte| byte.is_ascii_digit());
        let database = if database.is_empty() { Some(0) } else { database.parse().ok().filter(|_| is_number) };
        let addresses = hosts.split(',').map(address).collect::<Option<Vec<_>>>().ok_or(BadStoreUrl::Address)?;
        Ok(Self { is_tls, addresses, database: database.ok_or(BadStoreUrl::Database)? })
    }
}

/// `HOST`, `HOST:PORT`, or an IPv6 address in brackets.
fn address(text: &str) -> Option<RedisAddress> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|number| *number > 0 && !port.starts_with('+'))?,
        None => DEFAULT_PORT,
    };
    let is_host = !host.is_empty() && !host.bytes().any(|byte| byte.is_ascii_whitespace() || byte == b'?');
    is_host.then(|| RedisAddress { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<(bool, String, u16), BadStoreUrl> {
        let url: StoreUrl = text.parse()?;
        let addresses: Vec<_> = url.addresses.iter().map(ToString::to_string).collect();
        Ok((url.is_tls, addresses.join(" "), url.database))
    }

    #[test]
    fn a_url_names_servers_and_a_database() {
        for (text, is_tls, addresses, database) in [
            ("redis://cache:6380/2", false, "cache:6380", 2),
            ("redis://cache", false, "cache:6379", 0),
            ("rediss://10.0.0.1:6379/", true, "10.0.0.1:6379", 0),
            ("redis://[::1]:7000,[2001:db8::1]", false, "[::1]:7000 [2001:db8::1]:6379", 0),
            ("redis://a:1,b:2,c", false, "a:1 b:2 c:6379", 0),
        ] {
            assert_eq!(url(text), Ok((is_tls, addresses.to_owned(), database)), "{text}");
        }
    }

    #[test]
    fn anything_else_has_a_reason() {
        for (text, reason) in [
            ("cache:6379", BadStoreUrl::Scheme),
            ("http://cache", BadStoreUrl::Scheme),
            ("redis://", BadStoreUrl::Address),
            ("redis://:6379", BadStoreUrl::Address),
            ("redis://a,,b", BadStoreUrl::Address),
            ("redis://cache:0", BadStoreUrl::Address),
            ("redis://cache:65536", BadStoreUrl::Address),
            ("redis://cache:+1", BadStoreUrl::Address),
            ("redis://[::1", BadStoreUrl::Address),
            ("redis://[cache]:1", BadStoreUrl::Address),
            ("redis://::1", BadStoreUrl::Address),
            ("redis://cache/one", BadStoreUrl::Database),
            ("redis://cache/-1", BadStoreUrl::Database),
            ("redis://cache/65536", BadStoreUrl::Database),
            ("redis://user:secret@cache", BadStoreUrl::Credentials),
        ] {
            assert_eq!(url(text), Err(reason), "{text}");
        }
    }
}
