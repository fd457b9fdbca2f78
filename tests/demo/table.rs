//! The table of the requests and their results.

use std::fmt;
use std::time::Duration;

use super::milliseconds;

/// One request.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) key_in: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) reason: String,
    /// The cell, or the status of the answer that Envoy gave itself.
    pub(crate) outcome: String,
    pub(crate) body: &'static str,
    pub(crate) took: Duration,
    pub(crate) as_expected: bool,
}

/// The rows in order. Each column is as wide as its widest entry.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

const HEADINGS: [&str; 8] = ["request", "key in", "decided by", "reason", "result", "body", "time", ""];

impl Table {
    pub(crate) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_expected(&self) -> usize {
        self.0.iter().filter(|row| row.as_expected).count()
    }
}

impl Row {
    fn cells(&self) -> [String; 8] {
        [
            self.name.to_owned(),
            self.key_in.to_owned(),
            self.tier.to_owned(),
            self.reason.clone(),
            self.outcome.clone(),
            self.body.to_owned(),
            milliseconds(self.took),
            if self.as_expected { "" } else { "UNEXPECTED" }.to_owned(),
        ]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.0.iter().map(Row::cells).collect();
        let mut widths = HEADINGS.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut line = |cells: &[String; 8]| -> fmt::Result {
            let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", padded.join("  ").trim_end())
        };
        line(&HEADINGS.map(str::to_owned))?;
        line(&widths.map(|width| "-".repeat(width)))?;
        rows.iter().try_for_each(line)
    }
}
