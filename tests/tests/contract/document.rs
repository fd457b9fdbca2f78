//! `docs/envoy-contract.md`: how the supported versions of Envoy differ, as the records have it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::PoisonError;

use anyhow::{Context, Result};
use cellgate_tests::artifacts;

use crate::difference::lines;
use crate::record::{COMMAND, DIRECTORY, EnvoyVersion, Records, Subject, WRITING};
use crate::{admin, calls, messages};

const FILE: &str = "docs/envoy-contract.md";

const HEAD: &str = include_str!("document/head.txt");
const TAIL: &str = include_str!("document/tail.txt");

/// Why versions differ, as far as it is known: a file with lines `WORDS => REASON`.
const REASONS: &str = include_str!("document/reasons.txt");

const SUBJECTS: [Subject; 3] = [calls::SUBJECT, messages::SUBJECT, admin::SUBJECT];

/// The number of sections that are named for one difference.
const SHOWN: usize = 8;

const COLUMNS: usize = 100;

/// Changed lines, and the sections that have exactly this change.
type Changes = BTreeMap<Vec<String>, Vec<String>>;

#[test]
fn the_document_is_current() {
    if std::env::var_os("UPDATE").is_some() {
        let _only = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        return write().unwrap();
    }
    let path = artifacts::checkout().join(FILE);
    let text = text().unwrap();
    assert!(!text.contains("NEWEST"), "a place for the newest version is not filled in");
    let differences = lines(&std::fs::read_to_string(path).unwrap_or_default(), &text);
    assert!(differences.is_empty(), "{FILE} is not what {DIRECTORY} says: run `{COMMAND}`\n{}", differences.join("\n"));
}

/// A row for each Envoy that `make ci` runs.
#[test]
fn every_supported_envoy_has_a_record() {
    if std::env::var_os("UPDATE").is_some() {
        // They are written one after the other.
        return;
    }
    let supported = EnvoyVersion::supported(artifacts::checkout()).unwrap();
    for subject in SUBJECTS {
        let records = Records::read(artifacts::checkout(), subject).unwrap();
        let recorded = records.versions.into_keys().collect();
        assert_eq!(supported, recorded, "{}: the versions of the Makefile: run `{COMMAND}`", subject.name);
    }
}

/// Writes the page from the records.
pub(crate) fn write() -> Result<()> {
    std::fs::write(artifacts::checkout().join(FILE), text()?).context(FILE)
}

fn text() -> Result<String> {
    let mut all: BTreeMap<EnvoyVersion, Vec<(Subject, Changes)>> = BTreeMap::new();
    let mut newest = None;
    for subject in SUBJECTS {
        let records = Records::read(artifacts::checkout(), subject)?;
        let Some((last, base)) = records.versions.iter().next_back() else { continue };
        newest = newest.max(Some(*last));
        for (version, facts) in &records.versions {
            let mut changes = Changes::new();
            for (section, lines) in facts.differences(base) {
                changes.entry(lines).or_default().push(section);
            }
            all.entry(*version).or_default().push((subject, changes));
        }
    }
    let newest = newest.map(|version| version.to_string()).unwrap_or_default();
    let mut text = HEAD.replace("NEWEST", &newest);
    for (version, subjects) in all.iter().rev() {
        // Writing into a string cannot fail.
        let _ok = writeln!(text, "| {version} | {} |", row(&newest, &version.to_string(), subjects));
    }
    for (version, subjects) in all.iter().rev() {
        let details = details(subjects);
        if !details.is_empty() {
            let _ok = write!(text, "\n## Envoy {version}\n\n`-`: Envoy {newest}; `+`: Envoy {version}.\n{details}");
        }
    }
    Ok(text + "\n" + &TAIL.replace("NEWEST", &newest))
}

/// The differences of one version in a cell of the table.
fn row(newest: &str, version: &str, subjects: &[(Subject, Changes)]) -> String {
    if version == newest {
        return "The base.".to_owned();
    }
    let mut reasons: Vec<&str> = Vec::new();
    for change in subjects.iter().flat_map(|(_, changes)| changes.keys()) {
        let why = reason(change);
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    if reasons.is_empty() { "The same.".to_owned() } else { reasons.join(" ") }
}

fn details(subjects: &[(Subject, Changes)]) -> String {
    let mut text = String::new();
    for (subject, changes) in subjects {
        for (change, sections) in changes {
            let mut named: Vec<String> =
                sections.iter().take(SHOWN).map(|section| format!("- `{section}`\n")).collect();
            if sections.len() > SHOWN {
                named.push(format!("- and {} more\n", sections.len() - SHOWN));
            }
            let why = wrapped(&format!("`{}.txt`: {}", subject.name, reason(change)));
            let _ok = write!(text, "\n{why}\n\n{}\n```diff\n{}\n```\n", named.concat(), change.join("\n"));
        }
    }
    text
}

/// A paragraph in lines of a document.
fn wrapped(paragraph: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in paragraph.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > COLUMNS {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text
}

/// The first reason whose words are in a changed line.
fn reason(change: &[String]) -> &'static str {
    let known = REASONS.lines().filter_map(|line| line.split_once(" => "));
    let found = known.into_iter().find(|(words, _)| change.iter().any(|line| line.contains(words)));
    found.map_or("Not explained.", |(_, reason)| reason)
}
