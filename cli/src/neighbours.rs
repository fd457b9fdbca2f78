//! `cellgate neighbours`: finds objects of other teams for the same hosts, services and proxies, and their effect on the cells'
//! requests.
//!
//! A [`ReleasePlan`] describes what a release installs. [`read_cluster`] or [`read_file`] returns the [`Objects`] of the cluster, and
//! the lists that could not be read. [`examine`] compares the two.

mod cluster;
mod envoy_filters;
mod gateways;
mod hosts;
mod http_routes;
mod object;
mod plan;
mod report;
mod rules;
mod telemetry;
#[cfg(test)]
mod tests;
mod virtual_services;

pub(crate) use cluster::{Access, read_cluster};
pub(crate) use object::{Objects, UnreadLists, read_file};
pub(crate) use plan::ReleasePlan;
pub(crate) use report::text;

use crate::doctor::{Level, enumerate};
use object::Object;

/// A statement about an object of another team, or about a list that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NeighbourFinding {
    /// The severity.
    pub(crate) level: Level,
    /// The object, as `KIND/NAMESPACE/NAME`; empty for the cluster.
    pub(crate) object: String,
    /// The fact.
    pub(crate) what: String,
    /// The fix.
    pub(crate) fix: Option<String>,
}

/// Collects findings.
#[derive(Debug, Default)]
struct NeighbourNotes(Vec<NeighbourFinding>);

impl NeighbourNotes {
    fn error(&mut self, object: &Object<'_>, what: impl Into<String>, fix: impl Into<String>) {
        self.note(Level::Error, object, what.into(), Some(fix.into()));
    }

    fn warning(&mut self, object: &Object<'_>, what: impl Into<String>, fix: impl Into<String>) {
        self.note(Level::Warning, object, what.into(), Some(fix.into()));
    }

    fn unknown(&mut self, object: &Object<'_>, what: impl Into<String>, fix: impl Into<String>) {
        self.note(Level::Unknown, object, what.into(), Some(fix.into()));
    }

    fn ok(&mut self, object: &Object<'_>, what: impl Into<String>) {
        self.note(Level::Ok, object, what.into(), None);
    }

    /// Warns that the hosts of an object are more specific than one of the release's.
    fn more_specific(&mut self, object: &Object<'_>, hosts: &[&str]) {
        self.warning(
            object,
            format!("takes all requests for {}, which one of routes.hosts covers with a wildcard", enumerate(hosts)),
            "if these are tenants' hosts: remove it, or name them in routes.hosts too",
        );
    }

    fn note(&mut self, level: Level, object: &Object<'_>, what: String, fix: Option<String>) {
        self.0.push(NeighbourFinding { level, object: object.id(), what, fix });
    }
}

/// Compares a release with the objects of the cluster.
#[must_use]
pub(crate) fn examine(plan: &ReleasePlan, objects: &Objects) -> Vec<NeighbourFinding> {
    let mut notes = NeighbourNotes::default();
    virtual_services::examine(plan, objects, &mut notes);
    http_routes::examine(plan, objects, &mut notes);
    rules::examine(plan, objects, &mut notes);
    envoy_filters::examine(plan, objects, &mut notes);
    telemetry::examine(plan, objects, &mut notes);
    let mut findings = notes.0;
    accept(plan, &mut findings);
    findings.extend(objects.unread().iter().map(UnreadLists::finding));
    findings
}

/// Turns errors about accepted objects into notes, and warns of acceptances without a finding.
fn accept(plan: &ReleasePlan, findings: &mut Vec<NeighbourFinding>) {
    for finding in findings.iter_mut() {
        if finding.level == Level::Error && plan.accepted.contains(&finding.object) {
            finding.level = Level::Ok;
            finding.what = format!("accepted: {}", finding.what);
            finding.fix = None;
        }
    }
    for accepted in &plan.accepted {
        if !findings.iter().any(|finding| finding.object == *accepted) {
            findings.push(NeighbourFinding {
                level: Level::Warning,
                object: accepted.clone(),
                what: "is in neighbours.accept, but there is no finding about it".to_owned(),
                fix: Some("remove it from neighbours.accept, or correct it: KIND/NAMESPACE/NAME".to_owned()),
            });
        }
    }
}
