//! A real Prometheus on the loopback interface. `scripts/prometheus.sh` installs it.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports::KeptPort;
use crate::process::Process;
use crate::{artifacts, client, wait};

/// The time between two scrapes. Rates need at least two of them.
const INTERVAL: &str = "1s";

/// A server that a [`Prometheus`] scrapes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The label `job`.
    pub job: &'static str,
    /// Its address.
    pub address: SocketAddr,
    /// The path of its metrics.
    pub path: &'static str,
}

/// A running Prometheus. Dropping it stops it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: KeptPort,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with these targets and files of rules, and waits until each target has been scraped.
    ///
    /// # Errors
    /// When there is no program, it does not start, or a target has no metrics that it can read. The message has its log.
    pub async fn start(targets: &[Target], rules: &[String]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = KeptPort::take()?;
        let scrapes: Vec<Value> = targets.iter().map(scrape).collect();
        let interval =
            json!({"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL});
        let config = directory.path().join("prometheus.yml");
        // JSON is YAML.
        let text = json!({"global": interval, "scrape_configs": scrapes, "rule_files": rules});
        std::fs::write(&config, text.to_string())?;
        let mut command = Command::new(artifacts::prometheus("prometheus")?);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={}", port.address()?));
        command.arg("--log.level=warn");
        let process = Process::spawn("prometheus", &mut command, &directory.path().join("log"))?;
        let prometheus = Self { process, port, _directory: directory };
        wait::until("Prometheus", || async {
            prometheus.process.must_run()?;
            let ready = client::get(prometheus.address()?, "/-/ready").await;
            Ok(ready.is_ok_and(|answer| answer.status.is_success()).then_some(()))
        })
        .await?;
        for Target { job, .. } in targets {
            prometheus.query_that(&format!("up{{job=\"{job}\"}} == 1"), |series| !series.is_empty()).await?;
        }
        Ok(prometheus)
    }

    /// The address of its page and its API.
    ///
    /// # Errors
    /// The system call fails.
    pub fn address(&self) -> Result<SocketAddr> {
        self.port.address()
    }

    /// The program, for its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The value of an expression now: one element for each series, with `metric` and `value`.
    ///
    /// # Errors
    /// Prometheus does not answer, or not without an error.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let path = format!("/api/v1/query?query={}", client::encoded(expression));
        let answer = client::get(self.address()?, &path).await?;
        ensure!(answer.status.is_success(), "{expression}: {} {}", answer.status, answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).context("Prometheus' answer is not JSON")?;
        match &answer["data"]["result"] {
            // A scalar is one value without labels.
            Value::Array(result) if answer["data"]["resultType"] == "scalar" => Ok(vec![json!({"value": result})]),
            Value::Array(result) => Ok(result.clone()),
            _ => anyhow::bail!("{expression}: no result in {answer}"),
        }
    }

    /// Waits until the value of an expression meets a condition.
    ///
    /// # Errors
    /// On a timeout, or when Prometheus reports an error.
    pub async fn query_that(&self, expression: &str, is_met: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        wait::until(&format!("the value of {expression} in Prometheus"), || async {
            self.process.must_run()?;
            Ok(Some(self.query(expression).await?).filter(|series| is_met(series)))
        })
        .await
    }
}

fn scrape(target: &Target) -> Value {
    let Target { job, address, path } = target;
    json!({"job_name": job, "metrics_path": path, "static_configs": [{"targets": [address]}]})
}
