//! One curve: a cost as a function of one variable, with the exponent of its growth.

use serde_json::{Value, json};

use cellgate_tests::measure::regression::Line;

/// A cost at several values of one variable.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// The variable, such as `tenants`.
    pub(super) over: &'static str,
    /// The cost, with its unit, such as `look-up, ns of CPU`.
    pub(super) cost: String,
    /// Where the cost was measured.
    pub(super) place: Scope,
    /// Pairs of value and cost.
    pub(super) points: Vec<(f64, f64)>,
}

/// Which code a cost covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The decision core alone, in the benchmark's own process.
    Core,
    /// Envoy with the filter, the service, or both.
    Envoy,
}

impl Curve {
    pub(super) fn new(over: &'static str, cost: impl Into<String>, place: Scope) -> Self {
        Self { over, cost: cost.into(), place, points: Vec::new() }
    }

    /// The exponent of the power law y = c·x^exponent that fits the points best, and its 95 % margin.
    pub(super) fn exponent(&self) -> Option<(f64, f64)> {
        Line::power_law(&self.points).map(|line| (line.slope, line.margin))
    }

    /// A row of the table: the cost, each value with its cost, the exponent.
    fn row(&self) -> String {
        let points: Vec<_> = self.points.iter().map(|(x, y)| format!("{}: {}", count(*x), significant(*y))).collect();
        let exponent = self.exponent().map_or_else(String::new, |(slope, margin)| {
            if margin.is_finite() { format!("{slope:.2} ± {margin:.2}") } else { format!("{slope:.2}") }
        });
        let place = match self.place {
            Scope::Core => "core",
            Scope::Envoy => "Envoy",
        };
        format!("| {} | {} | {place} | {} | {exponent} |", self.over, self.cost, points.join(" · "))
    }

    fn json(&self) -> Value {
        let (slope, margin) = self.exponent().unzip();
        json!({
            "over": self.over,
            "cost": self.cost,
            "place": format!("{:?}", self.place).to_lowercase(),
            "points": self.points,
            "exponent": slope,
            "exponent_margin_95": margin.filter(|margin| margin.is_finite()),
        })
    }
}

/// All curves as a Markdown table.
pub(super) fn markdown(curves: &[Curve]) -> String {
    let rows: Vec<_> = curves.iter().map(Curve::row).collect();
    format!("| grows with | cost | in | measured | exponent |\n|---|---|---|---|--:|\n{}\n", rows.join("\n"))
}

/// All curves as JSON.
pub(super) fn json(curves: &[Curve]) -> Value {
    curves.iter().map(Curve::json).collect()
}

/// A readable count: `65 536`, `10^6`.
fn count(value: f64) -> String {
    match value as u64 {
        10_000 => "10^4".to_owned(),
        100_000 => "10^5".to_owned(),
        1_000_000 => "10^6".to_owned(),
        10_000_000 => "10^7".to_owned(),
        other => other.to_string(),
    }
}

/// The value with three significant digits.
fn significant(value: f64) -> String {
    let digits = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 4.0);
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_cost_points_and_exponent() {
        let mut curve = Curve::new("tenants", "memory, MB", Scope::Core);
        curve.points = vec![(100.0, 0.0123), (10_000.0, 1.23), (1_000_000.0, 123.4)];
        let row = curve.row();
        assert!(row.starts_with("| tenants | memory, MB | core | 100: 0.0123 · 10^4: 1.23 · 10^6: 123 | 1.0"), "{row}");
    }
}
