//! The records: for each subject the facts of the newest Envoy, and of each older one only those that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::artifacts;

use crate::difference::lines;
use crate::document;

/// The directory of the records.
pub(crate) const DIRECTORY: &str = "tests/contract";

/// The command that writes the records, and the page, anew.
pub(crate) const COMMAND: &str = "make contract";

/// The text of a section that an older Envoy has not.
const NONE: &str = "(none)";

/// One test at a time writes: each of them writes the page too.
pub(crate) static WRITING: Mutex<()> = Mutex::new(());

/// A subject: the name of its files, and their first line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
}

/// A version of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EnvoyVersion(u64, u64, u64);

/// The facts of one subject: sections with a name and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(pub(crate) Vec<(String, String)>);

/// The facts of one subject on every Envoy.
#[derive(Debug)]
pub(crate) struct Records {
    subject: Subject,
    root: PathBuf,
    pub(crate) versions: BTreeMap<EnvoyVersion, Facts>,
}

/// Compares facts with the record of the Envoy under test, or writes them if UPDATE is set.
///
/// # Panics
/// When they differ, or a file cannot be read or written.
#[track_caller]
pub(crate) fn check(subject: Subject, facts: &Facts) {
    if let Err(error) = try_check(subject, facts) {
        panic!("{error:#}");
    }
}

fn try_check(subject: Subject, facts: &Facts) -> Result<()> {
    let version = EnvoyVersion::under_test()?;
    let mut records = Records::read(artifacts::checkout(), subject)?;
    if std::env::var_os("UPDATE").is_some() {
        let _only = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        records.put(version, facts.clone(), &EnvoyVersion::supported(artifacts::checkout())?);
        records.write()?;
        return document::write();
    }
    let newest = records.newest().context("there is no record")?;
    let known = records.versions.get(&version);
    let expected = known.or_else(|| records.versions.get(&newest)).context("there is no record")?;
    let differences = facts.differences(expected);
    if differences.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> =
        differences.iter().map(|(name, lines)| format!("## {name}\n{}", lines.join("\n"))).collect();
    let (shown, title) = (shown.join("\n\n"), subject.title);
    if known.is_some() {
        bail!(
            "{title}: Envoy {version} differs from its record (-: the record, +: now):\n\n{shown}\n\n{}",
            advice(version)
        );
    }
    bail!(
        "{title}: Envoy {version} has no record, and differs from {newest} so (+: {version}):\n\n{shown}\n\n{}",
        advice(version)
    )
}

fn advice(version: EnvoyVersion) -> String {
    format!(
        "If Cellgate is right on this Envoy, write the record anew, and read its difference:\n\n    \
         {COMMAND} ENVOYS={version}\n"
    )
}

impl EnvoyVersion {
    /// The version of the Envoy that the tests run.
    pub(crate) fn under_test() -> Result<Self> {
        let output = Command::new(artifacts::envoy()?).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        // PROGRAM  version: REVISION/VERSION/STATE/BUILD/TLS
        let version = text.rsplit_once("version: ").and_then(|(_, version)| version.split('/').nth(1));
        version.with_context(|| format!("no version in {text:?}"))?.parse()
    }

    /// The versions that the Makefile names: `make ci` runs each of them.
    pub(crate) fn supported(checkout: &Path) -> Result<BTreeSet<Self>> {
        let makefile = std::fs::read_to_string(checkout.join("Makefile"))?;
        let assigned = |name: &str| {
            let value = makefile.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" := "));
            value.with_context(|| format!("no {name} in the Makefile"))
        };
        let older = assigned("OLDER_ENVOYS")?.replace("$(OLDEST_ENVOY)", assigned("OLDEST_ENVOY")?);
        older.split_whitespace().chain([assigned("ENVOY_VERSION")?.trim()]).map(str::parse).collect()
    }
}

impl FromStr for EnvoyVersion {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        // A build of a branch is 1.41.0-dev.
        let parts: Vec<u64> =
            text.split('-').next().unwrap_or_default().split('.').map(str::parse).collect::<Result<_, _>>()?;
        let [major, minor, patch] = parts[..] else { bail!("not a version: {text:?}") };
        Ok(Self(major, minor, patch))
    }
}

impl fmt::Display for EnvoyVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Facts {
    pub(crate) fn add(&mut self, name: impl Into<String>, lines: impl AsRef<str>) {
        self.0.push((name.into(), lines.as_ref().trim_end().to_owned()));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, lines)| lines.as_str())
    }

    /// The sections that differ from `base`, each with its changed lines.
    pub(crate) fn differences(&self, base: &Self) -> Vec<(String, Vec<String>)> {
        let mut names: Vec<&String> = self.0.iter().map(|(name, _)| name).collect();
        names.extend(base.0.iter().map(|(name, _)| name).filter(|name| self.get(name).is_none()));
        let compared = names
            .into_iter()
            .map(|name| (name.clone(), lines(base.get(name).unwrap_or_default(), self.get(name).unwrap_or_default())));
        compared.filter(|(_, lines)| !lines.is_empty()).collect()
    }

    /// The sections that an older Envoy has in a file of its own.
    fn beyond(&self, base: &Self) -> Self {
        let differing = self.differences(base).into_iter();
        Self(differing.map(|(name, _)| (name.clone(), self.get(&name).unwrap_or(NONE).to_owned())).collect())
    }

    /// All sections of an older Envoy, from those in its file.
    fn on(&self, base: &Self) -> Self {
        let mut all: Vec<_> = base.0.iter().map(|(name, lines)| (name, self.get(name).unwrap_or(lines))).collect();
        all.extend(
            self.0.iter().filter(|(name, _)| base.get(name).is_none()).map(|(name, lines)| (name, lines.as_str())),
        );
        let present = all.into_iter().filter(|(_, lines)| *lines != NONE);
        Self(present.map(|(name, lines)| (name.clone(), lines.to_owned())).collect())
    }

    fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for section in text.split("\n## ").skip(1) {
            let (name, lines) = section.split_once('\n').unwrap_or((section, ""));
            facts.add(name, lines);
        }
        facts
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, (name, lines)| format!("{text}\n## {name}\n{lines}\n"))
    }
}

impl Records {
    /// Reads the records of a subject. Without a file there is none.
    pub(crate) fn read(checkout: &Path, subject: Subject) -> Result<Self> {
        let mut records = Self { subject, root: checkout.join(DIRECTORY), versions: BTreeMap::new() };
        let path = records.file(None);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(records) };
        let listed = text.lines().find_map(|line| line.strip_prefix("Envoy: "));
        let listed = listed.with_context(|| format!("{}: no line `Envoy:`", path.display()))?;
        let versions: Vec<EnvoyVersion> = listed.split(' ').map(str::parse).collect::<Result<_>>()?;
        let base = Facts::parse(&text);
        for version in versions {
            let own = std::fs::read_to_string(records.file(Some(version))).unwrap_or_default();
            records.versions.insert(version, Facts::parse(&own).on(&base));
        }
        Ok(records)
    }

    pub(crate) fn newest(&self) -> Option<EnvoyVersion> {
        self.versions.keys().next_back().copied()
    }

    /// Adds the facts of a version, and drops those of versions that are no longer supported.
    fn put(&mut self, version: EnvoyVersion, facts: Facts, supported: &BTreeSet<EnvoyVersion>) {
        self.versions.retain(|known, _| supported.contains(known));
        self.versions.insert(version, facts);
    }

    /// Writes the facts of the newest Envoy, and those of the others that differ.
    pub(crate) fn write(&self) -> Result<()> {
        let Some((newest, base)) = self.versions.iter().next_back() else { return Ok(()) };
        let listed: Vec<String> = self.versions.keys().map(ToString::to_string).collect();
        let head = format!(
            "{}, with Envoy {newest}.\nWritten by `{COMMAND}`. A folder has the sections that are not the same on another Envoy.\n\
             Envoy: {}\n",
            self.subject.title,
            listed.join(" ")
        );
        replace(&self.file(None), &(head + &base.text()))?;
        for (version, facts) in &self.versions {
            let (own, file) = (facts.beyond(base), self.file(Some(*version)));
            if version == newest || own.0.is_empty() {
                drop(std::fs::remove_file(file));
                continue;
            }
            ensure!(facts.beyond(base).on(base).differences(facts).is_empty(), "{}: would lose facts", file.display());
            let head = format!("{}: the sections in which Envoy {version} differs.\n", self.subject.title);
            replace(&file, &(head + &own.text()))?;
        }
        self.remove_others()
    }

    /// Removes the files of versions that have no record any more, and their folders when they are empty.
    fn remove_others(&self) -> Result<()> {
        for entry in std::fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix("envoy-")?.parse::<EnvoyVersion>().ok());
            let Some(version) = version.filter(|version| !self.versions.contains_key(version)) else { continue };
            // Not every subject has a file there, and other subjects may still have one.
            drop(std::fs::remove_file(self.file(Some(version))));
            drop(std::fs::remove_dir(self.root.join(name)));
        }
        Ok(())
    }

    fn file(&self, version: Option<EnvoyVersion>) -> PathBuf {
        let folder = version.map_or_else(|| self.root.clone(), |version| self.root.join(format!("envoy-{version}")));
        folder.join(format!("{}.txt", self.subject.name))
    }
}

fn replace(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject { name: "calls", title: "Calls" };

    fn facts(sections: &[(&str, &str)]) -> Facts {
        Facts(sections.iter().map(|(name, lines)| ((*name).to_owned(), (*lines).to_owned())).collect())
    }

    #[test]
    fn an_older_envoy_has_only_the_sections_that_differ_in_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut records = Records::read(directory.path(), SUBJECT).unwrap();
        let (old, new): (EnvoyVersion, EnvoyVersion) = ("1.9.0".parse().unwrap(), "1.10.0-dev".parse().unwrap());
        records.versions.insert(old, facts(&[("same", "a\nb"), ("changed", "a"), ("gone", "x")]));
        records.versions.insert(new, facts(&[("same", "a\nb"), ("changed", "a\nc"), ("added", "y")]));
        records.write().unwrap();
        let own = std::fs::read_to_string(records.file(Some(old))).unwrap();
        assert!(!own.contains("same") && own.contains("## changed\na\n") && own.contains("## added\n(none)"), "{own}");
        assert!(!records.file(Some(new)).exists());

        let mut read = Records::read(directory.path(), SUBJECT).unwrap();
        assert_eq!(read.newest(), Some(new));
        assert_eq!(read.versions[&new], records.versions[&new]);
        assert_eq!(read.versions[&old].differences(&records.versions[&old]), []);

        // A newer Envoy becomes the base, and the others keep their facts.
        let newer = "1.11.1".parse().unwrap();
        read.versions.insert(newer, facts(&[("changed", "z")]));
        read.write().unwrap();
        let again = Records::read(directory.path(), SUBJECT).unwrap();
        assert_eq!(again.versions[&new].differences(&records.versions[&new]), []);
        assert_eq!(again.versions[&newer], facts(&[("changed", "z")]));
    }
    #[test]
    fn a_version_that_is_no_longer_supported_loses_its_record() {
        let directory = tempfile::tempdir().unwrap();
        let makefile = "OLDEST_ENVOY := 1.9.0\nOLDER_ENVOYS := $(OLDEST_ENVOY) 1.10.4\nENVOY_VERSION := 1.11.0\n";
        std::fs::write(directory.path().join("Makefile"), makefile).unwrap();
        let [oldest, before, patched, newest, next] =
            ["1.9.0", "1.10.3", "1.10.4", "1.11.0", "1.12.0"].map(|version| version.parse::<EnvoyVersion>().unwrap());
        let supported = EnvoyVersion::supported(directory.path()).unwrap();
        assert_eq!(supported, BTreeSet::from([oldest, patched, newest]));

        let (base, other) = (facts(&[("a", "x")]), facts(&[("a", "y")]));
        let mut records = Records::read(directory.path(), SUBJECT).unwrap();
        records.versions =
            [(oldest, other.clone()), (before, other.clone()), (newest, base.clone())].into_iter().collect();
        records.write().unwrap();
        let gone = records.file(Some(before));
        let of_another_subject = gone.with_file_name("messages.txt");
        std::fs::write(&of_another_subject, "").unwrap();

        let read = || Records::read(directory.path(), SUBJECT).unwrap();
        let put = |version, facts: &Facts| {
            let mut records = read();
            records.put(version, facts.clone(), &supported);
            records.write().unwrap();
            read().versions
        };
        let expected = BTreeMap::from([(oldest, other.clone()), (patched, base.clone()), (newest, base.clone())]);
        assert_eq!(put(patched, &base), expected);
        assert!(!gone.exists() && of_another_subject.exists());
        std::fs::remove_file(&of_another_subject).unwrap();

        // One that is tried is kept until another one is recorded, and the others keep their facts.
        assert_eq!(put(next, &other).keys().next_back(), Some(&next));
        assert_eq!(put(newest, &base), expected);
        assert!(!gone.parent().unwrap().exists());
    }
}
