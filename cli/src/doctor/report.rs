//! Formats findings as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json as object};

use super::finding::{Finding, Level, Section, enumerate};

/// The findings by section, each with a mark, and a last line with their numbers.
#[must_use]
pub(crate) fn text(subject: &str, findings: &[Finding]) -> String {
    let mut text = format!("{subject}\n");
    let mut section: Option<Section> = None;
    for finding in findings {
        if section != Some(finding.section) {
            section = Some(finding.section);
            // Writing into a string cannot fail.
            let _ok = writeln!(text, "\n{}", finding.section.title());
        }
        let place = if finding.places.is_empty() { String::new() } else { format!("{}: ", enumerate(&finding.places)) };
        let what = finding.what.replace('\n', "\n        ");
        let _ok = writeln!(text, "  {:<2}  {place}{what}", finding.level.mark());
        if let Some(fix) = &finding.fix {
            let _ok = writeln!(text, "      to do: {fix}");
        }
    }
    let _ok = writeln!(text, "\n{}", sum(findings.iter().map(|finding| finding.level)));
    text
}

/// The numbers of errors, warnings and unknowns.
pub(crate) fn sum(levels: impl Iterator<Item = Level> + Clone) -> String {
    let count = |wanted: Level| levels.clone().filter(|level| *level == wanted).count();
    let [errors, warnings, unknown] = [Level::Error, Level::Warning, Level::Unknown].map(count);
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (of_errors, of_warnings) = (plural(errors), plural(warnings));
    format!("{errors} error{of_errors} (!!), {warnings} warning{of_warnings} (!), {unknown} unknown (??)")
}

/// The findings as a JSON document.
#[must_use]
pub(crate) fn json(subject: &str, findings: &[Finding]) -> Value {
    let all: Vec<Value> = findings
        .iter()
        .map(|finding| {
            object!({
                "section": finding.section.title().to_ascii_lowercase(),
                "level": finding.level.label(),
                "places": finding.places,
                "what": finding.what,
                "fix": finding.fix,
            })
        })
        .collect();
    object!({"source": subject, "findings": all})
}
