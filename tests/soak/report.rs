//! The report of a run and its progress messages.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::Result;
use cellgate_tests::cell::Cell;
use cellgate_tests::stack::Stack;
use cellgate_tests::{artifacts, wait};
use serde_json::{Value, json};

use crate::Rates;
use crate::reload::{Probes, Reloads};
use crate::tally::Tally;
use crate::watch::{Growth, Sample, Verdict, judge};
use cellgate_tests::measure::machine;

/// The results when the traffic has ended.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) minutes: f64,
    pub(crate) rates: Rates,
    /// The number of requests that were sent late.
    pub(crate) late: u64,
    pub(crate) reloads: Reloads,
    pub(crate) samples: &'a [Sample],
    /// Leftovers, which should not exist.
    pub(crate) leftovers: Vec<String>,
}

impl Outcome<'_> {
    /// Prints the report and writes it to a file.
    pub(crate) fn publish(&self, tally: &Tally) -> Result<ExitCode> {
        let series: [(&str, Option<Verdict>); 3] = [
            ("Envoy", judge(self.samples, |sample| Some(sample.envoy))),
            ("the service", judge(self.samples, |sample| Some(sample.service))),
            ("Envoy's allocator", judge(self.samples, |sample| sample.allocated)),
        ];
        for (name, verdict) in &series {
            println!("memory of {name}: {}", verdict.map_or_else(|| "no samples".to_owned(), |verdict| verdict.text()));
        }
        for leftover in &self.leftovers {
            println!("LEFT OVER: {leftover}");
        }
        for example in tally.examples() {
            println!("WRONG: {example}");
        }
        let grows = series.iter().any(|(_, verdict)| verdict.is_some_and(|verdict| verdict.growth == Growth::Grows));
        let good = tally.wrong == 0 && self.leftovers.is_empty() && !grows;
        let memory: serde_json::Map<_, _> = series
            .iter()
            .map(|(name, verdict)| ((*name).to_owned(), verdict.map_or(Value::Null, |v| v.json())))
            .collect();
        self.write(tally, &Value::from(memory), good)?;
        let Reloads { done, slowest, .. } = self.reloads;
        println!(
            "soak: {} in {} min: {} requests at {:.0}/s, {} wrong, {done} reloads (adopted after {:.0} ms on average, {:.0} ms at most)",
            if good { "good" } else { "FAILED" },
            self.minutes,
            tally.sent,
            self.rates.chosen,
            tally.wrong,
            self.reloads.mean().as_secs_f64() * 1e3,
            slowest.as_secs_f64() * 1e3,
        );
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn write(&self, tally: &Tally, memory: &Value, good: bool) -> Result<()> {
        let Rates { saturation, cost, chosen } = self.rates;
        let samples = self.samples.iter().map(|s| json!([s.at.as_secs_f64(), s.envoy, s.service, s.allocated]));
        let facts: serde_json::Map<_, _> =
            machine::basics()?.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let report = json!({
            "good": good,
            "minutes": self.minutes,
            "machine": facts,
            "saturation_per_second": saturation,
            "cpu_seconds_per_request": cost,
            "rate_per_second": chosen,
            "late": self.late,
            "reloads": {
                "done": self.reloads.done,
                "mean_ms": self.reloads.mean().as_secs_f64() * 1e3,
                "slowest_ms": self.reloads.slowest.as_secs_f64() * 1e3,
            },
            "answers": tally.json(),
            "memory": memory,
            "left_over": self.leftovers,
            "samples": {
                "columns": ["seconds", "envoy_kb", "service_kb", "envoy_allocated_kb"],
                "rows": samples.collect::<Vec<_>>(),
            },
        });
        let directory = artifacts::checkout().join("target/bench");
        std::fs::create_dir_all(&directory)?;
        Ok(std::fs::write(directory.join("soak.json"), serde_json::to_string(&report)?)?)
    }
}

/// The rates as text.
pub(crate) fn rates(rates: Rates) -> String {
    let Rates { saturation, cost, chosen } = rates;
    format!(
        "maximum rate {saturation:.0} requests/s, {:.0} µs of CPU per request; running at {chosen:.0}/s",
        cost * 1e6
    )
}

/// A line of progress.
pub(crate) fn progress(sample: &Sample, tally: &Tally, reloads: Reloads) -> String {
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
    let milliseconds = |share| tally.quantile(share).as_secs_f64() * 1e3;
    format!(
        "{:5.0} s: {} requests, {} wrong, {} reloads; up to 4 KB p50 {:.1} ms, p99 {:.1} ms; Envoy {:.1} MB, service {:.1} MB",
        sample.at.as_secs_f64(),
        tally.sent,
        tally.wrong,
        reloads.done,
        milliseconds(0.5),
        milliseconds(0.99),
        megabytes(sample.envoy),
        megabytes(sample.service),
    )
}

/// Finds what should not exist after the last request: open streams, buffered bytes, complete requests at a cell
/// without a response to the client, crashes.
pub(crate) async fn leftovers(stack: &Stack, taken: u64, probes: &Probes) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let idle = wait::until("Envoy and the service to be idle", || async {
        let open = stack.ext_proc().metric("cellgate_streams_open").await?;
        let held = stack.ext_proc().metric("cellgate_held_bytes").await?;
        let active = stack.admin().stat("http.in.downstream_rq_active").await?;
        Ok((open == 0.0 && held == 0.0 && active == 0).then_some(()))
    });
    if let Err(error) = idle.await {
        let open = stack.ext_proc().metric("cellgate_streams_open").await?;
        let held = stack.ext_proc().metric("cellgate_held_bytes").await?;
        let active = stack.admin().stat("http.in.downstream_rq_active").await?;
        found.push(format!(
            "{error}: {open} streams and {held} buffered bytes in the service, {active} requests in Envoy"
        ));
    }
    let complete: u64 = stack.cells().iter().map(Cell::complete).sum();
    // The last probe may have been aborted after it reached its cell.
    let answered = taken + probes.answered.load(Ordering::Relaxed)..=taken + probes.sent.load(Ordering::Relaxed);
    if !answered.contains(&complete) {
        found.push(format!("cells received {complete} complete requests, clients got responses for {answered:?}"));
    }
    for stat in
        ["wasm.cellgate.vm_reload_success", "wasm.cellgate.vm_reload_failure", "wasmcustom.cellgate.config_rejected"]
    {
        let count = stack.admin().stat(stat).await?;
        if count > 0 {
            found.push(format!("{stat} is {count}"));
        }
    }
    let refused = stack.ext_proc().metric("cellgate_config_reloads_total{result=\"refused\"}").await?;
    if refused > 0.0 {
        found.push(format!("the service rejected {refused} configurations"));
    }
    Ok(found)
}
