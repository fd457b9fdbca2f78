//! `cellgate neighbours`: what other teams have in the cluster for the same hosts, services and proxies, and what it
//! would do to the cells' requests.
//!
//! [`Plan`] is what a release brings. [`read_cluster`] or [`read_file`] gives the [`Objects`] that are there already, and says
//! what could not be seen. [`examine`] compares the two and does nothing else.

mod cluster;
mod envoy_filters;
mod gateways;
mod hosts;
mod http_routes;
mod object;
mod plan;
mod report;
mod rules;
#[cfg(test)]
mod tests;
mod virtual_services;

pub(crate) use cluster::{Access, read_cluster};
pub(crate) use object::{Objects, Unseen, read_file};
pub(crate) use plan::Plan;
pub(crate) use report::text;

use crate::doctor::{Level, enumerate};
use object::Object;

/// One statement about a neighbour, or about what could not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) level: Level,
    /// The object, as `KIND/NAMESPACE/NAME`; empty for the cluster.
    pub(crate) object: String,
    /// What is so.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

/// Findings as they are made.
#[derive(Debug, Default)]
struct Notes(Vec<Finding>);

impl Notes {
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

    /// Its hosts are more specific than one of the release's.
    fn more_specific(&mut self, object: &Object<'_>, hosts: &[&str]) {
        self.warning(
            object,
            format!("takes all requests for {}, which one of routes.hosts covers with a wildcard", enumerate(hosts)),
            "if these are tenants' hosts: remove it, or name them in routes.hosts too",
        );
    }

    fn note(&mut self, level: Level, object: &Object<'_>, what: String, fix: Option<String>) {
        self.0.push(Finding { level, object: object.id(), what, fix });
    }
}

/// Compares a release with what is in the cluster.
#[must_use]
pub(crate) fn examine(plan: &Plan, objects: &Objects) -> Vec<Finding> {
    let mut notes = Notes::default();
    virtual_services::examine(plan, objects, &mut notes);
    http_routes::examine(plan, objects, &mut notes);
    rules::examine(plan, objects, &mut notes);
    envoy_filters::examine(plan, objects, &mut notes);
    let mut findings = notes.0;
    accept(plan, &mut findings);
    findings.extend(objects.unseen().iter().map(Unseen::finding));
    findings
}

/// Takes the objects that the user knows about out of the errors, and says so.
fn accept(plan: &Plan, findings: &mut Vec<Finding>) {
    for finding in findings.iter_mut() {
        if finding.level == Level::Error && plan.accepted.contains(&finding.object) {
            finding.level = Level::Ok;
            finding.what = format!("accepted: {}", finding.what);
            finding.fix = None;
        }
    }
    for accepted in &plan.accepted {
        if !findings.iter().any(|finding| finding.object == *accepted) {
            findings.push(Finding {
                level: Level::Warning,
                object: accepted.clone(),
                what: "is accepted, and nothing was found about it".to_owned(),
                fix: Some("take it out of neighbours.accept, or correct it: KIND/NAMESPACE/NAME".to_owned()),
            });
        }
    }
}
