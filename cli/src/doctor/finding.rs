//! Findings: statements about a gateway, each with its place and, for a fault, its fix.

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// No fault.
    Ok,
    /// The source does not show it.
    Unknown,
    /// It works, but could fail, or differs from the recommendation.
    Warning,
    /// Requests are refused or misrouted, or will be.
    Error,
}

/// The subject of a finding, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// The filter in the chain.
    Filter,
    /// Envoy's limits and Cellgate's.
    Limits,
    /// The ext-proc service and its filter.
    Service,
    /// The routes to the cells.
    Routes,
    /// The cells' clusters.
    Cells,
    /// Updates that Envoy has refused.
    Updates,
    /// Counters of requests.
    Traffic,
}

/// A statement about the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The subject.
    pub(crate) section: Section,
    /// The severity.
    pub(crate) level: Level,
    /// Listeners, virtual hosts or clusters; empty for the whole gateway.
    pub(crate) places: Vec<String>,
    /// The fact.
    pub(crate) what: String,
    /// The fix.
    pub(crate) fix: Option<String>,
}

impl Level {
    /// The name in JSON.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The mark in the text.
    #[must_use]
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "??",
            Self::Warning => "!",
            Self::Error => "!!",
        }
    }
}

impl Section {
    /// Its heading.
    #[must_use]
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Filter => "Filter",
            Self::Limits => "Limits",
            Self::Service => "Service",
            Self::Routes => "Routes",
            Self::Cells => "Cells",
            Self::Updates => "Updates",
            Self::Traffic => "Traffic",
        }
    }
}

/// Collects findings about one place in one section.
#[derive(Debug)]
pub(super) struct Notes {
    section: Section,
    place: String,
    findings: Vec<Finding>,
}

impl Notes {
    pub(super) fn new(section: Section, place: impl Into<String>) -> Self {
        Self { section, place: place.into(), findings: Vec::new() }
    }

    pub(super) fn ok(&mut self, what: impl Into<String>) {
        self.note(Level::Ok, what.into(), None);
    }

    pub(super) fn unknown(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.note(Level::Unknown, what.into(), Some(fix.into()));
    }

    pub(super) fn warning(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.note(Level::Warning, what.into(), Some(fix.into()));
    }

    pub(super) fn error(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.note(Level::Error, what.into(), Some(fix.into()));
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn note(&mut self, level: Level, what: String, fix: Option<String>) {
        let places = Some(self.place.clone()).filter(|place| !place.is_empty()).into_iter().collect();
        self.findings.push(Finding { section: self.section, level, places, what, fix });
    }
}

/// Sorts findings by section, and merges those that differ in their place only: a gateway has many chains with the same
/// filter.
pub(super) fn merge(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |other: &&mut Finding| {
            (other.section, other.level, &other.what, &other.fix)
                == (finding.section, finding.level, &finding.what, &finding.fix)
        };
        match merged.iter_mut().find(same) {
            Some(other) => {
                for place in finding.places {
                    if !other.places.contains(&place) {
                        other.places.push(place);
                    }
                }
            }
            None => merged.push(finding),
        }
    }
    merged.sort_by_key(|finding| finding.section);
    merged
}

/// `a, b, c and 4 more`.
pub(crate) fn enumerate<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_that_differ_in_place_only_become_one() {
        let mut all = Vec::new();
        for place in ["a", "b", "c", "a", "d"] {
            let mut notes = Notes::new(Section::Limits, place);
            notes.ok("fits");
            all.extend(notes.into_findings());
        }
        let mut notes = Notes::new(Section::Filter, "a");
        notes.error("absent", "add it");
        all.extend(notes.into_findings());
        let merged = merge(all);
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].section, merged[0].level), (Section::Filter, Level::Error));
        assert_eq!(merged[1].places, ["a", "b", "c", "d"]);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(enumerate(&["a", "b"]), "a, b");
        assert_eq!(enumerate(&["x"; 10]), "x, x, x, x, x, x, x, x and 2 more");
    }
}
