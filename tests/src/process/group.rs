//! The process group of the programs that this process started: it ends with this process, whatever ends that.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// What the group's leader runs. It reads a pipe whose other end only this process has: the read ends when this process
/// does, be it by SIGKILL. Then the leader kills its whole group, itself included. As long as it runs, no other process
/// can be given the group's number.
const LEADER: &str = "trap '' HUP INT TERM; read -r _; kill -KILL 0";

/// The group's leader, started with the first program.
static STARTED: Mutex<Option<Child>> = Mutex::new(None);

/// Lets `command` start its program in the group. So it has no part in what a terminal sends to this process's group
/// either: this process ends its programs in an order of its own.
///
/// # Errors
/// When the leader cannot be started.
pub(super) fn join(command: &mut Command) -> Result<()> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let leader = match started.take() {
        Some(leader) => leader,
        None => lead()?,
    };
    command.process_group(i32::try_from(started.insert(leader).id())?);
    Ok(())
}

fn lead() -> Result<Child> {
    let mut command = Command::new("sh");
    // Its own output streams, so that it does not keep a pipe open that a reader of this process's output waits on.
    command.args(["-c", LEADER]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().context("cannot start sh")
}
