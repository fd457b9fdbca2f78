//! The report, as Markdown and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::facts::Facts;
use crate::goals::{Goal, verdict};
use crate::measure::Effort;
use crate::micro::Part;
use crate::row::{Outcome, Row};
use crate::stats::Spread;
use crate::summary::Summary;
use crate::variant::Variant;

/// A finished run.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The machine and the programs.
    pub(crate) facts: Facts,
    /// The extent of the measurement.
    pub(crate) effort: Effort,
    /// All rows by case; in each case, Envoy alone is first.
    pub(crate) rows: &'a [Row],
    /// The goals with their measurements.
    pub(crate) goals: Vec<Goal>,
    /// The parts that do not measure requests.
    pub(crate) parts: &'a [Part],
}

impl Report<'_> {
    /// The whole report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# CPU time per request\n\n");
        for (name, value) in &self.facts {
            line(&mut text, &format!("- {name}: {value}"));
        }
        let batch = self.effort.batch.as_millis();
        line(&mut text, &format!("- {} rounds or more, batches of {batch} ms of CPU time", self.rounds()));
        text.push_str("\n## Goals\n\n");
        text.push_str(&self.goals_table());
        text.push_str(
            "\n## CPU time per request of proxy and service together, in µs (and as a multiple of Envoy alone)\n",
        );
        for manner in self.manners() {
            self.overview(&mut text, &manner);
        }
        for of_case in self.cases() {
            details(&mut text, of_case);
        }
        text + &self.parts_markdown()
    }

    /// The tables of the parts that do not measure requests.
    pub(crate) fn parts_markdown(&self) -> String {
        self.parts.iter().map(|part| part.markdown.as_str()).collect()
    }

    /// The table of the goals.
    pub(crate) fn goals_table(&self) -> String {
        let mut text = String::from("| measure | value (min to max) | goal | holds |\n|---|--:|--:|---|\n");
        for goal in &self.goals {
            let (value, limit) = (range(goal.value, figure), limit(goal));
            let holds = match goal.unclear {
                Some(more) => format!("*unclear*, needs about {more} more rounds"),
                None if goal.holds() => "yes".to_owned(),
                None => "**no**".to_owned(),
            };
            line(&mut text, &format!("| {} | {value} | {limit} | {holds} |", goal.name));
        }
        text
    }

    /// `goals: N of M hold, K unclear`.
    pub(crate) fn verdict(&self) -> String {
        verdict(&self.goals)
    }

    /// Whether all goals hold.
    pub(crate) fn is_good(&self) -> bool {
        self.goals.iter().all(Goal::holds)
    }

    /// The whole report as JSON, with every batch.
    pub(crate) fn json(&self) -> Value {
        let facts: serde_json::Map<_, _> =
            self.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let rows = self.cases().flat_map(|of_case| of_case.iter().map(|row| row_json(row, of_case)));
        json!({
            "unit": "microseconds of CPU time per request",
            "facts": facts,
            "rounds": self.rounds(),
            "batch_ms": self.effort.batch.as_millis() as u64,
            "goals": self.goals.iter().map(goal_json).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
            "parts": self.parts.iter().map(|part| (part.name.to_owned(), part.json.clone())).collect::<serde_json::Map<_, _>>(),
        })
    }

    /// Writes one table, with the sizes as columns, for the cases that differ only in size.
    fn overview(&self, text: &mut String, manner: &str) {
        let cases: Vec<&[Row]> = self.cases().filter(|rows| manner_of(rows).as_deref() == Some(manner)).collect();
        let sizes: Vec<&str> = cases.iter().filter_map(|rows| Some(rows.first()?.case.size.label)).collect();
        line(text, &format!("\n### {manner}\n"));
        line(text, &format!("| | {} |", sizes.join(" | ")));
        line(text, &format!("|---|{}", "--:|".repeat(sizes.len())));
        for variant in variants_of(&cases) {
            let figures = cases.iter().map(|rows| rows.iter().find(|row| row.variant.name == variant.name));
            let figures = figures.zip(&cases).map(|(row, rows)| overview_cell(row, rows.first()));
            let figures: Vec<String> = figures.collect();
            if figures.iter().any(|figure| !figure.is_empty()) {
                line(text, &format!("| {} | {} |", variant.heading(), figures.join(" | ")));
            }
        }
    }

    /// The number of batches that every measured row has at least.
    fn rounds(&self) -> usize {
        self.rows.iter().map(|row| row.batches().len()).filter(|batches| *batches > 0).min().unwrap_or(0)
    }

    fn cases(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|row, other| row.case == other.case)
    }

    fn manners(&self) -> Vec<String> {
        let mut manners: Vec<String> = Vec::new();
        for manner in self.cases().filter_map(manner_of) {
            if !manners.contains(&manner) {
                manners.push(manner);
            }
        }
        manners
    }
}

fn manner_of(of_case: &[Row]) -> Option<String> {
    Some(of_case.first()?.case.manner())
}

/// All variants that have a row in one of the cases, in order of appearance.
fn variants_of(cases: &[&[Row]]) -> Vec<&'static Variant> {
    let mut variants: Vec<&'static Variant> = Vec::new();
    for row in cases.iter().copied().flatten() {
        if !variants.iter().any(|known| known.name == row.variant.name) {
            variants.push(row.variant);
        }
    }
    variants
}

fn overview_cell(row: Option<&Row>, baseline: Option<&Row>) -> String {
    let (Some(row), Some(baseline)) = (row, baseline) else { return String::new() };
    match (&row.outcome, Summary::of(row, baseline)) {
        (Outcome::Cannot(cannot), _) => cannot.label(),
        (_, Some(summary)) => format!("{} ({:.2})", micros(summary.total.median), summary.ratio.median),
        (_, None) => String::new(),
    }
}

fn details(text: &mut String, of_case: &[Row]) {
    let Some(baseline) = of_case.first() else { return };
    line(text, &format!("\n## {}\n", baseline.case.title()));
    line(text, "| | proxy µs | service µs | added to Envoy alone, µs | multiple of Envoy alone |");
    line(text, "|---|--:|--:|--:|--:|");
    for row in of_case {
        let figures = match (&row.outcome, Summary::of(row, baseline)) {
            (Outcome::Cannot(cannot), _) if cannot.label().is_empty() => continue,
            (Outcome::Cannot(cannot), _) => format!("{} | | |", cannot.label()),
            (_, Some(summary)) => figures(&summary, row.variant),
            (_, None) => continue,
        };
        line(text, &format!("| {} | {figures} |", row.variant.heading()));
    }
}

fn figures(summary: &Summary, variant: &Variant) -> String {
    let service = if summary.service.max > 0.0 { range(summary.service, micros) } else { String::new() };
    if variant.name == Variant::PLAIN.name {
        return format!("{} | {service} | | ", range(summary.proxy, micros));
    }
    let ratio = range(summary.ratio, |value| format!("{value:.2}"));
    format!("{} | {service} | {} | {ratio}", range(summary.proxy, micros), range(summary.added, micros))
}

/// `median (min to max)`, or one figure if all are equal.
fn range(spread: Spread, show: fn(f64) -> String) -> String {
    if spread.min == spread.max {
        return show(spread.median);
    }
    format!("{} ({} to {})", show(spread.median), show(spread.min), show(spread.max))
}

/// A goal's limit, such as `≤ 1.19`.
fn limit(goal: &Goal) -> String {
    format!("{} {}", if goal.at_most { "≤" } else { "≥" }, goal.goal)
}

/// A goal's measurement in one line.
pub(crate) fn sentence(goal: &Goal) -> String {
    format!("{}: {}, limit {}", goal.name, range(goal.value, figure), limit(goal))
}

/// Whole microseconds; below 10 with one decimal.
fn micros(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A goal's value in its own unit. Small values have three decimals, since some goals hold or fail by less than 0.01.
fn figure(value: f64) -> String {
    if value.abs() < 10.0 {
        format!("{value:.3}")
    } else if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn goal_json(goal: &Goal) -> Value {
    json!({
        "name": goal.name,
        "value": goal.value.median,
        "min": goal.value.min,
        "max": goal.value.max,
        "goal": goal.goal,
        "at_most": goal.at_most,
        "holds": goal.holds(),
        "unclear": goal.unclear.is_some(),
    })
}

fn row_json(row: &Row, of_case: &[Row]) -> Value {
    let mut value = json!({
        "case": row.case.name(),
        "body_bytes": row.case.bytes(),
        "variant": row.variant.name,
        "title": row.variant.title,
    });
    let details = match (&row.outcome, of_case.first().and_then(|baseline| Summary::of(row, baseline))) {
        (Outcome::Cannot(cannot), _) => json!({"cannot": format!("{cannot:?}")}),
        (_, Some(summary)) => json!({
            "proxy": spread_json(summary.proxy),
            "service": spread_json(summary.service),
            "total": spread_json(summary.total),
            "added": spread_json(summary.added),
            "ratio": spread_json(summary.ratio),
            "batches": row.batches().iter().map(|batch| [batch.proxy, batch.service]).collect::<Vec<_>>(),
        }),
        (_, None) => json!({}),
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
mod tests;
