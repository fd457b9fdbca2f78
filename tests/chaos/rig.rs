//! The parts of a run: Envoy with the chain of the documentation, two replicas of the service with TLS, a store of rate
//! limits, three cells, and proxies on the connections between them.

mod chain;
mod links;
mod pki;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_tests::cell::{Cell, Seen};
use cellgate_tests::client::Http1;
use cellgate_tests::envoy::Envoy;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::ports::KeptPort;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::{artifacts, wait};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::faults::Need;
use crate::traffic::{Kind, config};
pub(crate) use links::Links;
pub(crate) use pki::Pki;

/// The gauge of the store's circuit breaker.
const STORE_AVAILABLE: &str = "cellgate_rate_limit_store_available";

/// Envoy's gauge of replicas that it sends requests to.
const HEALTHY: &str = "cluster.ext-proc.membership_healthy";

/// The parts have so long to say how they are.
const ANSWER: Duration = Duration::from_secs(2);

/// The access log is emptied above this size.
const LOG_BYTES: u64 = 8 << 20;

/// All parts. Dropping it stops them.
#[derive(Debug)]
pub(crate) struct Rig {
    // Dropped first, so that Envoy does not report errors when the others stop.
    envoy: Option<Envoy>,
    pub(crate) replicas: Vec<ExtProc>,
    pub(crate) store: Valkey,
    pub(crate) cells: Vec<Cell>,
    pub(crate) links: Links,
    pub(crate) pki: Pki,
    /// Uploads that stop before their end.
    pub(crate) uploads: JoinSet<Result<()>>,
    /// The file by which libfaketime sets the clock of the second replica.
    pub(crate) clock: Option<PathBuf>,
    /// Requests that reached cells that are gone.
    retired: Vec<(String, Seen)>,
    port: KeptPort,
    /// A file system of the run's own.
    pub(crate) small_disk: Option<PathBuf>,
    directory: PathBuf,
    versions: u64,
    _temporary: TempDir,
}

impl Rig {
    /// Starts every part.
    ///
    /// # Errors
    /// When a part is missing or does not start.
    pub(crate) async fn start() -> Result<Self> {
        let small_disk = named("CHAOS_DISK");
        let temporary = match &small_disk {
            Some(disk) => tempfile::Builder::new().prefix("rig-").tempdir_in(disk)?,
            None => tempfile::Builder::new().prefix("cellgate-chaos-").tempdir()?,
        };
        let directory = temporary.path().to_owned();
        let pki = Pki::new(&folder(&directory, "pki")?)?;
        let mut cells = Vec::new();
        for name in ["cell-a", "cell-b", "cell-c"] {
            cells.push(Cell::start(name).await?);
        }
        let store = Valkey::start(ServerOptions::new()).await?;
        let mut links = Links::start(&directory).await?;
        let store_link = links.add("store", store.address()?).await?;
        let clock = named("LIBFAKETIME").map(|_| directory.join("clock"));
        let mut replicas = Vec::new();
        for number in 0..2 {
            let place = folder(&directory, &format!("service-{number}"))?;
            let options = service_options(&place, number, store_link, &pki)?;
            let program = match &clock {
                Some(clock) if number == 1 => with_clock(&place, clock)?,
                _ => artifacts::cellgate()?,
            };
            let replica = ExtProc::start_program(program, &config("start", 0), &place, &options).await?;
            links.add(&service(number), replica.addresses().grpc).await?;
            replicas.push(replica);
        }
        for cell in &cells {
            links.add(cell.name(), cell.address()).await?;
        }
        let mut rig = Self {
            envoy: None,
            replicas,
            store,
            cells,
            links,
            pki,
            uploads: JoinSet::new(),
            clock,
            retired: Vec::new(),
            port: KeptPort::take()?,
            small_disk,
            directory,
            versions: 0,
            _temporary: temporary,
        };
        rig.start_envoy().await?;
        rig.healthy(2).await?;
        rig.store_is(true).await?;
        Ok(rig)
    }

    /// Starts Envoy, for the first time or after its end, on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start_envoy(&mut self) -> Result<()> {
        let directory = folder(&self.directory, "envoy")?;
        // Of the Envoy before.
        let _ = std::fs::remove_file(directory.join("admin-address"));
        let mut options = chain::options(self.address()?, &self.links, &self.pki)?;
        let service = self.links.address(&service(0))?;
        self.envoy = None;
        let started = Envoy::start(&mut options, &self.cells, Some(service), &directory).await;
        let log = || std::fs::read_to_string(directory.join("envoy.log")).unwrap_or_default();
        self.envoy = Some(started.with_context(|| format!("Envoy's log ends with:\n{}", last(&log(), 2000)))?);
        Ok(())
    }

    /// The running Envoy.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn envoy(&self) -> Result<&Envoy> {
        self.envoy.as_ref().context("Envoy does not run")
    }

    /// The address for clients.
    ///
    /// # Errors
    /// The system call fails.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        self.port.address()
    }

    /// A cell by its name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn cell(&self, name: &str) -> Result<&Cell> {
        self.cells.iter().find(|cell| cell.name() == name).with_context(|| format!("there is no {name}"))
    }

    /// Starts a cell anew in place of one that has died. Its link leads there.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn revive_cell(&mut self, name: &str) -> Result<()> {
        let cell = Cell::start(name).await?;
        self.links.lead(name, cell.address()).await?;
        let place = self.cells.iter_mut().find(|cell| cell.name() == name).context("no such cell")?;
        let gone = std::mem::replace(place, cell);
        self.retired.extend(gone.take_seen().into_iter().map(|seen| (name.to_owned(), seen)));
        Ok(())
    }

    /// The requests that have ended at a cell since the last call, with the cell's name.
    pub(crate) fn take_arrivals(&mut self) -> Vec<(String, Seen)> {
        let mut arrivals = std::mem::take(&mut self.retired);
        for cell in &self.cells {
            arrivals.extend(cell.take_seen().into_iter().map(|seen| (cell.name().to_owned(), seen)));
        }
        arrivals
    }

    /// Whether a part that a fault needs is missing, and why.
    pub(crate) fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::SmallDisk if self.small_disk.is_none() => Some("it needs root, for a file system of its own"),
            Need::Faketime if self.clock.is_none() => Some("it needs libfaketime, a package of Debian and Ubuntu"),
            _ => None,
        }
    }

    /// Waits until Envoy takes so many replicas for healthy.
    ///
    /// # Errors
    /// On a timeout.
    pub(crate) async fn healthy(&self, count: u64) -> Result<()> {
        let admin = self.envoy()?.admin();
        let healthy = || async {
            let found = admin.stat(HEALTHY).await?;
            Ok((found == count).then_some(()))
        };
        wait::until(&format!("{count} healthy replicas in Envoy"), healthy).await
    }

    /// Waits until every replica says that the store is available, or that it is not.
    ///
    /// # Errors
    /// On a timeout.
    pub(crate) async fn store_is(&self, available: bool) -> Result<()> {
        for replica in &self.replicas {
            let wanted = f64::from(u8::from(available));
            let reached = || async { Ok((replica.metric(STORE_AVAILABLE).await? == wanted).then_some(())) };
            wait::until(&format!("{STORE_AVAILABLE} to be {wanted}"), reached).await?;
        }
        Ok(())
    }

    /// The part that Envoy or a replica reports as not available, if there is one.
    pub(crate) async fn trouble(&self) -> Option<String> {
        // A process that stands still accepts the question, and does not answer.
        let found = tokio::time::timeout(ANSWER, self.find_trouble()).await;
        found
            .unwrap_or_else(|_| Ok(Some("a part that does not answer".to_owned())))
            .unwrap_or_else(|error| Some(format!("{error:#}")))
    }

    async fn find_trouble(&self) -> Result<Option<String>> {
        let healthy = self.envoy()?.admin().stat(HEALTHY).await?;
        if healthy != self.replicas.len() as u64 {
            return Ok(Some(format!("replicas, of which {healthy} are healthy in Envoy")));
        }
        for (number, replica) in self.replicas.iter().enumerate() {
            if replica.metric(STORE_AVAILABLE).await? != 1.0 {
                return Ok(Some(format!("the store, for {}", service(number))));
            }
        }
        Ok(None)
    }

    /// A new name of a configuration.
    pub(crate) fn next_version(&mut self) -> String {
        self.versions += 1;
        format!("chaos-{}", self.versions)
    }

    /// The file of a replica's configuration.
    pub(crate) fn config_file(&self, number: usize) -> PathBuf {
        self.directory.join(service(number)).join("cellgate.yaml")
    }

    /// How long one request of a kind takes now.
    ///
    /// # Errors
    /// It has no answer.
    pub(crate) async fn time(&self, kind: &Kind) -> Result<Duration> {
        let start = Instant::now();
        let answer = Http1::connect(self.address()?).await?.send(&kind.request(0)).await?;
        ensure!(answer.status.is_success(), "{} {}", answer.status, answer.text());
        Ok(start.elapsed())
    }

    /// Empties Envoy's access log if it is large. A long run must not fill its disk by itself.
    pub(crate) fn trim_log(&self) -> Result<()> {
        let log = self.envoy()?.example_log();
        if std::fs::metadata(&log).is_ok_and(|file| file.len() > LOG_BYTES) {
            // Envoy appends, so it goes on at the beginning.
            std::fs::File::options().write(true).open(&log)?.set_len(0)?;
        }
        Ok(())
    }
}

/// The name of a replica: of its folder and of its link.
pub(crate) fn service(number: usize) -> String {
    format!("service-{number}")
}

fn service_options(place: &Path, number: usize, store: SocketAddr, pki: &Pki) -> Result<Vec<String>> {
    let secret = place.join("limit-secret");
    std::fs::write(&secret, "00112233445566778899aabbccddeeff\n")?;
    let name = service(number);
    let options = [
        ("--tls-cert", pki.file(&format!("{name}.crt"))),
        ("--tls-key", pki.file(&format!("{name}.key"))),
        ("--tls-client-ca", pki.file("ca.crt")),
        ("--tls-client-san", pki::ENVOY.to_owned()),
        ("--limit-store", format!("redis://{store}/0")),
        ("--limit-secret-file", secret.display().to_string()),
        // On a busy machine the default, 5 ms, would open the circuit breaker without a fault.
        ("--limit-store-timeout", "2s".to_owned()),
        ("--limit-store-replicas", "2".to_owned()),
        ("--max-held-bytes", "4MiB".to_owned()),
        ("--budget-timeout", "2s".to_owned()),
    ];
    Ok(options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect())
}

/// A program that starts the service with libfaketime, by `clock`.
fn with_clock(place: &Path, clock: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    std::fs::write(clock, "+0\n")?;
    let library = named("LIBFAKETIME").context("LIBFAKETIME")?;
    let (script, program) = (place.join("cellgate-with-a-clock"), artifacts::cellgate()?);
    // The kernel's monotonic clock takes no part in a step of the time.
    std::fs::write(
        &script,
        format!(
            "#!/bin/sh\nLD_PRELOAD='{}' FAKETIME_TIMESTAMP_FILE='{}' FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
             exec '{}' \"$@\"\n",
            library.display(),
            clock.display(),
            program.display()
        ),
    )?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// The last bytes of a text, in whole lines.
fn last(text: &str, bytes: usize) -> String {
    let mut lines = text.lines().rev().scan(0, |sum, line| {
        *sum += line.len();
        (*sum <= bytes).then_some(line)
    });
    let mut kept: Vec<&str> = lines.by_ref().collect();
    kept.reverse();
    kept.join("\n")
}

fn folder(parent: &Path, name: &str) -> Result<PathBuf> {
    let path = parent.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// A path in the environment.
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
