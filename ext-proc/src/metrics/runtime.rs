//! The metrics of tokio's runtimes: one for each worker thread, and `main` for the admin port and the background tasks.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Counter, CounterVec, IntGauge, Opts, Registry};
use tokio::runtime::{Handle, RuntimeMetrics as Runtime};

/// The label of the runtime that is no worker.
const MAIN: &str = "main";

/// The metrics of all runtimes. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeMetrics {
    busy: CounterVec,
    workers: IntGauge,
    alive_tasks: IntGauge,
    queued_tasks: IntGauge,
    runtimes: Arc<Mutex<Vec<ObservedRuntime>>>,
}

#[derive(Debug)]
struct ObservedRuntime {
    runtime: Runtime,
    busy: Counter,
    is_worker: bool,
}

impl RuntimeMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let busy = Opts::new(
            "cellgate_runtime_busy_seconds_total",
            "Seconds that a thread spent on tasks. `worker` is its number, or `main` for the admin port and \
                 background tasks. A connection stays with its worker, so one can be busy while others are idle.",
        );
        let busy = CounterVec::new(busy, &["worker"])?;
        busy.with_label_values(&[MAIN]);
        Ok(Self {
            busy,
            workers: IntGauge::new(
                "cellgate_runtime_workers",
                "Worker threads: one for each core that the process may use.",
            )?,
            alive_tasks: IntGauge::new(
                "cellgate_runtime_alive_tasks",
                "Tasks that have not ended: connections, streams, calls and background tasks.",
            )?,
            queued_tasks: IntGauge::new(
                "cellgate_runtime_queued_tasks",
                "Tasks that another thread has woken and that wait for a worker.",
            )?,
            runtimes: Arc::default(),
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.busy.clone()))?;
        registry.register(Box::new(self.workers.clone()))?;
        registry.register(Box::new(self.alive_tasks.clone()))?;
        registry.register(Box::new(self.queued_tasks.clone()))
    }

    /// Shows the runtime of this task from now on, as `main`.
    pub(crate) fn observe_main(&self) {
        self.observe(MAIN, Handle::current().metrics(), false);
    }

    /// Shows the runtimes of the worker threads from now on, as `0`, `1` and so on.
    pub(crate) fn observe_workers(&self, runtimes: impl IntoIterator<Item = Runtime>) {
        for (number, runtime) in runtimes.into_iter().enumerate() {
            self.observe(&number.to_string(), runtime, true);
        }
    }

    /// Takes over the counts of the runtimes.
    pub(super) fn refresh(&self) {
        let (mut workers, mut alive, mut queued) = (0, 0, 0);
        for observed in self.runtimes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let busy: f64 = (0..observed.runtime.num_workers())
                .map(|worker| observed.runtime.worker_total_busy_duration(worker).as_secs_f64())
                .sum();
            // Two scrapes at once may read one after the other and write in the other order: a counter never falls.
            observed.busy.inc_by((busy - observed.busy.get()).max(0.0));
            workers += usize::from(observed.is_worker);
            alive += observed.runtime.num_alive_tasks();
            queued += observed.runtime.global_queue_depth();
        }
        for (gauge, count) in [(&self.workers, workers), (&self.alive_tasks, alive), (&self.queued_tasks, queued)] {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn observe(&self, label: &str, runtime: Runtime, is_worker: bool) {
        let busy = self.busy.with_label_values(&[label]);
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner).push(ObservedRuntime { runtime, busy, is_worker });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_worker_that_computes_is_busy() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let metrics = RuntimeMetrics::new().unwrap();
        metrics.observe_workers([runtime.metrics()]);
        runtime.block_on(async {
            metrics.observe_main();
            tokio::spawn(async {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(20) {
                    std::hint::spin_loop();
                }
            })
            .await
            .unwrap();
            // A runtime reports its time when its thread parks.
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
        metrics.refresh();
        let busy = metrics.busy.with_label_values(&["0"]).get();
        assert!(busy >= 0.02, "{busy}");
        assert_eq!(metrics.workers.get(), 1);
        metrics.refresh();
        assert!(metrics.busy.with_label_values(&["0"]).get() >= busy);
    }
}
