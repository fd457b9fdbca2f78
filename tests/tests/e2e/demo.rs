//! The demonstration stops every program that it started, whichever signal ends it.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use cellgate_tests::process::{Process, Signal};
use cellgate_tests::wait;
use tempfile::TempDir;

/// The service, Envoy, and the leader of their process group (`sh`).
const PROGRAMS: [&str; 3] = ["cellgate", "envoy", "sh"];

/// The text before each address that the demonstration prints: Envoy's listener, Envoy's admin interface, the service.
const ADDRESSES: [&str; 3] = ["curl -si http://", "Envoy admin       http://", "service metrics   http://"];

/// A demonstration that runs until a signal (`KEEP=1`).
struct Demo {
    process: Process,
    /// The parent of the demonstration's own directory, which SIGKILL leaves behind: dropping this removes both.
    directory: TempDir,
}

/// A process as `/proc/PID/status` shows it.
struct ProcessStatus {
    name: String,
    parent: u32,
    ended: bool,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.env("KEEP", "1").env("TMPDIR", directory.path());
        let process = Process::spawn("demo", &mut command, &directory.path().join("log")).unwrap();
        Self { process, directory }
    }

    /// Waits until all its programs run.
    async fn programs(&self) -> Vec<u32> {
        let all = || async {
            self.process.must_run()?;
            let mut programs = children(self.process.pid());
            programs.sort();
            let (names, pids): (Vec<String>, Vec<u32>) = programs.into_iter().unzip();
            Ok((names == PROGRAMS).then_some(pids))
        };
        wait::until("Envoy and the service to run", all).await.unwrap()
    }

    /// Waits until the demonstration prints its addresses, and returns them.
    async fn addresses(&self) -> Vec<SocketAddr> {
        let printed = || async {
            self.process.must_run()?;
            let log = self.process.log();
            Ok(log.contains("/metrics").then(|| ADDRESSES.map(|before| address_after(before, &log)).to_vec()))
        };
        wait::until("the demonstration to print its addresses", printed).await.unwrap()
    }

    /// Sends the signal and waits until the demonstration and its programs have exited.
    async fn end(&self, signal: Signal, programs: &[u32]) -> ExitStatus {
        self.process.signal(signal).unwrap();
        let status = self.process.ended().await.unwrap();
        for pid in programs {
            let ended = || async { Ok(status_of(*pid).is_none_or(|status| status.ended).then_some(())) };
            wait::until(&format!("the end of {pid}"), ended).await.unwrap();
        }
        status
    }

    /// The number of directories that the demonstration left behind.
    fn directories(&self) -> usize {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
    }
}

/// The names and process ids of a process's children.
fn children(parent: u32) -> Vec<(String, u32)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let child = |pid| status_of(pid).filter(|status| status.parent == parent).map(|status| (status.name, pid));
    pids.filter_map(child).collect()
}

/// `None` when the process no longer exists.
fn status_of(pid: u32) -> Option<ProcessStatus> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // An orphan stays a zombie where init does not reap it, as in some containers.
    let ended = field("State:")?.starts_with('Z');
    Some(ProcessStatus { name: field("Name:")?.to_owned(), parent: field("PPid:")?.parse().ok()?, ended })
}

fn address_after(before: &str, log: &str) -> SocketAddr {
    let (_, after) = log.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {log}"));
    after.split(['/', '\n']).next().unwrap().parse().unwrap()
}

/// Stops a running demonstration and waits until its ports are free. Returns its exit status and the number of
/// directories that it left behind.
async fn stop_with(signal: Signal) -> (ExitStatus, usize) {
    let demo = Demo::start();
    let addresses = demo.addresses().await;
    let programs = demo.programs().await;
    let status = demo.end(signal, &programs).await;
    for address in addresses {
        // Another test may use the port for a while.
        let free = || async { Ok(TcpListener::bind(address).ok()) };
        wait::until(&format!("{address} to be free"), free).await.unwrap();
    }
    (status, demo.directories())
}

#[tokio::test]
async fn sigterm_stops_every_program() {
    let (status, directories) = stop_with(Signal::TERM).await;
    assert_eq!((status.code(), directories), (Some(143), 0));
}

#[tokio::test]
async fn sigint_stops_every_program() {
    let (status, directories) = stop_with(Signal::INT).await;
    assert_eq!((status.code(), directories), (Some(130), 0));
}

#[tokio::test]
async fn sighup_stops_every_program() {
    let (status, directories) = stop_with(Signal::HUP).await;
    assert_eq!((status.code(), directories), (Some(129), 0));
}

/// SIGKILL leaves no time to remove files.
#[tokio::test]
async fn sigkill_stops_every_program() {
    let (status, _) = stop_with(Signal::KILL).await;
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
}

#[tokio::test]
async fn sigterm_while_requests_run_stops_every_program() {
    let demo = Demo::start();
    let programs = demo.programs().await;
    let status = demo.end(Signal::TERM, &programs).await;
    assert_eq!((status.code(), demo.directories()), (Some(143), 0));
}

/// It compares each result with the expected one itself.
#[test]
fn it_shows_decisions_and_a_rate_limit() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = command.env_remove("KEEP").env("TMPDIR", directory.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "acme    cell-c    50  ",
        "hooli   cell-c     5         5        0",
        "eu-77   cell-c     5         5        0",
        "  HTTP/1.1 429 Too Many Requests",
        "  retry-after: ",
        "  ratelimit: \"per-tenant\";r=0;t=",
        "  ratelimit-policy: \"per-tenant\";q=5;w=60",
        "  content-type: application/problem+json",
        "\"violated-policies\":[\"per-tenant\"]",
    ] {
        assert!(printed.contains(line), "no {line:?} in {printed}");
    }
    let lines = printed.lines().count();
    assert!(lines <= 60, "{lines} lines: {printed}");
}
