//! The process group of the programs that this process starts. It ends with this process, however that ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// The script of the group's leader. It reads a pipe whose other end only this process has, so the read ends when this
/// process ends, even by SIGKILL. Then the leader kills the whole group, including itself. While it runs, the system
/// does not reuse the group's number.
const LEADER: &str = "trap '' HUP INT TERM; read -r _; kill -KILL 0";

/// The group's leader, started with the first program.
static STARTED: Mutex<Option<Child>> = Mutex::new(None);

/// Makes `command` start its program in the group. The terminal's signals then do not reach the program, and this
/// process stops its programs in its own order.
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
    // Own output streams: otherwise a reader of this process's output would wait for the leader to close them.
    command.args(["-c", LEADER]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().context("cannot start sh")
}
