//! Which processors what runs on: what is measured on one of its own, what measures on the others.
//!
//! Where they share processors, the client and the cells drive the proxies' data out of the caches, more or less of it as
//! the scheduler likes, and two proxies that are the same may seem to differ by several microseconds per request.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// This process on its own processors. Dropping it gives this process back the one of what is measured.
#[derive(Debug)]
pub(crate) struct Split {
    measured: CpuSet,
    before: CpuSet,
    processor: usize,
}

impl Split {
    /// Takes the last processor that this process may use for what is measured, and moves this process to the others.
    /// `None` where there is only one.
    ///
    /// # Errors
    /// When the system refuses.
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

    /// Moves a process that is measured.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn measure(&self, pid: u32) -> Result<()> {
        move_to(pid, &self.measured)
    }

    /// The number of the processor of what is measured.
    pub(crate) fn processor(&self) -> usize {
        self.processor
    }
}

impl Drop for Split {
    fn drop(&mut self) {
        // Nothing else depends on it, and there is nobody to tell.
        let _ = move_to(std::process::id(), &self.before);
    }
}

/// Every thread of a process. Threads that it starts later inherit it, so those are looked for again that a thread not
/// yet moved may have started.
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
                // It has ended in the meantime.
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
    fn a_process_runs_where_it_is_moved_to() {
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
