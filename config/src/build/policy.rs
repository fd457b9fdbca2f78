//! The policy: an allowed action for each reason.

use super::super::path::Step;
use super::super::raw::{RawAction, RawField, RawPolicy};
use super::super::report::Report;
use super::super::suggest::hint;
use super::super::text::quote;
use super::{Cells, DEFAULT};
use cellgate_routing::Policy;
use cellgate_routing::PolicyAction;
use cellgate_routing::Reason;

pub(super) fn policy(
    RawPolicy(table): &RawPolicy<'_>,
    cells: &Cells<'_>,
    default: &RawField<&str>,
    report: &mut Report<'_>,
) -> Policy {
    let mut policy = Policy::default();
    for (index, (label, raw)) in table.0.iter().enumerate() {
        let name = [Step::Field("policy"), Step::Name(index)];
        match label.parse::<Reason>() {
            Err(_) => {
                report.problem(&name, &|| {
                    let known = Reason::ALL.iter().filter(|reason| reason.has_policy()).map(|reason| reason.label());
                    format!("{} is not one of the reasons in docs/reasons.md{}", quote(label), hint(label, known))
                });
            }
            Ok(reason) if !reason.has_policy() => {
                let why = if reason.is_placed() { "the request has a cell" } else { "the ext-proc service decides" };
                report.problem(&name, &|| format!("`{label}` has no policy, because {why}"));
            }
            Ok(reason) => {
                let path = [Step::Field("policy"), Step::Entry(index)];
                let Some(raw) = raw.given() else { continue };
                let action = match raw {
                    RawAction::Use(name) => use_cell(name, default, path, cells, report),
                    RawAction::Reject(status) => u16::try_from(status.0).ok().map(PolicyAction::Reject),
                    RawAction::Defer | RawAction::Next | RawAction::Hash | RawAction::Pass | RawAction::Accept => {
                        keyword(raw, reason, path, report)
                    }
                };
                if let Some(action) = action {
                    policy.set(reason, action);
                }
            }
        }
    }
    policy
}

/// The action `use`. `default` is the name in `placement.default`.
fn use_cell(
    name: &str,
    default: &RawField<&str>,
    [policy, entry]: [Step<'_>; 2],
    cells: &Cells<'_>,
    report: &mut Report<'_>,
) -> Option<PolicyAction> {
    let path = [policy, entry, Step::Field("use")];
    let name = match (name, default) {
        (DEFAULT, RawField::Refused) => return None,
        (DEFAULT, RawField::Absent) => {
            report.problem(&path, &|| "`use: default` needs `placement.default`".into());
            return None;
        }
        // An unknown default has its own problem, at `placement.default`.
        (DEFAULT, RawField::Given(default)) if cells.get(default).is_none() => return None,
        (DEFAULT, RawField::Given(default)) => default,
        (name, _) => name,
    };
    cells.find(name, &path, report).map(PolicyAction::Use)
}

/// An action without a value, if the reason allows it.
fn keyword(raw: &RawAction<'_>, reason: Reason, path: [Step<'_>; 2], report: &mut Report<'_>) -> Option<PolicyAction> {
    let allowed = reason.allowed();
    let (name, action, is_allowed) = match raw {
        RawAction::Defer => ("defer", PolicyAction::Defer, allowed.defer),
        RawAction::Next => ("next", PolicyAction::Next, allowed.next),
        RawAction::Hash => ("hash", PolicyAction::Hash, allowed.hash),
        RawAction::Pass => ("pass", PolicyAction::Pass, allowed.pass),
        RawAction::Accept => ("accept", PolicyAction::Accept, allowed.accept),
        RawAction::Reject(_) | RawAction::Use(_) => return None,
    };
    if !is_allowed {
        report.problem(&path, &|| {
            let others: String = allowed.keywords().map(|keyword| format!(", `{keyword}`")).collect();
            format!("`{name}` is not allowed for this reason: use one of `reject: STATUS`, `use: CELL`{others}")
        });
    }
    is_allowed.then_some(action)
}
