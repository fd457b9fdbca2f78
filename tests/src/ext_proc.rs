//! A running ext-proc service: the `cellgate serve` program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::client::{self, Response};
use crate::ports::KeptPort;
use crate::process::{Process, Signal};
use crate::{artifacts, wait};

/// A running service. Dropping it ends it, and shows its log if the test is failing.
#[derive(Debug)]
pub struct ExtProc {
    process: Mutex<Process>,
    program: PathBuf,
    addresses: Addresses,
    directory: PathBuf,
    options: Vec<String>,
    _ports: [KeptPort; 2],
}

/// Where a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// ext-proc and health, gRPC.
    pub grpc: SocketAddr,
    /// Liveness, readiness, metrics: HTTP/1.1.
    pub admin: SocketAddr,
}

impl ExtProc {
    /// Starts the service on free ports, with more options of `cellgate serve`, and waits until it is ready.
    ///
    /// # Errors
    /// When the program is missing, ends, or is not ready in time; its log is in the message.
    pub async fn start(config: &Value, directory: &Path, options: &[String]) -> Result<Self> {
        Self::start_program(artifacts::cellgate()?, config, directory, options).await
    }

    /// As [`ExtProc::start`], with a `cellgate` of one's own.
    ///
    /// # Errors
    /// As for [`ExtProc::start`].
    pub async fn start_program(program: PathBuf, config: &Value, directory: &Path, options: &[String]) -> Result<Self> {
        let (directory, options) = (directory.to_owned(), options.to_vec());
        replace_file(&config_file(&directory), &config.to_string())?;
        let ports = [KeptPort::take()?, KeptPort::take()?];
        let addresses = Addresses { grpc: ports[0].address()?, admin: ports[1].address()? };
        let process = launch(&program, &directory, addresses, &options).await?;
        Ok(Self { process: Mutex::new(process), program, addresses, directory, options, _ports: ports })
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Where it listens. The addresses survive a restart.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Ends it with SIGKILL: every stream breaks.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Freezes it, and waits until each of its threads has stopped: a busy machine takes its time. `Signal::CONT` lets
    /// it go on.
    ///
    /// # Errors
    /// When it has ended, or does not stop in time.
    pub async fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        wait::until("cellgate to stop", || async {
            for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
                // A thread may end between the two looks at it.
                let status = std::fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
                if !status.contains("State:\tT") {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Sends it a signal: `TERM` to drain, `CONT` to end a [`ExtProc::freeze`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process().signal(signal)
    }

    /// Waits for its end and gives its exit code, if it ended by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&self) -> Result<Option<i32>> {
        let status = wait::until("the end of cellgate", || async { self.process().exit_status() }).await?;
        Ok(status.code())
    }

    /// Starts it again at the same addresses, after [`ExtProc::kill`] or its end.
    ///
    /// # Errors
    /// As for [`ExtProc::start`].
    pub async fn restart(&self) -> Result<()> {
        let process = launch(&self.program, &self.directory, self.addresses, &self.options).await?;
        *self.process() = process;
        Ok(())
    }

    /// Replaces its configuration file; the running service reads it by itself.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, text: &str) -> Result<()> {
        replace_file(&config_file(&self.directory), text)
    }

    /// The answer to a GET of `/readyz`, `/metrics` and so on.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> Result<Response> {
        client::get(self.addresses.admin, path).await
    }

    /// A metric by its name and labels exactly as `/metrics` has them, such as `x_total{reason="y"}`; 0 when it is not
    /// there.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let text = self.get("/metrics").await?.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok());
        Ok(value.unwrap_or(0.0))
    }

    /// Everything it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        self.process().log()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the program and waits until it says that it is ready.
async fn launch(program: &Path, directory: &Path, addresses: Addresses, options: &[String]) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(config_file(directory));
    command.args(["--listen", &addresses.grpc.to_string(), "--admin", &addresses.admin.to_string()]);
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

/// Replaces a file in one step, so that nobody reads half of it.
fn replace_file(file: &Path, text: &str) -> Result<()> {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text)?;
    match std::fs::rename(&draft, file) {
        Ok(()) => Ok(()),
        Err(error) => bail!("{}: {error}", file.display()),
    }
}
