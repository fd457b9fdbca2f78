//! The report: Markdown for people, JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::machine::Facts;
use crate::measure::{Effort, Row};
use crate::stats::Spread;
use crate::summary::Summary;
use crate::variants::Variant;

/// A finished run.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// Where and with what.
    pub(crate) facts: Facts,
    /// How much was measured.
    pub(crate) effort: Effort,
    /// All rows, case after case, the baseline first in each.
    pub(crate) rows: &'a [Row],
}

impl Report<'_> {
    /// How many rows say nothing.
    pub(crate) fn invalid(&self) -> usize {
        self.rows.iter().filter(|row| row.batches.is_err()).count()
    }

    /// The tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# CPU time per request\n\n");
        for (name, value) in &self.facts {
            line(&mut text, &format!("- {name}: {value}"));
        }
        let Effort { rounds, batch } = self.effort;
        line(&mut text, &format!("- {rounds} rounds, batches of {} ms of Envoy's CPU time", batch.as_millis()));
        text.push_str("\n## All of it: µs in Envoy and the service together, and times Envoy alone\n\n");
        self.overview(&mut text);
        for of_case in self.cases() {
            details(&mut text, of_case);
        }
        text
    }

    /// Everything, also every single batch.
    pub(crate) fn json(&self) -> Value {
        let facts: serde_json::Map<_, _> =
            self.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let rows = self.cases().flat_map(|of_case| of_case.iter().map(|row| row_json(row, of_case)));
        json!({
            "unit": "microseconds of CPU time per request",
            "facts": facts,
            "rounds": self.effort.rounds,
            "batch_ms": self.effort.batch.as_millis() as u64,
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    fn overview(&self, text: &mut String) {
        let cases: Vec<String> = self.cases().filter_map(|rows| Some(rows.first()?.case.title())).collect();
        line(text, &format!("| | {} |", cases.join(" | ")));
        line(text, &format!("|---|{}", "--:|".repeat(cases.len())));
        for (index, variant) in Variant::ALL.into_iter().enumerate() {
            let figures = self.cases().filter_map(|rows| Some((rows.get(index)?, rows.first()?)));
            let figures = figures.map(|(row, baseline)| match Summary::of(row, baseline) {
                Ok(summary) => format!("{} ({:.2})", micros(summary.total.median), summary.ratio.median),
                Err(_) => "INVALID".to_owned(),
            });
            line(text, &format!("| {} | {} |", variant.title(), figures.collect::<Vec<_>>().join(" | ")));
        }
    }

    fn cases(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunks(Variant::ALL.len())
    }
}

fn details(text: &mut String, of_case: &[Row]) {
    let Some(baseline) = of_case.first() else { return };
    line(text, &format!("\n## {}\n", baseline.case.title()));
    line(text, "| | Envoy µs | service µs | added to Envoy alone, µs | times Envoy alone |");
    line(text, "|---|--:|--:|--:|--:|");
    for row in of_case {
        let figures = match Summary::of(row, baseline) {
            Ok(summary) => figures(&summary, row.variant),
            Err(problem) => format!("INVALID: {} | | |", problem.replace(['|', '\n'], " ")),
        };
        line(text, &format!("| {} | {figures} |", row.variant.title()));
    }
}

fn figures(summary: &Summary, variant: Variant) -> String {
    let service = if summary.service.max > 0.0 { range(summary.service, micros) } else { String::new() };
    if variant == Variant::Plain {
        return format!("{} | {service} | | ", range(summary.envoy, micros));
    }
    let ratio = range(summary.ratio, |value| format!("{value:.2}"));
    format!("{} | {service} | {} | {ratio}", range(summary.envoy, micros), range(summary.added, micros))
}

/// `median (min to max)`.
fn range(spread: Spread, show: fn(f64) -> String) -> String {
    format!("{} ({} to {})", show(spread.median), show(spread.min), show(spread.max))
}

/// Three digits at most say something; below 10 a tenth may.
fn micros(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn row_json(row: &Row, of_case: &[Row]) -> Value {
    let mut value = json!({
        "case": row.case.title(),
        "body_bytes": row.case.bytes,
        "variant": row.variant.title().replace("**", ""),
    });
    let summary = of_case.first().ok_or_else(String::new).and_then(|baseline| Summary::of(row, baseline));
    let details = match summary {
        Ok(summary) => json!({
            "envoy": spread_json(summary.envoy),
            "service": spread_json(summary.service),
            "total": spread_json(summary.total),
            "added": spread_json(summary.added),
            "ratio": spread_json(summary.ratio),
            "batches": row.batches.iter().flatten().map(|batch| [batch.envoy, batch.service]).collect::<Vec<_>>(),
        }),
        Err(problem) => json!({"invalid": problem}),
    };
    if let (Some(value), Value::Object(details)) = (value.as_object_mut(), details) {
        value.extend(details);
    }
    value
}

fn spread_json(spread: Spread) -> Value {
    json!({"median": spread.median, "min": spread.min, "max": spread.max})
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;
    use crate::documents::KeyAt;
    use crate::measure::Batch;

    fn rows() -> Vec<Row> {
        let case = Case { label: "4 KB", bytes: 4096, key: KeyAt::Last };
        let mut rows: Vec<Row> = Variant::ALL.into_iter().map(|variant| Row::new(case, variant)).collect();
        for (row, envoy) in rows.iter_mut().zip([100.0, 120.0, 130.0, 140.0, 300.0, 320.0, 340.0, 360.0]) {
            let service = if row.variant.proof(1, 0).1 == 1 { 60.0 } else { 0.0 };
            row.batches = Ok(vec![Batch { envoy, service }]);
        }
        rows
    }

    fn report(rows: &[Row]) -> Report<'_> {
        Report { facts: vec![("CPU", "fast".to_owned())], effort: Effort::QUICK, rows }
    }

    #[test]
    fn a_valid_run_has_a_figure_everywhere() {
        let rows = rows();
        let text = report(&rows).markdown();
        assert!(text.contains("| **Cellgate's filter** | 140 (1.40) |"), "{text}");
        let service = "| **Cellgate's service**, BUFFERED | 320 (320 to 320) | 60 (60 to 60) | 280 (280 to 280) |";
        assert!(text.contains(service), "{text}");
        assert_eq!(report(&rows).invalid(), 0);
        assert_eq!(report(&rows).json()["rows"][3]["ratio"]["median"], 1.4);
    }

    #[test]
    fn an_invalid_row_says_so_and_why() {
        let mut rows = rows();
        rows[3].batches = Err("status 503: no|cell".to_owned());
        let report = report(&rows);
        assert_eq!(report.invalid(), 1);
        assert!(report.markdown().contains("| **Cellgate's filter** | INVALID |"));
        assert!(report.markdown().contains("INVALID: status 503: no cell"));
        assert_eq!(report.json()["rows"][3]["invalid"], "status 503: no|cell");
    }

    #[test]
    fn without_a_baseline_there_is_no_comparison() {
        let mut rows = rows();
        rows[0].batches = Err("down".to_owned());
        assert!(report(&rows).markdown().contains("INVALID: no baseline: down"));
    }
}
