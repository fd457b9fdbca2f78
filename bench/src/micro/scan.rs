//! Cellgate's JSON scanner compared with others on the same bytes, natively and in Envoy's VM.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cellgate_bench_micro::documents::{KeyAt, Kind, document};
use cellgate_bench_micro::{Cut, bout, contenders};
use serde_json::{Value, json};

use super::vm::Vm;
use super::{Part, digits, thread_time};
use crate::goals::Goal;
use crate::stats::Spread;

/// The module, built with the flags that are best for the other scanners.
const MODULE: &str = "wasm-bench/cellgate_bench_scan.wasm";

const OURS: &str = "cellgate";
const SERDE: &str = "serde_json IgnoredAny";

/// The time for each scanner in each round.
const BATCH: Duration = Duration::from_millis(20);

const SIZES: [(&str, usize); 4] = [("256 B", 256), ("4 KB", 4 << 10), ("64 KB", 64 << 10), ("1 MB", 1 << 20)];

/// The place where a document is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Vm,
    Native,
}

/// A document and how it is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScanCase {
    kind: Kind,
    label: &'static str,
    size: usize,
    cut: Cut,
}

/// Nanoseconds for one scan, by scanner.
type Timings = BTreeMap<String, f64>;

/// All rounds of one case.
#[derive(Debug)]
struct ScanRow {
    place: Place,
    case: ScanCase,
    rounds: Vec<Timings>,
}

/// Runs all rounds.
///
/// # Errors
/// When the module is missing, or a scanner failed.
pub(super) async fn measure(quick: bool) -> Result<Part> {
    let vm = Vm::start(MODULE).await?;
    let cases = ScanCase::all(quick);
    let places = [Place::Vm, Place::Native];
    let mut rows: Vec<ScanRow> = places
        .into_iter()
        .flat_map(|place| cases.iter().map(move |case| ScanRow { place, case: *case, rounds: Vec::new() }))
        .collect();
    let rounds = if quick { 5 } else { 7 };
    for round in 0..rounds {
        eprintln!("scans, round {} of {rounds}", round + 1);
        for row in &mut rows {
            let figures = match row.place {
                Place::Vm => in_vm(&vm, row.case).await,
                Place::Native => natively(row.case).await,
            };
            row.rounds.push(figures.with_context(|| row.title())?);
        }
    }
    Ok(Part {
        name: "scan",
        markdown: markdown(&rows),
        json: rows.iter().map(ScanRow::json).collect(),
        goals: goals(&rows),
    })
}

async fn in_vm(vm: &Vm, case: ScanCase) -> Result<Timings> {
    let path = format!("/{}/{}/{}/{}", case.kind.name(), case.size, case.cut.name(), BATCH.as_millis());
    let answer = vm.ask(&path).await?;
    let figures = answer.as_object().context("not an object")?.iter();
    figures.map(|(name, value)| Ok((name.clone(), value.as_f64().with_context(|| format!("{name} failed"))?))).collect()
}

async fn natively(case: ScanCase) -> Result<Timings> {
    let figures = tokio::task::spawn_blocking(move || {
        let document = document(case.kind, case.size, KeyAt::Last, "acme");
        bout(&mut contenders(document.as_bytes(), case.cut), &thread_time, BATCH)
    });
    let named = figures.await?.into_iter().map(|figure| match figure.nanoseconds {
        Some(nanoseconds) => Ok((figure.name.to_owned(), nanoseconds)),
        None => bail!("{} failed", figure.name),
    });
    named.collect()
}

impl ScanCase {
    fn all(quick: bool) -> Vec<Self> {
        let mut cases = Vec::new();
        for cut in [Cut::Whole, Cut::Pieces] {
            for kind in Kind::ALL {
                cases.extend(SIZES.map(|(label, size)| Self { kind, label, size, cut }));
            }
        }
        cases.retain(|case| !quick || case.is_in_quick());
        cases
    }

    /// Whether a quick run has this case: those with a goal, and one for each other property.
    fn is_in_quick(self) -> bool {
        let middle = self.size == 64 << 10;
        self.cut == Cut::Whole
            && (self.kind == Kind::Objects || middle || (self.kind == Kind::Text && self.size == 1 << 20))
            || self.kind == Kind::Objects && middle
    }

    fn title(self) -> String {
        let pieces = if self.cut == Cut::Pieces { " in pieces of 1 KB" } else { "" };
        format!("{}, {}{pieces}", self.kind.name(), self.label)
    }
}

impl ScanRow {
    fn title(&self) -> String {
        let place = match self.place {
            Place::Vm => "in Envoy's VM",
            Place::Native => "natively",
        };
        format!("{} {place}", self.case.title())
    }

    fn contenders(&self) -> impl Iterator<Item = &String> {
        self.rounds.first().into_iter().flat_map(BTreeMap::keys)
    }

    /// Nanoseconds per byte.
    fn per_byte(&self, contender: &str) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|figures| Some(figures.get(contender)? / self.case.size as f64)))
    }

    /// The ratio of two scanners, taken in each round.
    fn ratio(&self, over: &str, under: &str) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|figures| Some(figures.get(over)? / figures.get(under)?)))
    }

    fn json(&self) -> Value {
        json!({
            "place": if self.place == Place::Vm { "wasm" } else { "native" },
            "document": self.case.kind.name(),
            "bytes": self.case.size,
            "cut": self.case.cut.name(),
            "nanoseconds": self.rounds,
        })
    }
}

fn goals(rows: &[ScanRow]) -> Vec<Goal> {
    let ratio = |place, kind, label, over, under| {
        let wanted = |row: &&ScanRow| row.place == place && row.case.kind == kind && row.case.label == label;
        rows.iter().filter(wanted).find(|row| row.case.cut == Cut::Whole)?.ratio(over, under)
    };
    let mut goals = Vec::new();
    for (kind, what, goal) in [(Kind::Objects, "objects", 16.0), (Kind::Text, "one long string", 9.0)] {
        for label in ["64 KB", "1 MB"] {
            let value = ratio(Place::Vm, kind, label, OURS, "memchr");
            goals.extend(
                value.map(|value| Goal::at_most(format!("wasm: our scan over memchr, {what}, {label}"), value, goal)),
            );
        }
    }
    for (place, label) in [(Place::Vm, "64 KB"), (Place::Vm, "1 MB"), (Place::Native, "64 KB")] {
        let name = if place == Place::Vm { "wasm" } else { "native" };
        let value = ratio(place, Kind::Objects, label, SERDE, OURS);
        goals.extend(value.map(|value| {
            Goal::at_least(format!("{name}: serde_json IgnoredAny over our scan, objects, {label}"), value, 4.0)
        }));
    }
    goals
}

fn markdown(rows: &[ScanRow]) -> String {
    let mut text = String::from(
        "\n## Scans, ns per byte\n\nOurs validates all of RFC 8259, UTF-8 and duplicate names included, and finds the key \
         behind everything else. memchr, for a byte that does not occur, and memcpy are what no scanner can beat. acutejson \
         validates in part.\n",
    );
    for of_place in rows.chunk_by(|row, other| row.place == other.place && row.case.cut == other.case.cut) {
        let Some(first) = of_place.first() else { continue };
        let place = if first.place == Place::Vm { "In Envoy's VM" } else { "Natively" };
        let cut = if first.case.cut == Cut::Whole { "whole" } else { "in pieces of 1 KB" };
        let others = || first.contenders().filter(|name| *name != OURS);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n### {place}, {cut}\n");
        let names: Vec<&str> = others().map(String::as_str).collect();
        let _ = writeln!(text, "| | **{OURS}** | {} |\n|---|{}", names.join(" | "), "--:|".repeat(names.len() + 1));
        for row in of_place {
            let figure = |name: &str| row.per_byte(name).map_or_else(String::new, |value| digits(value.median));
            let ours = row.per_byte(OURS).map_or_else(String::new, |value| {
                format!("{} ({} to {})", digits(value.median), digits(value.min), digits(value.max))
            });
            let figures: Vec<String> = names.iter().map(|name| figure(name)).collect();
            let _ =
                writeln!(text, "| {}, {} | {ours} | {} |", row.case.kind.name(), row.case.label, figures.join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(place: Place, label: &'static str, size: usize, figures: &[(&str, f64)]) -> ScanRow {
        let figures: Timings = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let slower = figures.iter().map(|(name, value)| (name.clone(), value * 2.0)).collect();
        let case = ScanCase { kind: Kind::Objects, label, size, cut: Cut::Whole };
        ScanRow { place, case, rounds: vec![figures, slower] }
    }

    #[test]
    fn goals_are_ratios_within_each_round() {
        let rows = [
            row(Place::Vm, "64 KB", 65_536, &[(OURS, 300.0), ("memchr", 20.0), (SERDE, 900.0)]),
            row(Place::Native, "64 KB", 65_536, &[(OURS, 200.0), ("memchr", 20.0), (SERDE, 900.0)]),
        ];
        let goals = goals(&rows);
        let values: Vec<(f64, bool)> = goals.iter().map(|goal| (goal.value.median, goal.holds())).collect();
        assert_eq!(values, [(15.0, true), (3.0, false), (4.5, true)]);
        assert!(goals.iter().all(|goal| goal.value.min == goal.value.max));
    }

    #[test]
    fn tables_are_per_byte() {
        let rows = [row(Place::Vm, "256 B", 256, &[(OURS, 256.0), ("memchr", 25.6)])];
        assert!(markdown(&rows).contains("| objects, 256 B | 1.50 (1.00 to 2.00) | 0.150 |"), "{}", markdown(&rows));
    }

    #[test]
    fn a_quick_run_has_every_case_with_a_goal() {
        let cases = ScanCase::all(true);
        for (kind, label) in
            [(Kind::Objects, "64 KB"), (Kind::Objects, "1 MB"), (Kind::Text, "64 KB"), (Kind::Text, "1 MB")]
        {
            assert!(cases.iter().any(|case| case.kind == kind && case.label == label && case.cut == Cut::Whole));
        }
        assert!(cases.len() < ScanCase::all(false).len());
    }
}
