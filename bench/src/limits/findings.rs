//! What was found: the table, the goals, and how many hold.

use std::fmt::Write as _;

use cellgate_tests::measure::machine::Facts;

use crate::goals::Goal;
use crate::report::sentence;
use crate::stats::Spread;

/// The figures and the goals of all parts, in the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Findings {
    rows: Vec<Finding>,
    goals: Vec<Goal>,
}

/// A line of the table.
#[derive(Debug)]
struct Finding {
    what: String,
    figure: String,
    beside: String,
}

impl Findings {
    /// Adds a line to the table: what was measured, the figure with its unit, and what belongs beside it.
    pub(super) fn add(&mut self, what: impl Into<String>, figure: String, beside: impl Into<String>) {
        self.rows.push(Finding { what: what.into(), figure, beside: beside.into() });
    }

    /// Adds a goal.
    pub(super) fn goal(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// Whether every goal holds.
    pub(super) fn all_hold(&self) -> bool {
        self.goals.iter().all(Goal::holds)
    }

    /// The facts, the table, the goals, and the last line `goals: N of M hold`.
    pub(super) fn report(&self, facts: &Facts) -> String {
        let mut text = String::from("# The cost of rate limits\n\n");
        for (name, value) in facts {
            line(&mut text, &format!("- {name}: {value}"));
        }
        text.push_str("\n| measured | median (min to max) | beside it |\n|---|--:|---|\n");
        for Finding { what, figure, beside } in &self.rows {
            line(&mut text, &format!("| {what} | {figure} | {beside} |"));
        }
        text.push('\n');
        for goal in &self.goals {
            line(&mut text, &format!("{:<7} {}", standing(goal), sentence(goal)));
        }
        let held = self.goals.iter().filter(|goal| goal.holds()).count();
        text + &format!("\ngoals: {held} of {} hold", self.goals.len())
    }
}

/// A median with its range and unit.
pub(super) fn spread(spread: Spread, unit: &str) -> String {
    format!("{} {unit} ({} to {})", digits(spread.median), digits(spread.min), digits(spread.max))
}

/// A figure with about three digits. A cost that is nearly nothing needs more decimals.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        0.1.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A goal that noise hides does not hold.
fn standing(goal: &Goal) -> &'static str {
    match goal.unclear {
        Some(_) => "unclear",
        None if goal.holds() => "held",
        None => "missed",
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_the_goals_that_hold() {
        let mut findings = Findings::default();
        assert!(findings.report(&Facts::new()).ends_with("\ngoals: 0 of 0 hold"));
        findings.add("a call", spread(Spread { median: 12.34, min: 11.0, max: 130.0 }, "µs"), "1.2 of another");
        findings.goal(Goal::at_most("a", Spread::one(1.0), 1.15));
        findings.goal(Goal::at_most("b", Spread::one(1.2), 1.15));
        findings.goal(Goal { unclear: Some(4), ..Goal::at_most("c", Spread::one(1.1), 1.15) });
        let report = findings.report(&vec![("CPU", "fast".to_owned())]);
        assert!(report.contains("- CPU: fast\n"), "{report}");
        assert!(report.contains("| a call | 12.3 µs (11.0 to 130) | 1.2 of another |\n"), "{report}");
        assert!(report.contains("\nheld    a: 1.000, limit"), "{report}");
        assert!(report.contains("\nmissed  b: 1.200, limit"), "{report}");
        assert!(report.contains("\nunclear c: 1.100, limit"), "{report}");
        assert!(report.ends_with("\n\ngoals: 1 of 3 hold"), "{report}");
        assert!(!findings.all_hold());
    }

    #[test]
    fn small_figures_have_more_decimals() {
        assert_eq!([123.4, 12.34, 1.234, 0.012_34, -0.5].map(digits), ["123", "12.3", "1.23", "0.012", "-0.50"]);
    }
}
