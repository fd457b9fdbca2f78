//! A real Valkey server on the loopback interface, alone or in a cluster of three.
//!
//! `scripts/valkey.sh` installs the server. Another program serves as well, such as a Redis server with TLS:
//! [`ServerOptions::program`].

mod resp;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::ports::KeptPort;
use crate::process::{Process, Signal};
use crate::{artifacts, wait};

/// The settings of a server.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    program: Option<PathBuf>,
    arguments: Vec<String>,
    password: Option<String>,
    is_tls: bool,
    is_cluster_node: bool,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Valkey {
    process: Option<Process>,
    options: ServerOptions,
    port: KeptPort,
    /// Of the messages between the nodes of a cluster.
    bus: KeptPort,
    directory: TempDir,
}

impl ServerOptions {
    /// A server without persistence.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another program than the Valkey of `scripts/valkey.sh`.
    #[must_use]
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// An option of the server and its values: `option("databases", ["4"])`.
    #[must_use]
    pub fn option<'a>(mut self, name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.push(format!("--{name}"));
        self.arguments.extend(values.into_iter().map(str::to_owned));
        self
    }

    /// The password of the default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.option("requirepass", [password])
    }

    /// The port speaks TLS only: certificate, key, and the authority of clients, which all need a certificate.
    #[must_use]
    pub fn tls(mut self, certificate: &Path, key: &Path, client_ca: &Path) -> Self {
        self.is_tls = true;
        for (name, path) in [("tls-cert-file", certificate), ("tls-key-file", key), ("tls-ca-cert-file", client_ca)] {
            self = self.option(name, [path.to_string_lossy().as_ref()]);
        }
        self
    }
}

impl Valkey {
    /// Starts a server, and waits until it answers.
    ///
    /// # Errors
    /// When there is no program, or it does not start.
    pub async fn start(options: ServerOptions) -> Result<Self> {
        let mut server = Self {
            process: None,
            options,
            port: KeptPort::take()?,
            bus: KeptPort::take()?,
            directory: tempfile::tempdir()?,
        };
        server.restart().await?;
        Ok(server)
    }

    /// Starts it again on the same port, with nothing stored, and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let program = match &self.options.program {
            Some(program) => program.clone(),
            None => artifacts::valkey()?,
        };
        let address = self.address()?;
        let port = address.port().to_string();
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if self.options.is_tls {
            command.args(["--port", "0", "--tls-port", &port]);
        } else {
            command.args(["--port", &port]);
        }
        if self.options.is_cluster_node {
            let bus = self.bus.address()?.port().to_string();
            command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus]);
        }
        command.args(&self.options.arguments);
        let process = Process::spawn("valkey", &mut command, &self.directory.path().join("log"))?;
        let process = self.process.insert(process);
        wait::until("the server's port", || async {
            process.must_run()?;
            Ok(tokio::net::TcpStream::connect(address).await.ok())
        })
        .await?;
        if !self.options.is_tls {
            self.command(&["PING"]).await?;
        }
        Ok(())
    }

    /// The address on which it listens.
    ///
    /// # Errors
    /// The system call fails.
    pub fn address(&self) -> Result<SocketAddr> {
        self.port.address()
    }

    /// Its process id.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the server does not run")?.pid())
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Sends it a signal: `Signal::STOP` pauses it, `Signal::CONT` lets it go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("the server does not run")?.signal(signal)
    }

    /// Runs a command on a connection of its own, and returns the reply as text: an array's elements with spaces between
    /// them, and nothing for no value.
    ///
    /// # Errors
    /// The reply is an error, or none comes.
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        self.command_as(self.options.password.as_deref(), words).await
    }

    /// Like [`Valkey::command`], with another password than that of the start.
    ///
    /// # Errors
    /// As for [`Valkey::command`].
    pub async fn command_with_password(&self, password: &str, words: &[&str]) -> Result<String> {
        self.command_as(Some(password), words).await
    }

    async fn command_as(&self, password: Option<&str>, words: &[&str]) -> Result<String> {
        let address = self.address()?;
        let reply = async {
            let mut connection = resp::Connection::open(address).await?;
            if let Some(password) = password {
                connection.command(&["AUTH", password]).await?;
            }
            connection.command(words).await
        };
        wait::within(&format!("the reply to {}", words.join(" ")), reply).await
    }
}

/// Three primaries without replicas, each with a third of the slots.
///
/// # Errors
/// A server does not start, or they do not become a cluster.
pub async fn cluster() -> Result<[Valkey; 3]> {
    let node = || Valkey::start(ServerOptions { is_cluster_node: true, ..ServerOptions::new() });
    let (first, second, third) = tokio::try_join!(node(), node(), node())?;
    let nodes = [first, second, third];
    for (node, (start, end)) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
        node.command(&["CLUSTER", "ADDSLOTSRANGE", start, end]).await?;
    }
    let [first, others @ ..] = &nodes;
    for other in others {
        let (port, bus) = (other.address()?.port().to_string(), other.bus.address()?.port().to_string());
        first.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
    }
    for node in &nodes {
        wait::until("the cluster", || async {
            let info = node.command(&["CLUSTER", "INFO"]).await?;
            let is_whole = info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
            Ok(is_whole.then_some(()))
        })
        .await?;
    }
    Ok(nodes)
}

/// A Redis server with TLS on `$PATH`, if there is one.
#[must_use]
pub fn redis_with_tls() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let program = std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|path| path.is_file())?;
    // A server without TLS refuses the option.
    let answer = Command::new(&program).args(["--port", "0", "--tls-port", "x"]).output().ok()?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned() + &String::from_utf8_lossy(&answer.stderr);
    (!text.contains("Bad directive")).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_answers_forgets_and_keeps_its_port() {
        let mut server = Valkey::start(ServerOptions::new()).await.unwrap();
        let address = server.address().unwrap();
        assert_eq!(server.command(&["SET", "key", "value"]).await.unwrap(), "OK");
        assert_eq!(server.command(&["MGET", "key", "none"]).await.unwrap(), "value ");
        assert!(server.command(&["NONE"]).await.unwrap_err().to_string().contains("unknown command"));
        server.restart().await.unwrap();
        assert_eq!(
            (server.command(&["GET", "key"]).await.unwrap(), server.address().unwrap()),
            (String::new(), address)
        );
    }

    #[tokio::test]
    async fn three_servers_are_a_cluster() {
        let nodes = cluster().await.unwrap();
        let moved = nodes[0].command(&["GET", "foo"]).await.unwrap_err().to_string();
        assert!(moved.contains("MOVED 12182"), "{moved}");
        assert_eq!(nodes[2].command(&["GET", "foo"]).await.unwrap(), "");
    }
}
