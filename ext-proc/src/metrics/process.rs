//! The metrics of the process, under the names that Prometheus' client libraries share. Only Linux has them: `/proc` is
//! read at each scrape.

use prometheus::{Counter, Gauge, IntGauge, Registry};

/// The metrics of the process. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct ProcessMetrics {
    cpu: Counter,
    start: Gauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    resident: IntGauge,
    virtual_memory: IntGauge,
    threads: IntGauge,
}

/// Values of `/proc`. One that cannot be read is `None`, and its metric keeps its value.
#[derive(Clone, Copy, Debug, Default)]
struct ProcessState {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
}

impl ProcessMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "CPU time of the process, user and system, in seconds. The metrics `process_…` exist on Linux only.",
            )?,
            start: Gauge::new("process_start_time_seconds", "Unix time at which the process started.")?,
            open_fds: IntGauge::new("process_open_fds", "Open file descriptors: each connection takes one.")?,
            max_fds: IntGauge::new("process_max_fds", "The limit of open file descriptors.")?,
            resident: IntGauge::new("process_resident_memory_bytes", "Memory in RAM, in bytes.")?,
            virtual_memory: IntGauge::new("process_virtual_memory_bytes", "Virtual memory, in bytes.")?,
            threads: IntGauge::new("process_threads", "Threads of the process.")?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.cpu.clone()))?;
        registry.register(Box::new(self.start.clone()))?;
        for gauge in [&self.open_fds, &self.max_fds, &self.resident, &self.virtual_memory, &self.threads] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(())
    }

    /// Reads `/proc`.
    pub(super) fn refresh(&self) {
        let state = ProcessState::read();
        if let Some(seconds) = state.cpu_seconds {
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        }
        if let Some(seconds) = state.start_seconds {
            self.start.set(seconds);
        }
        for (gauge, value) in [
            (&self.open_fds, state.open_fds),
            (&self.max_fds, state.max_fds),
            (&self.resident, state.resident_bytes),
            (&self.virtual_memory, state.virtual_bytes),
            (&self.threads, state.threads),
        ] {
            if let Some(value) = value {
                gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
    }
}

impl ProcessState {
    #[cfg(target_os = "linux")]
    fn read() -> Self {
        use procfs::process::{LimitValue, Process};

        let Ok(process) = Process::myself() else { return Self::default() };
        let stat = process.stat().ok();
        let ticks = procfs::ticks_per_second();
        let seconds = |ticks_since: u64| Some(ticks_since as f64 / ticks as f64).filter(|seconds| seconds.is_finite());
        let boot = procfs::boot_time_secs().ok();
        let max_fds = process.limits().ok().map(|limits| limits.max_open_files.soft_limit);
        Self {
            cpu_seconds: stat.as_ref().and_then(|stat| seconds(stat.utime.saturating_add(stat.stime))),
            start_seconds: stat
                .as_ref()
                .zip(boot)
                .and_then(|(stat, boot)| Some(boot as f64 + seconds(stat.starttime)?)),
            open_fds: process.fd_count().ok().and_then(|count| u64::try_from(count).ok()),
            max_fds: max_fds.map(|limit| match limit {
                LimitValue::Value(limit) => limit,
                LimitValue::Unlimited => u64::MAX,
            }),
            resident_bytes: stat.as_ref().map(|stat| stat.rss.saturating_mul(procfs::page_size())),
            virtual_bytes: stat.as_ref().map(|stat| stat.vsize),
            threads: stat.as_ref().and_then(|stat| u64::try_from(stat.num_threads).ok()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Self {
        Self::default()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the kernel tells Unix time")]
    fn a_scrape_reads_this_process() {
        let metrics = ProcessMetrics::new().unwrap();
        metrics.refresh();
        let before = metrics.open_fds.get();
        assert!(before > 0 && metrics.max_fds.get() >= before);
        assert!(metrics.threads.get() >= 1);
        assert!(metrics.resident.get() > 100_000 && metrics.virtual_memory.get() >= metrics.resident.get());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - metrics.start.get()).abs() < 86_400.0, "{}", metrics.start.get());
        let files: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        metrics.refresh();
        // Other tests open and close files meanwhile.
        assert!(metrics.open_fds.get() >= before + 20, "{} after {before}", metrics.open_fds.get());
        drop(files);
    }
}
