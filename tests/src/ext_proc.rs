//! A running ext-proc service: the `cellgate serve` program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::client::{self, Response};
use crate::ports::KeptPort;
use crate::process::{Process, Signal};
use crate::{artifacts, wait};

/// A running service. Dropping it stops it, and shows its log if the test is failing.
#[derive(Debug)]
pub struct ExtProc {
    process: Mutex<Process>,
    program: PathBuf,
    addresses: ServiceAddresses,
    directory: PathBuf,
    options: Vec<String>,
    _ports: [KeptPort; 2],
}

/// The addresses of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceAddresses {
    /// ext-proc and health, gRPC.
    pub grpc: SocketAddr,
    /// Liveness, readiness, metrics: HTTP/1.1.
    pub admin: SocketAddr,
}

impl ExtProc {
    /// Starts the service on free ports with additional options of `cellgate serve`, and waits until it is ready.
    ///
    /// # Errors
    /// When the program is missing, exits, or is not ready in time. The message has its log.
    pub async fn start(config: &Value, directory: &Path, options: &[String]) -> Result<Self> {
        Self::start_program(artifacts::cellgate()?, config, directory, options).await
    }

    /// Like [`ExtProc::start`], with another `cellgate` program.
    ///
    /// # Errors
    /// As for [`ExtProc::start`].
    pub async fn start_program(program: PathBuf, config: &Value, directory: &Path, options: &[String]) -> Result<Self> {
        let (directory, options) = (directory.to_owned(), options.to_vec());
        replace_file(&config_file(&directory), &config.to_string())?;
        let ports = [KeptPort::take()?, KeptPort::take()?];
        let addresses = ServiceAddresses { grpc: ports[0].address()?, admin: ports[1].address()? };
        let process = launch(&program, &directory, addresses, &options).await?;
        Ok(Self { process: Mutex::new(process), program, addresses, directory, options, _ports: ports })
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// The addresses, which stay the same after a restart.
    #[must_use]
    pub fn addresses(&self) -> ServiceAddresses {
        self.addresses
    }

    /// Stops it with SIGKILL, which breaks every stream.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Freezes it with SIGSTOP and waits until every thread has stopped. `Signal::CONT` resumes it.
    ///
    /// # Errors
    /// When it has exited, or does not stop in time.
    pub async fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        wait::until("cellgate to stop", || async {
            for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
                // A thread may end between listing and reading it.
                let status = std::fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
                if !status.contains("State:\tT") {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Allows crash texts in its log, for a test that causes a crash.
    pub fn may_crash(&self) {
        self.process().may_crash();
    }

    /// Forgives the crash texts that are in its log so far, and from now on allows none.
    pub fn forgive_crashes(&self) {
        self.process().forgive_crashes();
    }

    /// Sends a signal: `TERM` to drain, `CONT` to end a [`ExtProc::freeze`].
    ///
    /// # Errors
    /// When it has exited.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process().signal(signal)
    }

    /// Waits until it exits, and returns the exit code unless a signal killed it.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn ended(&self) -> Result<Option<i32>> {
        let status = wait::until("cellgate to exit", || async { self.process().exit_status() }).await?;
        Ok(status.code())
    }

    /// Starts it again at the same addresses after it has exited or [`ExtProc::kill`].
    ///
    /// # Errors
    /// As for [`ExtProc::start`].
    pub async fn restart(&self) -> Result<()> {
        let process = launch(&self.program, &self.directory, self.addresses, &self.options).await?;
        *self.process() = process;
        Ok(())
    }

    /// Replaces its configuration file. The running service reloads it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, text: &str) -> Result<()> {
        replace_file(&config_file(&self.directory), text)
    }

    /// Sends a GET to the admin port: `/readyz`, `/metrics` and so on.
    ///
    /// # Errors
    /// When it does not respond.
    pub async fn get(&self, path: &str) -> Result<Response> {
        client::get(self.addresses.admin, path).await
    }

    /// A metric by its exact series in `/metrics`, such as `x_total{reason="y"}`; 0 if it does not exist.
    ///
    /// # Errors
    /// When the service does not respond.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let text = self.get("/metrics").await?.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok());
        Ok(value.unwrap_or(0.0))
    }

    /// Its whole log, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Waits until a line of its log contains each of these texts, and returns the line. The service writes its log on a
    /// thread of its own, so an answer or a metric may be seen before the line.
    ///
    /// # Errors
    /// On a timeout, with the log.
    pub async fn logged(&self, texts: &[&str]) -> Result<String> {
        let is_meant = |line: &&str| texts.iter().all(|text| line.contains(text));
        let line = || async { Ok(self.log().lines().find(is_meant).map(str::to_owned)) };
        wait::until(&format!("a line with {texts:?} in the log"), line).await.with_context(|| self.log())
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the program and waits until it is ready.
async fn launch(program: &Path, directory: &Path, addresses: ServiceAddresses, options: &[String]) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(config_file(directory));
    command.args(["--admin", &addresses.admin.to_string()]);
    // Variables, because an option of the test outranks them, and because an older program ignores those that it does not
    // know.
    command.env("CELLGATE_LISTEN", addresses.grpc.to_string());
    if !options.iter().any(|option| option == "--tls-cert") {
        command.env("CELLGATE_PLAIN_TEXT", "true");
    }
    command.args(["--log-format", "json"]).args(options);
    let process = Process::spawn("cellgate", &mut command, &directory.join("cellgate.log"))?;
    wait::until("cellgate to be ready", || async {
        process.must_run()?;
        let ready = client::get(addresses.admin, "/readyz").await.is_ok_and(|answer| answer.status.is_success());
        Ok(ready.then_some(()))
    })
    .await?;
    Ok(process)
}

fn config_file(directory: &Path) -> PathBuf {
    // JSON is YAML.
    directory.join("cellgate.yaml")
}

/// Replaces a file atomically, so that no reader sees a part of it.
fn replace_file(file: &Path, text: &str) -> Result<()> {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text)?;
    match std::fs::rename(&draft, file) {
        Ok(()) => Ok(()),
        Err(error) => bail!("{}: {error}", file.display()),
    }
}
