//! The report as text.

use std::fmt::Write as _;

use super::{NeighbourFinding, Objects};
use crate::doctor::sum;

/// The findings, the most severe first, and their numbers.
#[must_use]
pub(crate) fn text(objects: &Objects, findings: &[NeighbourFinding]) -> String {
    let mut text = format!("neighbours: {} objects read\n", objects.len());
    let mut sorted: Vec<&NeighbourFinding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    for NeighbourFinding { level, object, what, fix } in sorted {
        let place = if object.is_empty() { String::new() } else { format!("{object} ") };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {:<2}  {place}{what}", level.mark());
        if let Some(fix) = fix {
            let _ = writeln!(text, "      to do: {fix}");
        }
    }
    let _ = writeln!(text, "{}", sum(findings.iter().map(|finding| finding.level)));
    text
}
