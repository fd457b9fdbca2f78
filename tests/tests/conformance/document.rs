//! `docs/conformance.md`: the results of two runs, on the oldest and on the newest Envoy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;

use crate::cases::Topic;
use crate::observed::NOT_RUN;

/// The oldest Envoy that is supported and tested.
const OLDEST: &str = "1.36.2";

const HEAD: &str = include_str!("document/head.txt");
const TAIL: &str = include_str!("document/tail.txt");

/// The result of a case that has no result yet.
const MISSING: &str = "?";

/// The longest line of a paragraph.
const WIDTH: usize = 100;

/// In the column of the newest Envoy: the result of the oldest one.
const SAME: &str = "same";

/// The Envoy of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Oldest,
    Newest,
    /// One that is not in the document.
    Other,
}

/// The results in the document.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
    oldest: BTreeMap<String, String>,
    newest: BTreeMap<String, String>,
}

impl Version {
    pub(crate) fn of(version: &str) -> Self {
        match version {
            OLDEST => Version::Oldest,
            artifacts::DEFAULT_ENVOY => Version::Newest,
            _ => Version::Other,
        }
    }
}

impl Document {
    /// Reads the document. It has no results if there is none yet.
    pub(crate) fn read() -> Result<Self> {
        let path = artifacts::checkout().join("docs/conformance.md");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context("docs/conformance.md"),
        };
        let (mut oldest, mut newest) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, _, _, _, old, new] = cells.as_slice() else { continue };
            let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
            let new = new.split(" [^").next().unwrap_or_default();
            oldest.insert(name.to_owned(), (*old).to_owned());
            newest.insert(name.to_owned(), if new == SAME { *old } else { new }.to_owned());
        }
        Ok(Self { path, text, oldest, newest })
    }

    /// Compares a result with the document.
    ///
    /// # Errors
    /// When they differ.
    pub(crate) fn check(&self, version: Version, name: &str, result: &str) -> Result<()> {
        let (oldest, newest) = (self.oldest.get(name), self.newest.get(name));
        let (Some(oldest), Some(newest)) = (oldest.map(String::as_str), newest.map(String::as_str)) else {
            anyhow::bail!("docs/conformance.md has no such case: `make conformance` writes it")
        };
        let is_documented = match version {
            Version::Oldest => result == oldest,
            Version::Newest => result == newest,
            Version::Other => [oldest, newest, NOT_RUN].contains(&result),
        };
        ensure!(is_documented, "the result is {result:?}; docs/conformance.md has {oldest:?} and {newest:?}");
        Ok(())
    }

    /// Compares everything but the results.
    ///
    /// # Errors
    /// When the document is not what `make conformance` writes.
    pub(crate) fn check_text(&self, topics: &[Topic]) -> Result<()> {
        let current = render(&self.oldest, &self.newest, topics, true)?;
        ensure!(current == self.text, "docs/conformance.md is not current: `make conformance` writes it");
        Ok(())
    }

    /// Writes the results of a run.
    ///
    /// # Errors
    /// When the file cannot be written, or Envoys differ without a footnote.
    pub(crate) fn write(&self, version: Version, results: &BTreeMap<String, String>, topics: &[Topic]) -> Result<()> {
        let (oldest, newest) = match version {
            Version::Oldest => (results, &self.newest),
            Version::Newest | Version::Other => (&self.oldest, results),
        };
        let text = render(oldest, newest, topics, version == Version::Newest)?;
        std::fs::write(&self.path, text).context("docs/conformance.md")
    }
}

/// A paragraph in lines of at most 100 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// The whole document. If `is_complete`, both columns are of this code.
fn render(
    oldest: &BTreeMap<String, String>,
    newest: &BTreeMap<String, String>,
    topics: &[Topic],
    is_complete: bool,
) -> Result<String> {
    let count: usize = topics.iter().map(|topic| topic.cases.len()).sum();
    let mut page = HEAD.replace("{count}", &count.to_string());
    let mut notes = Vec::new();
    for topic in topics {
        write!(page, "\n## {}\n\n{}\n", topic.title, wrapped(topic.text))?;
        writeln!(page, "| case | mode | phase | event | Envoy {OLDEST} | Envoy {} |", artifacts::DEFAULT_ENVOY)?;
        writeln!(page, "|---|---|---|---|---|---|")?;
        for case in &topic.cases {
            let missing = String::from(MISSING);
            let old = oldest.get(&case.name).unwrap_or(&missing);
            let new = newest.get(&case.name).unwrap_or(&missing);
            let mut shown = if old == new { SAME.to_owned() } else { new.clone() };
            if let (true, Some(why)) = (old != new, case.differs) {
                let known = notes.iter().position(|note| *note == why);
                let number = known.unwrap_or(notes.len());
                if known.is_none() {
                    notes.push(why);
                }
                write!(shown, " [^{}]", number + 1)?;
            }
            ensure!(
                !is_complete || (old != new) == case.differs.is_some(),
                "{}: {old:?} and {new:?}: the case must say why Envoys differ, if and only if they do",
                case.name
            );
            writeln!(
                page,
                "| `{}` | {} | {} | {} | {old} | {shown} |",
                case.name,
                case.mode.text(),
                case.phase,
                case.event
            )?;
        }
    }
    page.push('\n');
    for (index, note) in notes.iter().enumerate() {
        page.push_str(&wrapped(&format!("[^{}]: {note}", index + 1)));
    }
    page.push('\n');
    page.push_str(TAIL);
    Ok(page)
}
