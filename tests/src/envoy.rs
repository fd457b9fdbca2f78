//! A running Envoy in front of the cells.

pub(crate) mod access_log;
mod admin;
mod bootstrap;
mod discovery;
mod example;
mod ext_proc_chain;
mod tracing;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub use access_log::AccessLine;
pub use admin::Admin;
pub use tracing::Tracing;

use crate::cell::Cell;
use crate::options::Options;
use crate::process::Process;
use crate::{artifacts, wait};
use discovery::FilterDiscovery;

/// The filter's name in Envoy's configuration and statistics.
const FILTER: &str = "cellgate";

/// The access log in the format of the example, in the directory of an Envoy with the example's chain.
pub(crate) const EXAMPLE_LOG: &str = "requests.log";

/// A running Envoy. Dropping it stops it, and shows its log if the test is failing.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: Admin,
    address: SocketAddr,
    discovery: Option<FilterDiscovery>,
    access_log: PathBuf,
}

impl Envoy {
    /// Starts Envoy and waits until the listener, and the filter if there is one, are ready. `directory` must exist and
    /// be used by this Envoy only.
    ///
    /// # Errors
    /// When a part is missing, or Envoy exits or is not ready in time. The message has its log.
    pub async fn start(
        options: &mut Options,
        cells: &[Cell],
        ext_proc: Option<SocketAddr>,
        directory: &Path,
    ) -> Result<Self> {
        let binary = options.envoy.take().map_or_else(artifacts::envoy, Ok)?;
        let discovery = if options.chain.has_filter() { Some(FilterDiscovery::new(options, directory)?) } else { None };
        let access_log = directory.join("access.log");
        let plan = bootstrap::BootstrapPlan {
            options,
            cells,
            ext_proc,
            discovery: discovery.as_ref(),
            access_log: &access_log,
        };
        let mut bootstrap = if options.example { example::bootstrap(&plan)? } else { plan.build() };
        for adjust in options.adjustments.drain(..) {
            adjust(&mut bootstrap);
        }
        let config = directory.join("envoy.json");
        std::fs::write(&config, serde_json::to_string_pretty(&bootstrap)?)?;
        let admin_address = directory.join("admin-address");
        let mut command = Command::new(&binary);
        command.arg("--config-path").arg(&config);
        command.arg("--admin-address-path").arg(&admin_address);
        command.args(["--concurrency", &options.concurrency.to_string()]);
        command.args(["--disable-hot-restart", "--file-flush-interval-msec", "50"]);
        command.args(["--log-level", "warning"]);
        command.args(["--component-log-level", &format!("wasm:{}", options.wasm_log_level)]);
        let process = Process::spawn("envoy", &mut command, &directory.join("envoy.log"))?;
        let admin = Admin::new(read_admin_address(&process, &admin_address).await?);
        let address = wait::until("Envoy's listener", || listening(&process, &admin)).await?;
        let envoy = Self { process, admin, address, discovery, access_log };
        if envoy.discovery.is_some() {
            envoy.filter_settled(FilterUpdates::default()).await?;
        }
        Ok(envoy)
    }

    /// The address for clients of both protocols.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Envoy's admin interface: statistics and dumps.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The program, for signals and its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The lines of the access log so far.
    ///
    /// # Errors
    /// When a line is malformed.
    pub fn access_log(&self) -> Result<Vec<AccessLine>> {
        access_log::read(&self.access_log)
    }

    /// The access log in the format of the example. Only the example's chain writes it.
    #[must_use]
    pub fn example_log(&self) -> PathBuf {
        self.access_log.with_file_name(EXAMPLE_LOG)
    }

    /// Waits for the access log line with this path and query.
    ///
    /// # Panics
    /// On a timeout.
    pub async fn access_line(&self, path: &str) -> AccessLine {
        let what = format!("the access log line of {path}");
        let found =
            wait::until(&what, || async { Ok(self.access_log()?.into_iter().find(|line| line.text("path") == path)) });
        found.await.unwrap_or_else(|error| panic!("{error}\n{:#?}", self.access_log()))
    }

    /// Gives the running filter another configuration, like a control plane, and waits until the filter uses it.
    ///
    /// # Errors
    /// When the filter rejects it. The filter then keeps the old one.
    pub async fn update_filter(&self, config: &Value) -> Result<()> {
        self.update_filter_text(&config.to_string()).await
    }

    /// Like [`Envoy::update_filter`], with any text as the configuration.
    ///
    /// # Errors
    /// When the filter rejects it.
    pub async fn update_filter_text(&self, config: &str) -> Result<()> {
        let discovery = self.discovery.as_ref().context("this chain has no filter")?;
        let before = self.filter_updates().await?;
        discovery.publish(config)?;
        self.filter_settled(before).await
    }

    /// Waits until one more configuration than `before` has been accepted or rejected.
    async fn filter_settled(&self, before: FilterUpdates) -> Result<()> {
        let updates = wait::until("the filter's configuration", || async {
            self.process.must_run()?;
            Ok(Some(self.filter_updates().await?).filter(|updates| *updates != before))
        });
        if updates.await?.refused > before.refused {
            bail!("the filter rejected its configuration:\n{}", self.process.log());
        }
        Ok(())
    }

    async fn filter_updates(&self) -> Result<FilterUpdates> {
        let prefix = format!("extension_config_discovery.http_filter.{FILTER}.");
        let stats = self.admin.stats(&prefix).await?;
        let count = |name: &str| stats.iter().find(|(stat, _)| stat.ends_with(name)).map_or(0, |(_, count)| *count);
        Ok(FilterUpdates { accepted: count(".update_success"), refused: count(".update_rejected") })
    }
}

/// The number of accepted and of rejected filter configurations since Envoy's start.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct FilterUpdates {
    accepted: u64,
    refused: u64,
}

pub(crate) async fn read_admin_address(process: &Process, file: &Path) -> Result<SocketAddr> {
    let read = wait::until("Envoy's admin address", || async {
        process.must_run()?;
        Ok(std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()))
    });
    read.await
}

/// The listener's address once Envoy accepts connections there.
async fn listening(process: &Process, admin: &Admin) -> Result<Option<SocketAddr>> {
    process.must_run()?;
    // A refused connection means that Envoy is exiting: the next check reports why.
    let Ok(ready) = admin.get("/ready").await else { return Ok(None) };
    if !ready.status.is_success() {
        return Ok(None);
    }
    let listeners = admin.get("/listeners?format=json").await?.json();
    let port = listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"].as_u64();
    Ok(port.and_then(|port| u16::try_from(port).ok()).map(|port| SocketAddr::from(([127, 0, 0, 1], port))))
}
