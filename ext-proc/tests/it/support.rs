//! A running service, and the means to wait for it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cellgate_ext_proc::{
    LeaseSettings, LimitHeaders, LimitStoreSettings, Listener, ServeError, Settings, UnixSocket, serve,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// After this long a test has failed, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Two cells, and a key in the body or in a header.
pub(crate) const CONFIG: &str = include_str!("../fixtures/cellgate.yaml");

/// A service in this process, on free ports, with a configuration file of its own.
pub(crate) struct Service {
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) config: PathBuf,
    stop: mpsc::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
    _directory: TempDir,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = listener.local_addr().unwrap();
        Self { grpc, ..Self::start_at(listener, change).await }
    }

    /// On a Unix socket.
    pub(crate) async fn start_on(socket: UnixSocket) -> Self {
        Self::start_at(socket, |_| {}).await
    }

    /// The error of a start that fails.
    pub(crate) async fn failed_start(change: impl FnOnce(&mut Settings)) -> ServeError {
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self::launch(grpc, change).await;
        service.ended().await.expect_err("it started")
    }

    async fn start_at(grpc: impl Into<Listener>, change: impl FnOnce(&mut Settings)) -> Self {
        let service = Self::launch(grpc, change).await;
        until("ready", || async { service.get("/readyz").await.0 == 200 }).await;
        service
    }

    async fn launch(grpc: impl Into<Listener>, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("cellgate.yaml");
        std::fs::write(&config, CONFIG).unwrap();
        let mut settings = Settings {
            config: config.clone(),
            decision_timeout: PATIENCE,
            drain_delay: Duration::ZERO,
            drain_timeout: PATIENCE,
            max_held_bytes: 64 << 20,
            budget_timeout: PATIENCE,
            max_message_bytes: 64 << 20,
            max_streams: 10_000,
            limit_store: LimitStoreSettings::Embedded { max_keys: 1_000 },
            limit_secret: None,
            admin_token: None,
            limit_headers: LimitHeaders::Refused,
            x_rate_limit: false,
            leases: LeaseSettings { term: Duration::from_secs(10), interval: Duration::from_secs(1) },
            not_ready_when_overloaded: None,
            preface_timeout: PATIENCE,
            logging: None,
            tls: None,
            traces: None,
        };
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = listener.local_addr().unwrap();
        let (stop, signals) = mpsc::channel(2);
        let served = tokio::spawn(serve(grpc.into(), listener, settings, signals));
        // Replaced by the caller if it is a port.
        let grpc = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { grpc, admin, config, stop, served, _directory: directory }
    }

    /// As SIGTERM does.
    pub(crate) fn stop(&self) {
        self.stop.try_send(()).unwrap();
    }

    /// How it ended.
    pub(crate) async fn ended(self) -> Result<(), ServeError> {
        tokio::time::timeout(PATIENCE, self.served).await.expect("still running").unwrap()
    }

    /// A GET on the admin port: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get(self.admin, path).await
    }

    /// A metric's value, by its full name with labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

/// A GET by hand: status and body. Status 0 if nobody answers.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let (status, _, body) = request(address, "GET", path, &[]).await;
    (status, body)
}

/// A request without a body, by hand: status, head and body. Status 0 if nobody answers.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> (u16, String, String) {
    let nothing = || (0, String::new(), String::new());
    let Ok(mut connection) = TcpStream::connect(address).await else { return nothing() };
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{fields}\r\n");
    let mut answer = String::new();
    let talked = async {
        connection.write_all(request.as_bytes()).await?;
        connection.read_to_string(&mut answer).await
    };
    if talked.await.is_err() {
        return nothing();
    }
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status, head.to_owned(), body.to_owned())
}

/// Waits for a condition.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waited = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}
