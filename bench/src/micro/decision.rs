//! How long a decision takes inside the filter, and what its VM needs: measured by the filter itself, linked into a
//! module that counts (`bench/filters/timed`).

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

/// The module, built exactly as Cellgate's own.
const MODULE: &str = "wasm/cellgate_bench_timed.wasm";

const ROUNDS: usize = 5;

/// Body sizes, for people and in bytes. The goal is about the second.
const SIZES: [(&str, usize); 3] = [("256 B", 256), ("4 KB", 4096), ("64 KB", 65_536)];
const PROMISED: &str = "4 KB";

/// Requests before any is counted: the VM's compiler optimises what is used.
const WARM_UP: usize = 10_000;

/// What the module tells.
struct Report {
    decisions: Histogram,
    clock: u64,
    memory: u64,
}

/// Decisions on bodies of one size: quantiles in microseconds, one for each round.
struct Row {
    label: &'static str,
    median: Spread,
    p99: Spread,
    p999: Spread,
}

/// Measures both.
///
/// # Errors
/// When the module is missing, or an answer is not the expected one.
pub(super) async fn measure(quick: bool) -> Result<Part> {
    let vm = Vm::start(MODULE).await?;
    let idle = ask(&vm).await?.memory;
    let mut rows = Vec::new();
    let counted = if quick { 2_000 } else { 10_000 };
    for (label, size) in SIZES {
        send(&vm, size, WARM_UP, 1).await.with_context(|| label.to_owned())?;
        ask(&vm).await?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            send(&vm, size, counted, 1).await?;
            rounds.push(ask(&vm).await?.decisions);
        }
        rows.push(Row::new(label, &rounds)?);
    }
    let requests = if quick { 100_000 } else { 1_000_000 };
    let before = ask(&vm).await?.memory;
    send(&vm, 256, requests, 8).await?;
    let after = ask(&vm).await?;
    let growth = after.memory.saturating_sub(before);
    let module = std::fs::metadata(artifacts::wasm()?)?.len();

    let promised = rows.iter().find(|row| row.label == PROMISED).context("the promised size")?.p99;
    let goals = vec![
        Goal::at_most(format!("decision time inside the filter, p99, {PROMISED}, µs"), promised, 25.0),
        Goal::at_most("the module, KB", Spread::one(module as f64 / 1024.0), 400.0),
        Goal::at_most("memory of an idle VM, MB", Spread::one(idle as f64 / MEGABYTE), 4.0),
        Goal::at_most(
            format!("growth of a VM's memory over {requests} requests, KB"),
            Spread::one(growth as f64 / 1024.0),
            0.0,
        ),
    ];
    let json = json!({
        "microseconds": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "decisions": counted * ROUNDS,
        "clock_nanoseconds": after.clock,
        "module_bytes": module,
        "vm_bytes": {"idle": idle, "before": before, "after": after.memory, "requests": requests},
    });
    Ok(Part { name: "decision", markdown: markdown(&rows, after.clock, counted), json, goals })
}

const MEGABYTE: f64 = 1024.0 * 1024.0;

async fn ask(vm: &Vm) -> Result<Report> {
    Report::parse(&vm.ask("/-/timed").await?).context("what the module tells")
}

/// Sends requests of `acme`, which is in `cell-b`.
async fn send(vm: &Vm, size: usize, count: usize, connections: usize) -> Result<()> {
    let body = document(Kind::Objects, size, KeyAt::Last, "acme");
    let request =
        Request::post("/api/orders").header("user-agent", "cellgate-bench").header("accept", "*/*").json(body);
    let (address, wire) = (vm.address(), request.to_http1());
    tokio::task::spawn_blocking(move || drive(address, &wire, count, connections, "cell-b")).await?
}

impl Report {
    fn parse(answer: &Value) -> Option<Self> {
        let mut decisions = Histogram::default();
        for bucket in answer.get("decisions")?.as_array()? {
            decisions.add(bucket.get(0)?.as_u64()?, bucket.get(1)?.as_u64()?);
        }
        Some(Self { decisions, clock: answer.get("clock")?.as_u64()?, memory: answer.get("memory")?.as_u64()? })
    }
}

impl Row {
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

fn markdown(rows: &[Row], clock: u64, counted: usize) -> String {
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
    fn what_the_module_tells_is_understood() {
        let report = Report::parse(&json!({"decisions": [[15, 98], [31, 2]], "clock": 40, "memory": 65536})).unwrap();
        assert_eq!((report.clock, report.memory, report.decisions.count()), (40, 65536, 100));
        assert_eq!(report.decisions.quantile(0.5), Some(15));
        assert!(Report::parse(&json!({"error": "no"})).is_none());
    }

    #[test]
    fn quantiles_are_of_each_round() {
        let round = |slow: u64| {
            let mut histogram = Histogram::default();
            histogram.add(1000, 90);
            histogram.add(slow, 10);
            histogram
        };
        let row = Row::new("4 KB", &[round(15_000), round(30_000), round(60_000)]).unwrap();
        assert!(row.median.max < 1.1, "{:?}", row.median);
        assert!((30.0..32.0).contains(&row.p99.median) && row.p99.min < 16.0, "{:?}", row.p99);
        assert!(Row::new("4 KB", &[Histogram::default()]).is_err());
    }
}
