//! A program that a test starts. Its log is kept, and it never outlives the test.

mod group;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::wait;

/// Log texts of a crash, which fail the test.
const CRASHES: [&str; 4] = ["panicked at", "Uncaught RuntimeError", "envoy bug failure", "Caught Segmentation"];

/// The number of log lines that a failed test shows.
const SHOWN_LINES: usize = 150;

/// A running program. Dropping it kills it, shows its log if the test is failing, and fails the test if the log reports
/// a crash.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Mutex<Child>,
    log: PathBuf,
    is_to_crash: AtomicBool,
    /// The length of the log that is not searched for crashes: it was there before, or they are forgiven.
    searched_from: AtomicUsize,
}

impl Process {
    /// Starts `command` with both output streams appended to the file `log`. The program ends with this process at the
    /// latest, even if this process is killed.
    ///
    /// # Errors
    /// When the program cannot be started or the file cannot be written.
    pub fn spawn(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let output =
            File::options().create(true).append(true).open(log).with_context(|| format!("{}", log.display()))?;
        // What an earlier process with this log has written is its own matter.
        let before = read(log).len();
        group::join(command)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self {
            name,
            child: Mutex::new(child),
            log: log.to_owned(),
            is_to_crash: AtomicBool::new(false),
            searched_from: AtomicUsize::new(before),
        })
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Sends a signal: `Signal::TERM`, `KILL`, `STOP`, `CONT` and so on.
    ///
    /// # Errors
    /// When the program has exited.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child());
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// The exit status, or `None` while it runs.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child().try_wait()?)
    }

    /// Fails, with the log's last lines, if the program has exited.
    ///
    /// # Errors
    /// See above.
    pub fn must_run(&self) -> Result<()> {
        match self.exit_status()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.last_lines(30)),
        }
    }

    /// Waits until it exits.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn ended(&self) -> Result<ExitStatus> {
        wait::until(&format!("the end of {}", self.name), || async { self.exit_status() }).await
    }

    /// Kills it with SIGKILL and waits until it has exited.
    pub fn kill(&self) {
        let mut child = self.child();
        // Both calls fail only if it has already exited.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Its whole output so far.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Allows crash texts in the log, for a test that causes a crash.
    pub fn may_crash(&self) {
        self.is_to_crash.store(true, Ordering::Relaxed);
    }

    /// Forgives the crash texts that are in the log so far, and from now on allows none.
    pub fn forgive_crashes(&self) {
        self.searched_from.store(self.log().len(), Ordering::Relaxed);
        self.is_to_crash.store(false, Ordering::Relaxed);
    }

    /// Prints the last lines of its log, like a failed test.
    pub fn show_log(&self) {
        eprintln!("---- log of {} ----\n{}\n---- end ----", self.name, self.last_lines(SHOWN_LINES));
    }

    fn last_lines(&self, count: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        let log = log.get(self.searched_from.load(Ordering::Relaxed)..).unwrap_or(&log);
        let crash = CRASHES.iter().find_map(|sign| log.lines().find(|line| line.contains(sign)));
        let crash = crash.filter(|_| !self.is_to_crash.load(Ordering::Relaxed));
        if std::thread::panicking() || crash.is_some() {
            self.show_log();
        }
        if let (Some(line), false) = (crash, std::thread::panicking()) {
            panic!("{} crashed: {line}", self.name);
        }
    }
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, directory: &tempfile::TempDir) -> Process {
        Process::spawn("sh", Command::new("sh").args(["-c", script]), &directory.path().join("log")).unwrap()
    }

    #[tokio::test]
    async fn log_and_status_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let process = shell("echo out; echo err >&2; exit 3", &directory);
        assert_eq!(process.ended().await.unwrap().code(), Some(3));
        assert_eq!(process.log(), "out\nerr\n");
        assert!(process.must_run().unwrap_err().to_string().contains("err"));
    }

    #[test]
    fn dropping_kills_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let process = shell("exec sleep 600", &directory);
        let pid = Pid::from_child(&process.child());
        drop(process);
        assert!(kill_process(pid, Signal::CONT).is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "sh crashed: a second one panicked at")]
    async fn a_crash_after_forgiven_ones_fails_the_test() {
        let directory = tempfile::tempdir().unwrap();
        let script =
            "trap 'echo a second one panicked at x; exit' TERM; echo one panicked at x; while :; do sleep 0.01; done";
        let process = shell(script, &directory);
        process.may_crash();
        let crashed = || async { Ok(process.log().contains("one panicked").then_some(())) };
        wait::until("the first crash", crashed).await.unwrap();
        process.forgive_crashes();
        process.signal(Signal::TERM).unwrap();
        process.ended().await.unwrap();
    }

    #[tokio::test]
    async fn a_crash_of_an_earlier_process_with_the_same_log_is_not_this_ones() {
        let directory = tempfile::tempdir().unwrap();
        let first = shell("echo one panicked at x", &directory);
        first.may_crash();
        first.ended().await.unwrap();
        shell("true", &directory).ended().await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "sh crashed: thread 'main' panicked at")]
    async fn a_crash_fails_the_test() {
        let directory = tempfile::tempdir().unwrap();
        let process = shell("echo \"thread 'main' panicked at src/main.rs\"", &directory);
        process.ended().await.unwrap();
    }
}
