//! The CPU time and the memory of a process.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The CPU time (user and system) of all threads of a process so far, including threads that have ended.
///
/// It reads the process's CPU-time clock (clock_getcpuclockid(3)), which counts nanoseconds. `/proc/PID/stat` counts
/// hundredths of a second, so batches would need to be ten times as long.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).context("a process id")?);
    Ok(Duration::from(clock_gettime(clock_getcpuclockid(pid)?)?))
}

/// The resident memory of a process, in KiB (`VmRSS` in proc_pid_status(5)).
///
/// # Errors
/// When there is no such process.
pub fn resident(pid: u32) -> Result<u64> {
    kibibytes(pid, "VmRSS:")
}

/// The most resident memory that a process has had, in KiB (`VmHWM` in proc_pid_status(5)).
///
/// # Errors
/// When there is no such process.
pub fn peak_resident(pid: u32) -> Result<u64> {
    kibibytes(pid, "VmHWM:")
}

fn kibibytes(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
    line.with_context(|| format!("no {field}"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn cpu_time_is_counted_with_high_resolution() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let start = Instant::now();
        while cpu_time(own).unwrap() < before + Duration::from_millis(1) {
            assert!(start.elapsed() < Duration::from_secs(30), "no CPU time counted");
            std::hint::black_box((0..1000).sum::<u64>());
        }
        assert!(cpu_time(own).unwrap() < before + Duration::from_secs(30));
    }

    #[test]
    fn touched_memory_is_resident() {
        let own = std::process::id();
        // No other test of this process takes so much. A difference would depend on what they free meanwhile.
        let memory = vec![1_u8; 256 << 20];
        let found = resident(own).unwrap();
        assert!(found >= 256 << 10, "{found}");
        drop(std::hint::black_box(memory));
        assert!(peak_resident(own).unwrap() >= 256 << 10);
    }

    #[test]
    fn a_missing_process_is_an_error() {
        // Above Linux's largest process id, 2^22.
        assert!(cpu_time(5_000_000).is_err());
        assert!(cpu_time(u32::MAX).is_err());
    }
}
