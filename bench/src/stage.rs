//! The programs that run during a measurement: the cells, and a proxy and a service for each variant, all at once.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::artifacts;
use cellgate_tests::cell::Cell;
use cellgate_tests::envoy::Envoy;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::Options;
use cellgate_tests::process::Process;
use cellgate_tests::wait;
use tempfile::TempDir;

use crate::affinity::Split;
use crate::baseline::Build;
use crate::bootstrap;
use crate::cases::BUFFER_LIMIT;
use crate::exchange::Protocol;
use crate::load::{CONNECTIONS, Client};
use crate::noop_service;
use crate::trace_sink::TraceSink;
use crate::variant::{OtherProxy, Proxy, Scene, Service, Variant};
use cellgate_tests::measure::procfs::cpu_time;

/// The running programs. Dropping it stops them.
#[derive(Debug)]
pub(crate) struct Stage {
    /// One for each running variant.
    pub(crate) running: Vec<RunningVariant>,
    /// The upstreams of all proxies.
    pub(crate) cells: Vec<Cell>,
    split: Option<Split>,
    _directory: TempDir,
}

/// A running variant.
#[derive(Debug)]
pub(crate) struct RunningVariant {
    /// The variant.
    pub(crate) variant: &'static Variant,
    http1: Client,
    http2: Client,
    proxy: RunningProxy,
    service: Option<RunningService>,
}

/// CPU time used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// By the proxy.
    pub(crate) proxy: Duration,
    /// By the service.
    pub(crate) service: Duration,
}

#[derive(Debug)]
enum RunningProxy {
    Envoy(Envoy),
    Other(OtherProxy),
}

#[derive(Debug)]
enum RunningService {
    Cellgate(ExtProc, #[allow(dead_code, reason = "it is there to be dropped")] Option<TraceSink>),
    Other(Process, SocketAddr),
}

impl Stage {
    /// Starts the programs of all variants and waits until they are ready. `another` is the other build of Cellgate,
    /// for the variants that need it. A variant whose program is not installed is left out with a message. With `split`
    /// and more than one processor, the proxies and services get one processor and this process gets the others.
    ///
    /// # Errors
    /// When a part is missing, is not a release build, or does not start.
    pub(crate) async fn start(variants: &[&'static Variant], split: bool, another: Option<&Build>) -> Result<Self> {
        let this = Build { module: artifacts::wasm()?, program: artifacts::cellgate()? };
        ensure_release_build(&this.program)?;
        let directory = tempfile::Builder::new().prefix("cellgate-bench-").tempdir()?;
        let mut cells = Vec::new();
        for name in ["cell-a", "cell-b", "cell-c"] {
            cells.push(Cell::start(name).await?);
        }
        let mut running = Vec::new();
        for variant in variants {
            let own = directory.path().join(variant.name);
            std::fs::create_dir(&own)?;
            let build =
                if variant.another_build_of.is_some() { another.context("the other build is missing")? } else { &this };
            let started = RunningVariant::start(variant, build, Scene { cells: &cells, directory: &own }).await;
            match started.with_context(|| format!("starting {}", variant.title))? {
                Some(started) => running.push(started),
                None => eprintln!("skipping `{}`: its program is not installed", variant.title),
            }
        }
        let split = if split { Split::new()? } else { None };
        if let Some(split) = &split {
            for started in &running {
                started.move_to(split)?;
            }
        }
        Ok(Self { running, cells, split, _directory: directory })
    }

    /// The use of the processors, for the report.
    pub(crate) fn processors(&self) -> String {
        match &self.split {
            Some(split) => {
                format!("proxies and services on processor {}, client and cells on the others", split.processor())
            }
            None => "proxies, services, client and cells share all processors".to_owned(),
        }
    }
}

impl RunningVariant {
    async fn start(variant: &'static Variant, build: &Build, scene: Scene<'_>) -> Result<Option<Self>> {
        let service = match variant.service {
            Service::None => None,
            Service::Cellgate => Some(RunningService::cellgate(variant, build, scene.directory, None).await?),
            Service::TracedCellgate => {
                let sink = Some(TraceSink::start().await?);
                Some(RunningService::cellgate(variant, build, scene.directory, sink).await?)
            }
            Service::Other(command) => match command()? {
                Some(command) => Some(RunningService::other(command, scene.directory).await?),
                None => return Ok(None),
            },
        };
        let proxy = match variant.proxy {
            Proxy::Envoy => RunningProxy::Envoy(envoy(variant, build, service.as_ref(), scene).await?),
            Proxy::Other(start) => match start(scene).await? {
                Some(running) => RunningProxy::Other(running),
                None => return Ok(None),
            },
        };
        let http1 = Client::connect(proxy.address(), Protocol::Http1, CONNECTIONS).await?;
        let http2 = Client::connect(proxy.address(), Protocol::Http2, CONNECTIONS).await?;
        Ok(Some(Self { variant, http1, http2, proxy, service }))
    }

    fn move_to(&self, split: &Split) -> Result<()> {
        split.measure(self.proxy.pid())?;
        self.service.as_ref().map_or(Ok(()), |service| split.measure(service.pid()))
    }

    /// The client for `protocol`.
    pub(crate) fn client(&mut self, protocol: Protocol) -> &mut Client {
        match protocol {
            Protocol::Http1 => &mut self.http1,
            Protocol::Http2 => &mut self.http2,
        }
    }

    /// The CPU time that the proxy and its service have used so far.
    ///
    /// # Errors
    /// When one of them has ended.
    pub(crate) fn used(&self) -> Result<Used> {
        let proxy = cpu_time(self.proxy.pid()).context("the proxy's CPU time")?;
        let service = self.service.as_ref().map(|service| cpu_time(service.pid())).transpose();
        Ok(Used { proxy, service: service.context("the service's CPU time")?.unwrap_or_default() })
    }

    /// The value of a counter of the variant's Envoy.
    ///
    /// # Errors
    /// When Envoy does not respond, or the proxy is not Envoy.
    pub(crate) async fn stat(&self, name: &str) -> Result<u64> {
        match &self.proxy {
            RunningProxy::Envoy(envoy) => envoy.admin().stat(name).await,
            RunningProxy::Other(_) => bail!("{} has no counter {name}", self.variant.title),
        }
    }

    /// Reads the metrics of the service, if it is Cellgate's, as a monitoring system would.
    ///
    /// # Errors
    /// When the service does not respond.
    pub(crate) async fn scrape(&self) -> Result<()> {
        if let Some(RunningService::Cellgate(service, _)) = &self.service {
            ensure!(service.get("/metrics").await?.status.is_success(), "GET /metrics of the service failed");
        }
        Ok(())
    }
}

impl RunningProxy {
    fn pid(&self) -> u32 {
        match self {
            Self::Envoy(envoy) => envoy.process().pid(),
            Self::Other(running) => running.pid,
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Envoy(envoy) => envoy.address(),
            Self::Other(running) => running.address,
        }
    }
}

impl RunningService {
    async fn cellgate(variant: &Variant, build: &Build, directory: &Path, sink: Option<TraceSink>) -> Result<Self> {
        let config = (variant.config)();
        let options = sink.as_ref().map(TraceSink::options).unwrap_or_default();
        let service = ExtProc::start_program(build.program.clone(), &config, directory, &options).await?;
        Ok(Self::Cellgate(service, sink))
    }

    async fn other(mut command: Command, directory: &Path) -> Result<Self> {
        let process = Process::spawn("service", &mut command, &directory.join("service.log"))?;
        let address = wait::until("the service", || async {
            process.must_run()?;
            Ok(process.log().lines().find_map(|line| line.strip_prefix(noop_service::LISTENING)?.parse().ok()))
        });
        let address = address.await?;
        Ok(Self::Other(process, address))
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Cellgate(service, _) => service.pid(),
            Self::Other(process, _) => process.pid(),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Cellgate(service, _) => service.addresses().grpc,
            Self::Other(_, address) => *address,
        }
    }
}

async fn envoy(variant: &Variant, build: &Build, service: Option<&RunningService>, scene: Scene<'_>) -> Result<Envoy> {
    let adjust = variant.adjust;
    let mut options = Options::default().config((variant.config)()).chain(variant.chain).buffer_limit(BUFFER_LIMIT);
    options = options.adjust(move |bootstrap| {
        // An access log costs the same in every variant and would hide the differences.
        if let Some(manager) = bootstrap::connection_manager(bootstrap) {
            manager.remove("access_log");
        }
        adjust(bootstrap);
    });
    options = options.module(match variant.module {
        Some(module) => bench_module(module)?,
        None => build.module.clone(),
    });
    Envoy::start(&mut options, scene.cells, service.map(RunningService::address), scene.directory).await
}

/// A module of `bench/filters`, built with the profile and flags of Cellgate's own.
pub(crate) fn bench_module(file: &str) -> Result<PathBuf> {
    let path = artifacts::checkout().join("target/wasm32-unknown-unknown/wasm").join(file);
    if !path.is_file() {
        bail!("{} does not exist: run `make bench`, which builds it", path.display());
    }
    Ok(path)
}

/// Refuses a development build of `cellgate`.
///
/// # Errors
/// When it is one.
pub(crate) fn ensure_release_build(program: &Path) -> Result<()> {
    let debug = program.components().any(|part| part.as_os_str() == "debug");
    ensure!(
        !debug,
        "{} is a development build: run `make bench`, or set CELLGATE_BIN to a release build",
        program.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_build_is_rejected() {
        assert!(ensure_release_build(Path::new("/checkout/target/debug/cellgate")).is_err());
        assert!(ensure_release_build(Path::new("/checkout/target/release/cellgate")).is_ok());
    }
}
