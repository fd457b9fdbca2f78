//! The duration of a decision inside the filter, and the memory of its VM. The module `bench/filters/timed`, which
//! contains the filter, measures both.

use anyhow::{Context, Result};
use cellgate_bench_micro::Histogram;
use cellgate_bench_micro::documents::{KeyAt, Kind, document};
use cellgate_tests::artifacts;
use cellgate_tests::client::Request;
use serde_json::{Value, json};

use super::drive::drive;
use super::vm::Vm;
use super::{Part, digits};
use crate::goals::Goal;
use crate::stats::Spread;
use crate::timed::{self, TimedReport};

const ROUNDS: usize = 5;

/// Body sizes, as a label and in bytes.
const SIZES: [(&str, usize); 3] = [("256 B", 256), ("4 KB", 4096), ("64 KB", 65_536)];
const GOAL_SIZE: &str = "4 KB";

/// The number of requests before the measurement, so that the VM's compiler has optimised the functions.
const WARM_UP: usize = 10_000;

/// Decisions on bodies of one size: quantiles in microseconds, one for each round.
struct DecisionRow {
    label: &'static str,
    median: Spread,
    p99: Spread,
    p999: Spread,
}

/// Measures duration and memory.
///
/// # Errors
/// When the module is missing, or a response is not the expected one.
pub(super) async fn measure(quick: bool) -> Result<Part> {
    let vm = Vm::start(timed::MODULE).await?;
    let idle = TimedReport::fetch(vm.address()).await?.memory;
    let mut rows = Vec::new();
    let counted = if quick { 2_000 } else { 10_000 };
    for (label, size) in SIZES {
        send(&vm, size, WARM_UP, 1).await.with_context(|| label.to_owned())?;
        TimedReport::fetch(vm.address()).await?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            send(&vm, size, counted, 1).await?;
            rounds.push(TimedReport::fetch(vm.address()).await?.decisions);
        }
        rows.push(DecisionRow::new(label, &rounds)?);
    }
    let requests = if quick { 100_000 } else { 1_000_000 };
    let before = TimedReport::fetch(vm.address()).await?.memory;
    send(&vm, 256, requests, 8).await?;
    let after = TimedReport::fetch(vm.address()).await?;
    let growth = after.memory.saturating_sub(before);
    let module = std::fs::metadata(artifacts::wasm()?)?.len();

    let p99 = rows.iter().find(|row| row.label == GOAL_SIZE).context("the size that has a goal")?.p99;
    let goals = vec![
        Goal::at_most(format!("decision time inside the filter, p99, {GOAL_SIZE}, µs"), p99, 25.0),
        Goal::at_most("the module, KB", Spread::one(module as f64 / 1024.0), 400.0),
        Goal::at_most("memory of an idle VM, MB", Spread::one(idle as f64 / MEGABYTE), 4.0),
        Goal::at_most(
            format!("growth of a VM's memory over {requests} requests, KB"),
            Spread::one(growth as f64 / 1024.0),
            0.0,
        ),
    ];
    let json = json!({
        "microseconds": rows.iter().map(DecisionRow::json).collect::<Vec<_>>(),
        "decisions": counted * ROUNDS,
        "clock_nanoseconds": after.clock,
        "module_bytes": module,
        "vm_bytes": {"idle": idle, "before": before, "after": after.memory, "requests": requests},
    });
    Ok(Part { name: "decision", markdown: markdown(&rows, after.clock, counted), json, goals })
}

const MEGABYTE: f64 = 1024.0 * 1024.0;

/// Sends requests with the key `acme`, whose cell is `cell-b`.
async fn send(vm: &Vm, size: usize, count: usize, connections: usize) -> Result<()> {
    let body = document(Kind::Objects, size, KeyAt::Last, "acme");
    let request =
        Request::post("/api/orders").header("user-agent", "cellgate-bench").header("accept", "*/*").json(body);
    let (address, wire) = (vm.address(), request.to_http1());
    tokio::task::spawn_blocking(move || drive(address, &wire, count, connections, "cell-b")).await?
}

impl DecisionRow {
    fn new(label: &'static str, rounds: &[Histogram]) -> Result<Self> {
        let quantile = |share| {
            let micros = |round: &Histogram| Some(round.quantile(share)? as f64 / 1000.0);
            Spread::of(rounds.iter().filter_map(micros)).context("no decisions")
        };
        Ok(Self { label, median: quantile(0.5)?, p99: quantile(0.99)?, p999: quantile(0.999)? })
    }

    fn json(&self) -> Value {
        let quantile = |spread: Spread| json!({"median": spread.median, "min": spread.min, "max": spread.max});
        json!({"body": self.label, "p50": quantile(self.median), "p99": quantile(self.p99), "p999": quantile(self.p999)})
    }
}

fn markdown(rows: &[DecisionRow], clock: u64, counted: usize) -> String {
    let mut text = format!(
        "\n## Decisions inside the filter, µs\n\nThe time of all callbacks of a request until its decision, hostcalls \
         included, by the clock on the wall: objects, key last, {ROUNDS} rounds of {counted} requests one after the other. Reading \
         the clock takes {clock} ns, and is in each callback's time once.\n\n| | p50 | p99 | p99.9 |\n|---|--:|--:|--:|\n"
    );
    for row in rows {
        let cell = |value: Spread| format!("{} ({} to {})", digits(value.median), digits(value.min), digits(value.max));
        text += &format!("| {} | {} | {} | {} |\n", row.label, cell(row.median), cell(row.p99), cell(row.p999));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_in_each_round() {
        let round = |slow: u64| {
            let mut histogram = Histogram::default();
            histogram.add(1000, 90);
            histogram.add(slow, 10);
            histogram
        };
        let row = DecisionRow::new("4 KB", &[round(15_000), round(30_000), round(60_000)]).unwrap();
        assert!(row.median.max < 1.1, "{:?}", row.median);
        assert!((30.0..32.0).contains(&row.p99.median) && row.p99.min < 16.0, "{:?}", row.p99);
        assert!(DecisionRow::new("4 KB", &[Histogram::default()]).is_err());
    }
}
