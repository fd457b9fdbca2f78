//! A real Jaeger on the loopback interface: it takes spans over OTLP, and its query API returns traces.
//!
//! `scripts/jaeger.sh` installs it. Everything is in its memory.

mod trace;

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

pub use trace::{Span, Trace};

use crate::ports::KeptPort;
use crate::process::Process;
use crate::{artifacts, client, wait};

/// The addresses that nobody asks for. Port 0 is any free port.
const UNUSED: [&str; 4] = [
    "--query.grpc-server.host-port",
    "--admin.http.host-port",
    "--collector.grpc-server.host-port",
    "--collector.http-server.host-port",
];

/// A running Jaeger. Dropping it stops it.
#[derive(Debug)]
pub struct Jaeger {
    process: Process,
    ports: [KeptPort; 3],
    directory: TempDir,
}

impl Jaeger {
    /// Starts it on free ports, and waits until it takes spans and answers queries.
    ///
    /// # Errors
    /// When there is no program, or it does not start. The message has its log.
    pub async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let ports = [KeptPort::take()?, KeptPort::take()?, KeptPort::take()?];
        let [grpc, http, query] = [ports[0].address()?, ports[1].address()?, ports[2].address()?];
        let mut command = Command::new(artifacts::jaeger()?);
        command.current_dir(directory.path());
        command.arg(format!("--collector.otlp.grpc.host-port={grpc}"));
        command.arg(format!("--collector.otlp.http.host-port={http}"));
        command.arg(format!("--query.http-server.host-port={query}"));
        command.args(UNUSED.map(|option| format!("{option}=127.0.0.1:0")));
        command.args(["--memory.max-traces=10000", "--log-level=warn"]);
        // It traces itself, and would send that to whatever listens on port 4317.
        command.env("OTEL_TRACES_SAMPLER", "always_off");
        let process = Process::spawn("jaeger", &mut command, &directory.path().join("log"))?;
        let jaeger = Self { process, ports, directory };
        wait::until("Jaeger", || async {
            jaeger.process.must_run()?;
            let takes_spans = tokio::net::TcpStream::connect(grpc).await.is_ok();
            let answers = client::get(query, "/api/services").await.is_ok_and(|answer| answer.status.is_success());
            Ok((takes_spans && answers).then_some(()))
        })
        .await?;
        Ok(jaeger)
    }

    /// The address for OTLP over gRPC.
    ///
    /// # Errors
    /// The system call fails.
    pub fn otlp(&self) -> Result<SocketAddr> {
        self.ports[0].address()
    }

    /// The address for OTLP over HTTP.
    ///
    /// # Errors
    /// The system call fails.
    pub fn otlp_http(&self) -> Result<SocketAddr> {
        self.ports[1].address()
    }

    /// The address of the query API.
    ///
    /// # Errors
    /// The system call fails.
    pub fn query(&self) -> Result<SocketAddr> {
        self.ports[2].address()
    }

    /// Its own directory, with its log.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The trace with this id as it is now. `None` while no span of it has arrived.
    ///
    /// # Errors
    /// Jaeger does not answer, or not with a trace.
    pub async fn trace(&self, id: &str) -> Result<Option<Trace>> {
        let answer = client::get(self.query()?, &format!("/api/traces/{id}")).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        ensure!(answer.status.is_success(), "Jaeger: {} {}", answer.status, answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).context("Jaeger's answer is not JSON")?;
        Ok(trace::read(&answer).into_iter().next())
    }

    /// Waits until the trace with this id meets a condition, because spans arrive one after the other.
    ///
    /// # Errors
    /// On a timeout. The message shows the trace as it is.
    pub async fn trace_that(&self, id: &str, what: &str, is_met: impl Fn(&Trace) -> bool) -> Result<Trace> {
        let found = wait::until(&format!("the trace {id} {what}"), || async {
            self.process.must_run()?;
            Ok(self.trace(id).await?.filter(&is_met))
        })
        .await;
        match found {
            Ok(trace) => Ok(trace),
            Err(error) => {
                let shown = self.trace(id).await?.map_or_else(|| "no span of it arrived".to_owned(), |t| t.to_string());
                Err(error.context(shown))
            }
        }
    }

    /// The traces that have a span of this service with all these tags.
    ///
    /// # Errors
    /// Jaeger does not answer, or not with traces.
    pub async fn search(&self, service: &str, tags: &[(&str, &str)]) -> Result<Vec<Trace>> {
        let tags: Value = tags.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let path = format!(
            "/api/traces?service={}&limit=1000&tags={}",
            client::encoded(service),
            client::encoded(&tags.to_string())
        );
        let answer = client::get(self.query()?, &path).await?;
        ensure!(answer.status.is_success(), "Jaeger: {} {}", answer.status, answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).context("Jaeger's answer is not JSON")?;
        Ok(trace::read(&answer))
    }
}
