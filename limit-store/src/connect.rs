//! Connections to Redis. Files and names are read anew for each.

mod repeat;

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind,
    TlsCertificates, Value,
};

use tokio_rustls::rustls::crypto;

use crate::settings::{RedisSettings, Topology};

/// How long a connection may take: name, TCP, TLS, password.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest file of a password or of certificates, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A connection that many requests share.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why no connection was made. The messages say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot read {}: {error}. Make it a file that this process can read", .path.display())]
    File { path: PathBuf, error: String },
    #[error("{} is larger than 1 MiB: name another file", .path.display())]
    LargeFile { path: PathBuf },
    #[error("the password in {} is empty: write the password into the file", .path.display())]
    EmptyPassword { path: PathBuf },
    #[error("the files of TLS cannot be used: {error}. Check the authorities, and the client's certificate and key")]
    Tls { error: String },
    #[error("{address} does not answer within 1 s: check address and TLS, and that this process may connect to it")]
    Timeout { address: String },
    #[error("{address} refuses connections: check the address, and that the server runs")]
    Unreachable { address: String },
    #[error("{address} refuses the user or the password: {error}. Check the user and the file of the password")]
    Password { address: String, error: String },
    #[error("{address} asks for a password: set a file of the password")]
    NoPassword { address: String },
    #[error("{address} has no database {database}: {error}. Choose another number, or raise `databases` of the server")]
    Database { address: String, database: u16, error: String },
    #[error("{address} does not speak Redis' protocol, or only with TLS: check the address and the settings of TLS")]
    Protocol { address: String },
    #[error("{address} ends the connection before it answers: {error}. Check the address, and whether it wants TLS")]
    Closed { address: String, error: String },
    #[error("the memory of {address} is full: raise its `maxmemory`, or give the limits a server of their own")]
    Full { address: String },
    #[error("{address} is too old: {error}. Use Redis 6.2 or newer, or Valkey")]
    TooOld { address: String, error: String },
    #[error("{address} is a node of a cluster: set the topology to a cluster")]
    IsCluster { address: String },
    #[error("{address} is not a node of a cluster: set the topology to a standalone server")]
    NotCluster { address: String },
    #[error("{address} cannot be connected to: {error}")]
    Other { address: String, error: String },
}

impl Connection {
    /// Connects. `on_end` is called once if the connection of a standalone server ends.
    pub(crate) async fn open(
        settings: &RedisSettings,
        on_end: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, ConnectError> {
        let address = addresses(settings);
        let login = login(settings).await?;
        let certificates = certificates(settings).await?;
        let opened = async {
            match settings.topology {
                Topology::Standalone => Self::open_single(settings, login, certificates, on_end).await,
                Topology::Cluster(_) => Self::open_cluster(settings, login, certificates).await,
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, opened).await {
            Ok(opened) => opened.map_err(|error| explain(address, settings, &error)),
            Err(_) => Err(ConnectError::Timeout { address }),
        }
    }

    async fn open_single(
        settings: &RedisSettings,
        login: RedisConnectionInfo,
        certificates: Option<TlsCertificates>,
        on_end: impl Fn() + Send + Sync + 'static,
    ) -> RedisResult<Self> {
        let infos = infos(settings, &login)?;
        let info = infos.into_iter().next().ok_or((ErrorKind::InvalidClientConfig, "no address"))?;
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            // Requests have a deadline of their own.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(settings.max_in_flight)
            .set_push_sender(move |push: PushInfo| -> Result<(), SendError> {
                if push.kind == PushKind::Disconnection {
                    on_end();
                }
                Ok(())
            });
        client.get_multiplexed_async_connection_with_config(&config).await.map(Self::Single)
    }

    async fn open_cluster(
        settings: &RedisSettings,
        login: RedisConnectionInfo,
        certificates: Option<TlsCertificates>,
    ) -> RedisResult<Self> {
        let builder = ClusterClient::builder(infos(settings, &login)?)
            .connection_timeout(CONNECT_TIMEOUT)
            // The client would also send a script again whose connection was lost, and which may have run. See `repeat`.
            .retries(0)
            .response_timeout(settings.deadline);
        let builder = match certificates {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        };
        builder.build()?.get_async_connection().await.map(Self::Cluster)
    }

    pub(crate) async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => repeat::run(&mut connection.clone(), command).await,
        }
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// All addresses, for messages.
pub(crate) fn addresses(settings: &RedisSettings) -> String {
    let addresses: Vec<String> = settings.addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

/// Says to a user what an error of the client means.
pub(crate) fn explain(address: String, settings: &RedisSettings, error: &RedisError) -> ConnectError {
    let text = error.to_string();
    // rustls adds the bytes that it did not expect.
    let text = text.split_once(": [").map_or(text.as_str(), |(text, _)| text).trim_end_matches('.').to_owned();
    let says = |words: &str| text.to_ascii_lowercase().contains(words);
    let code = error.code().unwrap_or_default();
    match error.kind() {
        _ if code == "NOAUTH" || says("noauth") => ConnectError::NoPassword { address },
        _ if says("\"oom\"") => ConnectError::Full { address },
        _ if error.is_connection_refusal() || says("connection refused") => ConnectError::Unreachable { address },
        _ if says("db index") => ConnectError::Database { address, database: settings.database, error: text },
        _ if says("cluster support disabled") => ConnectError::NotCluster { address },
        _ if says("certificate") || says("alert") => ConnectError::Tls { error: text },
        _ if says("wrongpass") || says("invalid password") => ConnectError::Password { address, error: text },
        _ if says("corruptmessage") || says("corrupt message") => ConnectError::Protocol { address },
        _ if says("unknown command") || says("syntax error") => ConnectError::TooOld { address, error: text },
        ErrorKind::AuthenticationFailed => ConnectError::Password { address, error: text },
        _ if error.is_connection_dropped() => ConnectError::Closed { address, error: text },
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => ConnectError::Protocol { address },
        ErrorKind::RESP3NotSupported => ConnectError::TooOld { address, error: text },
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::CrossSlot) => ConnectError::IsCluster { address },
        _ => ConnectError::Other { address, error: text },
    }
}

fn infos(settings: &RedisSettings, login: &RedisConnectionInfo) -> RedisResult<Vec<ConnectionInfo>> {
    let address = |host: &String, port| match settings.tls {
        Some(_) => ConnectionAddr::TcpTls { host: host.clone(), port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host.clone(), port),
    };
    let infos = settings.addresses.iter().map(|server| address(&server.host, server.port).into_connection_info());
    infos.map(|info| info.map(|info| info.set_redis_settings(login.clone()))).collect()
}

async fn login(settings: &RedisSettings) -> Result<RedisConnectionInfo, ConnectError> {
    let login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(settings.database.into())
        .set_lib_name("cellgate", env!("CARGO_PKG_VERSION"));
    let Some(credentials) = &settings.credentials else { return Ok(login) };
    let path = &credentials.password_file;
    let content = read(path).await?;
    let password = String::from_utf8_lossy(&content);
    let password = password.trim_end();
    if password.is_empty() {
        return Err(ConnectError::EmptyPassword { path: path.clone() });
    }
    let login = login.set_password(password);
    Ok(match &credentials.user {
        Some(user) => login.set_username(user),
        None => login,
    })
}

async fn certificates(settings: &RedisSettings) -> Result<Option<TlsCertificates>, ConnectError> {
    let Some(files) = &settings.tls else { return Ok(None) };
    // The client takes the provider of the process. If it has one already, that one stays.
    let _ = crypto::ring::default_provider().install_default();
    let root_cert = match &files.ca {
        Some(path) => Some(read(path).await?),
        None => None,
    };
    let client_tls = match &files.client {
        Some((certificate, key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate).await?, client_key: read(key).await? })
        }
        None => None,
    };
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}

/// The content of a file. A blocking thread reads it: a network file system can be slow.
async fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    let owned = path.to_owned();
    let content = tokio::task::spawn_blocking(move || {
        if std::fs::metadata(&owned)?.len() > MAX_FILE { Ok(None) } else { std::fs::read(&owned).map(Some) }
    });
    let failed = |error: String| ConnectError::File { path: path.to_owned(), error };
    match content.await {
        Ok(Ok(Some(content))) => Ok(content),
        Ok(Ok(None)) => Err(ConnectError::LargeFile { path: path.to_owned() }),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
