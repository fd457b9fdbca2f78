//! Whatever ends the demonstration, nothing that it started goes on.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use cellgate_tests::process::{Process, Signal};
use cellgate_tests::wait;
use tempfile::TempDir;

/// The leader of the programs' process group, Envoy and the service.
const PROGRAMS: [&str; 3] = ["cellgate", "envoy", "sh"];

/// What precedes each address in what the demonstration prints: Envoy's listener and administration, the service.
const ADDRESSES: [&str; 3] = ["curl -si http://", "Envoy's admin   http://", "the service     http://"];

/// A demonstration that stays up.
struct Demo {
    process: Process,
    /// For the directory that it makes: what SIGKILL leaves of it goes with this one.
    directory: TempDir,
}

/// A process as `/proc` shows it.
struct Status {
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

    /// Waits until it says that everything stays up, and gives the addresses that it names.
    async fn addresses(&self) -> Vec<SocketAddr> {
        let said = || async {
            self.process.must_run()?;
            let log = self.process.log();
            Ok(log.contains("/metrics").then(|| ADDRESSES.map(|before| address_after(before, &log)).to_vec()))
        };
        wait::until("the demonstration to stay up", said).await.unwrap()
    }

    /// Sends the signal, and waits for the end of the demonstration and of its programs.
    async fn end(&self, signal: Signal, programs: &[u32]) -> ExitStatus {
        self.process.signal(signal).unwrap();
        let status = self.process.ended().await.unwrap();
        for pid in programs {
            let ended = || async { Ok(status_of(*pid).is_none_or(|status| status.ended).then_some(())) };
            wait::until(&format!("the end of {pid}"), ended).await.unwrap();
        }
        status
    }

    /// How many directories it has left behind.
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

/// `None` for a process that is gone.
fn status_of(pid: u32) -> Option<Status> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // Where nobody asks how an orphan ended, as in some containers, it stays as a zombie.
    let ended = field("State:")?.starts_with('Z');
    Some(Status { name: field("Name:")?.to_owned(), parent: field("PPid:")?.parse().ok()?, ended })
}

fn address_after(before: &str, log: &str) -> SocketAddr {
    let (_, after) = log.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {log}"));
    after.split(['/', '\n']).next().unwrap().parse().unwrap()
}

/// Ends a demonstration that stays up.
async fn leaves_nothing(signal: Signal) -> (ExitStatus, usize) {
    let demo = Demo::start();
    let addresses = demo.addresses().await;
    let programs = demo.programs().await;
    let status = demo.end(signal, &programs).await;
    for address in addresses {
        // Another test may have been given the port meanwhile, and gives it back.
        let free = || async { Ok(TcpListener::bind(address).ok()) };
        wait::until(&format!("{address} to be free"), free).await.unwrap();
    }
    (status, demo.directories())
}

#[tokio::test]
async fn told_to_terminate_it_ends_everything() {
    let (status, directories) = leaves_nothing(Signal::TERM).await;
    assert_eq!((status.code(), directories), (Some(143), 0));
}

#[tokio::test]
async fn interrupted_it_ends_everything() {
    let (status, directories) = leaves_nothing(Signal::INT).await;
    assert_eq!((status.code(), directories), (Some(130), 0));
}

#[tokio::test]
async fn without_its_terminal_it_ends_everything() {
    let (status, directories) = leaves_nothing(Signal::HUP).await;
    assert_eq!((status.code(), directories), (Some(129), 0));
}

/// It can do nothing itself then: files stay.
#[tokio::test]
async fn killed_it_leaves_no_program() {
    let (status, _) = leaves_nothing(Signal::KILL).await;
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
}

#[tokio::test]
async fn told_to_terminate_while_it_works_it_ends_everything() {
    let demo = Demo::start();
    let programs = demo.programs().await;
    let status = demo.end(Signal::TERM, &programs).await;
    assert_eq!((status.code(), demo.directories()), (Some(143), 0));
}
