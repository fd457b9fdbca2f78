//! The table in `docs/resilience.md`, from the report of the last run.

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;
use serde_json::Value;

use crate::faults::{FAULTS, Fault};
use crate::report;

const PAGE: &str = "docs/resilience.md";
const BEGIN: &str = "<!-- The table is written by `make chaos-docs`. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// The columns of answers in the report, and their headings.
const COLUMNS: [(&str, &str); 5] = [
    ("Filter", "decided in the filter"),
    ("Service", "decided by the service"),
    ("Limited", "under a limit, `local`"),
    ("Strict", "under a limit, `deny`"),
    ("CellAtFault", "of the cell at fault"),
];

/// Writes the table anew.
///
/// # Errors
/// There is no whole and good report, or the page lacks the place of the table.
pub(crate) fn write() -> Result<()> {
    let root = artifacts::checkout();
    let report = std::fs::read_to_string(root.join(report::FILE)).context("there is no report: run `make chaos`")?;
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report["good"] == true, "the last run has breaches");
    let page = root.join(PAGE);
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text.split_once(BEGIN).context("the page has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the page has no end of the table")?;
    std::fs::write(&page, format!("{before}{BEGIN}\n{}\n{END}{after}", table(&report)?))?;
    println!("chaos: wrote {PAGE} from the run of seed {}", report["seed"]);
    Ok(())
}

fn table(report: &Value) -> Result<String> {
    let number = |name: &str| report[name].as_u64().with_context(|| format!("the report has no {name}"));
    let envoy = report["envoy"].as_str().context("the report names no Envoy")?;
    let mut text = format!(
        "Seed {}, {} requests in {} seconds, Envoy {envoy}.\n\n",
        number("seed")?,
        thousands(number("requests")?),
        number("seconds")?
    );
    let headings = COLUMNS.map(|(_, heading)| heading).join(" | ");
    text.push_str(&format!("| fault | {headings} | all right after |\n|---|{}--:|\n", "---|".repeat(COLUMNS.len())));
    for fault in FAULTS {
        let row = &report["rows"][fault.name];
        ensure!(row.is_object(), "the report has no {}: it is not of a whole run", fault.name);
        text.push_str(&line(fault, row));
    }
    Ok(text)
}

/// A row of the table.
fn line(fault: &Fault, row: &Value) -> String {
    if let Some(why) = row["skipped"].as_str() {
        let blanks = "– | ".repeat(COLUMNS.len());
        return format!("| **{}** {} | {blanks}not run: {why} |\n", fault.name, fault.does);
    }
    let answers = COLUMNS.map(|(column, _)| cell(&row["answers"][column])).join(" | ");
    let recovery = row["recovery_seconds"].as_f64().unwrap_or_default();
    format!("| **{}** {} | {answers} | {recovery:.1} s |\n", fault.name, fault.does)
}

/// The answers of a column.
fn cell(counts: &Value) -> String {
    let Some(counts) = counts.as_object() else { return "–".to_owned() };
    let count = |count: &Value| thousands(count.as_u64().unwrap_or_default());
    let good = counts.get("good").map_or_else(|| "0".to_owned(), count);
    let bad = counts.iter().filter(|(outcome, _)| *outcome != "good");
    let bad: Vec<_> = bad.map(|(outcome, found)| format!("**{} × {outcome}**", count(found))).collect();
    if bad.is_empty() { format!("{good} right") } else { format!("{good} right, {}", bad.join(", ")) }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_shows_what_clients_saw() {
        let row = json!({
            "recovery_seconds": 1.26,
            "skipped": null,
            "answers": {"Filter": {"good": 1234}, "Service": {"good": 20, "503": 3}},
        });
        let line = line(&FAULTS[0], &row);
        assert!(line.ends_with("| 1,234 right | 20 right, **3 × 503** | – | – | – | 1.3 s |\n"), "{line}");
    }

    #[test]
    fn a_report_of_a_part_is_refused() {
        let report = json!({"seed": 1, "requests": 2, "seconds": 3, "envoy": "1.40.0", "rows": {}});
        assert!(table(&report).unwrap_err().to_string().contains(FAULTS[0].name));
    }

    /// The figures differ from run to run. The rows are those of the code, and no cell is empty.
    #[test]
    fn the_page_has_a_row_for_each_fault() {
        let text = std::fs::read_to_string(artifacts::checkout().join(PAGE)).unwrap();
        let (_, rest) = text.split_once(BEGIN).unwrap();
        let (table, _) = rest.split_once(END).unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| **")).collect();
        let advice = "run `make chaos` and `make chaos-docs`";
        assert_eq!(rows.len(), FAULTS.len(), "{advice}");
        for (row, fault) in rows.iter().zip(FAULTS) {
            assert!(row.starts_with(&format!("| **{}** {} |", fault.name, fault.does)), "{advice}: {row}");
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), COLUMNS.len() + 2, "{row}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        }
    }
}
