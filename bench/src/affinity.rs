//! Processor affinity: the measured programs run on one processor, the client and the cells on the others.
//!
//! On shared processors, the client and the cells evict the proxies' data from the caches. How much depends on the
//! scheduler, and two equal proxies can seem to differ by several microseconds per request.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The split between measured programs and this process. Dropping it lets this process use every processor again.
#[derive(Debug)]
pub(crate) struct Split {
    measured: CpuSet,
    before: CpuSet,
    processor: usize,
}

impl Split {
    /// Reserves the last usable processor for the measured programs and moves this process to the others. Returns
    /// `None` when there is only one processor.
    ///
    /// # Errors
    /// When the system refuses the move.
    pub(crate) fn new() -> Result<Option<Self>> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        let usable = (0..CpuSet::count()).filter(|processor| before.is_set(*processor).unwrap_or(false));
        let Some(processor) = usable.clone().next_back().filter(|_| usable.count() > 1) else { return Ok(None) };
        let (mut measured, mut others) = (CpuSet::new(), before);
        measured.set(processor)?;
        others.unset(processor)?;
        move_to(std::process::id(), &others)?;
        Ok(Some(Self { measured, before, processor }))
    }

    /// Moves a process to the processor of the measured programs.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn measure(&self, pid: u32) -> Result<()> {
        move_to(pid, &self.measured)
    }

    /// The number of the processor of the measured programs.
    pub(crate) fn processor(&self) -> usize {
        self.processor
    }
}

impl Drop for Split {
    fn drop(&mut self) {
        // A failure has no consequence, and `drop` cannot report it.
        let _ = move_to(std::process::id(), &self.before);
    }
}

/// Moves every thread of a process. New threads inherit the affinity of the thread that starts them, so the loop ends
/// once it finds no thread that it has not moved.
fn move_to(pid: u32, processors: &CpuSet) -> Result<()> {
    let mut moved = BTreeSet::new();
    loop {
        let before = moved.len();
        for thread in threads(pid)? {
            if moved.contains(&thread) {
                continue;
            }
            match sched_setaffinity(Pid::from_raw(thread), processors) {
                Ok(()) => moved.insert(thread),
                // The thread has ended in the meantime.
                Err(Errno::ESRCH) => continue,
                Err(error) => return Err(error).context("moving to another processor"),
            };
        }
        if moved.len() == before {
            return Ok(());
        }
    }
}

fn threads(pid: u32) -> Result<Vec<i32>> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).context("no such process")?;
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(|entry| number(entry.ok()?)).collect())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn processors(of: &CpuSet) -> Vec<usize> {
        (0..CpuSet::count()).filter(|processor| of.is_set(*processor).unwrap()).collect()
    }

    #[test]
    fn a_process_runs_on_the_processor_that_it_is_moved_to() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let last = *processors(&all).last().unwrap();
        let mut one = CpuSet::new();
        one.set(last).unwrap();
        move_to(child.id(), &one).unwrap();
        let found = sched_getaffinity(Pid::from_raw(child.id().cast_signed())).unwrap();
        assert_eq!(processors(&found), [last]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(move_to(5_000_000, &one).is_err());
    }
}
