//! Everything that runs while we measure: the cells, the services, and one Envoy for each variant, all at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::artifacts;
use cellgate_tests::cell::Cell;
use cellgate_tests::envoy::Envoy;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{Options, sample_config};
use cellgate_tests::process::Process;
use cellgate_tests::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cases::BUFFER_LIMIT;
use crate::load::Client;
use crate::noop_service;
use crate::procfs::cpu_time;
use crate::variants::{Asked, Variant};

/// Connections to each Envoy.
pub(crate) const CONNECTIONS: usize = 8;

/// The parts. Dropping it ends them, Envoys first.
#[derive(Debug)]
pub(crate) struct Stage {
    /// One for each variant.
    pub(crate) contenders: Vec<Contender>,
    /// What all Envoys route to.
    pub(crate) cells: Vec<Cell>,
    _services: Services,
    _directory: TempDir,
}

/// A variant that runs.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Which.
    pub(crate) variant: Variant,
    /// Connections to its Envoy.
    pub(crate) client: Client,
    envoy: Envoy,
    service: Option<u32>,
}

/// CPU time used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// By Envoy.
    pub(crate) envoy: Duration,
    /// By the service.
    pub(crate) service: Duration,
}

#[derive(Debug)]
struct Services {
    noop: Process,
    noop_address: SocketAddr,
    cellgate: ExtProc,
}

impl Stage {
    /// Starts all parts and waits until they are ready.
    ///
    /// # Errors
    /// When one is missing, is not a release build, or does not come up.
    pub(crate) async fn start() -> Result<Self> {
        ensure_release_build(&artifacts::cellgate()?)?;
        let directory = tempfile::Builder::new().prefix("cellgate-bench-").tempdir()?;
        let mut cells = Vec::new();
        for name in ["cell-a", "cell-b", "cell-c"] {
            cells.push(Cell::start(name).await?);
        }
        let services = Services::start(directory.path()).await?;
        let mut contenders = Vec::new();
        for (number, variant) in Variant::ALL.into_iter().enumerate() {
            let own = directory.path().join(format!("envoy-{number}"));
            std::fs::create_dir(&own)?;
            let started = Contender::start(variant, &cells, &services, &own).await;
            contenders.push(started.with_context(|| format!("starting {}", variant.title()))?);
        }
        Ok(Self { contenders, cells, _services: services, _directory: directory })
    }
}

impl Contender {
    async fn start(variant: Variant, cells: &[Cell], services: &Services, directory: &Path) -> Result<Self> {
        let mut options = Options::default().config(config()).chain(variant.chain());
        options = options.buffer_limit(BUFFER_LIMIT).adjust(without_access_log);
        if let Some(module) = variant.module() {
            options = options.module(bench_module(module)?);
        }
        let (address, service) = match variant.asked() {
            Asked::Nobody => (None, None),
            Asked::Noop => (Some(services.noop_address), Some(services.noop.pid())),
            Asked::Cellgate => (Some(services.cellgate.addresses().grpc), Some(services.cellgate.pid())),
        };
        let envoy = Envoy::start(&mut options, cells, address, directory).await?;
        let client = Client::connect(envoy.address(), CONNECTIONS).await?;
        Ok(Self { variant, client, envoy, service })
    }

    /// The CPU time that Envoy and its service have used so far.
    ///
    /// # Errors
    /// When one of them has ended.
    pub(crate) fn used(&self) -> Result<Used> {
        let envoy = cpu_time(self.envoy.process().pid()).context("Envoy's CPU time")?;
        let service = self.service.map(cpu_time).transpose().context("the service's CPU time")?;
        Ok(Used { envoy, service: service.unwrap_or_default() })
    }

    /// A counter of its Envoy.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub(crate) async fn stat(&self, name: &str) -> Result<u64> {
        self.envoy.admin().stat(name).await
    }
}

impl Services {
    async fn start(directory: &Path) -> Result<Self> {
        let cellgate = ExtProc::start(&config(), directory, &[]).await?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("noop-service");
        let noop = Process::spawn("noop-service", &mut command, &directory.join("noop.log"))?;
        let noop_address = wait::until("the no-op service", || async {
            noop.must_run()?;
            Ok(noop.log().lines().find_map(|line| line.strip_prefix(noop_service::LISTENING)?.parse().ok()))
        });
        let noop_address = noop_address.await?;
        Ok(Self { noop, noop_address, cellgate })
    }
}

/// Cellgate's configuration, the same in every variant that has Cellgate.
fn config() -> Value {
    let mut config = sample_config();
    if let Some(fields) = config.as_object_mut() {
        fields.insert("limits".to_owned(), json!({"inspect_bytes": BUFFER_LIMIT}));
    }
    config
}

/// Writing a line for each request costs the same in every variant; without it, what differs shows better.
fn without_access_log(bootstrap: &mut Value) {
    const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    if let Some(manager) = bootstrap.pointer_mut(MANAGER).and_then(Value::as_object_mut) {
        manager.remove("access_log");
    }
}

/// A module of `bench/filters`, built with the profile and flags of Cellgate's own.
pub(crate) fn bench_module(file: &str) -> Result<PathBuf> {
    let path = artifacts::checkout().join("target/wasm32-unknown-unknown/wasm").join(file);
    if !path.is_file() {
        bail!("{} is not there: run `make bench`, which builds it", path.display());
    }
    Ok(path)
}

fn ensure_release_build(program: &Path) -> Result<()> {
    let debug = program.components().any(|part| part.as_os_str() == "debug");
    ensure!(!debug, "{} is a development build: run `make bench`, or set CELLGATE_BIN", program.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_build_is_not_measured() {
        assert!(ensure_release_build(Path::new("/work/target/debug/cellgate")).is_err());
        assert!(ensure_release_build(Path::new("/work/target/release/cellgate")).is_ok());
    }

    #[test]
    fn only_the_access_log_is_taken_out() {
        let manager = |fields: Value| json!({"static_resources": {"listeners": [{"filter_chains": [{"filters": [{"typed_config": fields}]}]}]}});
        let mut bootstrap = manager(json!({"access_log": [], "stat_prefix": "in"}));
        without_access_log(&mut bootstrap);
        assert_eq!(bootstrap, manager(json!({"stat_prefix": "in"})));
    }
}
