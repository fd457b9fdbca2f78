//! The policy: an allowed action for each reason.

use super::super::path::Step;
use super::super::raw::{RawAction, RawPolicy};
use super::super::report::Report;
use super::super::suggest::hint;
use super::super::text::quote;
use super::{Cells, DEFAULT};
use crate::answer::Answer;
use crate::policy::Policy;
use crate::reason::Reason;

pub(super) fn policy(
    RawPolicy(table): &RawPolicy,
    cells: &Cells<'_>,
    default: Option<&str>,
    report: &mut Report<'_>,
) -> Policy {
    let mut policy = Policy::default();
    for (index, (label, raw)) in table.0.iter().enumerate() {
        let name = [Step::Field("policy"), Step::Name(index)];
        match label.parse::<Reason>() {
            Err(_) => {
                report.problem(&name, || {
                    let known = Reason::ALL.iter().filter(|reason| !reason.is_placed()).map(|reason| reason.label());
                    format!("{} is not one of the reasons in docs/reasons.md{}", quote(label), hint(label, known))
                });
            }
            Ok(reason) if reason.is_placed() => {
                report.problem(&name, || format!("`{label}` means that the request has its cell: it has no policy"));
            }
            Ok(reason) => {
                let path = [Step::Field("policy"), Step::Entry(index)];
                if let Some(action) = action(reason, raw, path, cells, default, report) {
                    policy.set(reason, action);
                }
            }
        }
    }
    policy
}

fn action(
    reason: Reason,
    raw: &RawAction,
    path: [Step<'_>; 2],
    cells: &Cells<'_>,
    default: Option<&str>,
    report: &mut Report<'_>,
) -> Option<Answer> {
    let allowed = reason.allowed();
    let (action, is_allowed) = match raw {
        RawAction::Reject(status) => (Answer::Reject(u16::try_from(status.0).ok()?), true),
        RawAction::Use(name) => {
            let [policy, entry] = path;
            let path = [policy, entry, Step::Field("use")];
            let name = match (&**name, default) {
                (DEFAULT, None) => {
                    report.problem(&path, || "`use: default` needs `placement.default`".into());
                    return None;
                }
                // An unknown default has its own problem, at `placement.default`.
                (DEFAULT, Some(default)) if cells.get(default).is_none() => return None,
                (DEFAULT, Some(default)) => default,
                (name, _) => name,
            };
            return cells.find(name, &path, report).map(Answer::Use);
        }
        RawAction::Defer => (Answer::Defer, allowed.defer),
        RawAction::Next => (Answer::Next, allowed.next),
        RawAction::Hash => (Answer::Hash, allowed.hash),
        RawAction::Pass => (Answer::Pass, allowed.pass),
    };
    if !is_allowed {
        report.problem(&path, || format!("expected one of {}", allowed_actions(reason)));
    }
    is_allowed.then_some(action)
}

/// The actions that a reason allows, for a message.
fn allowed_actions(reason: Reason) -> String {
    let allowed = reason.allowed();
    let words = [("defer", allowed.defer), ("next", allowed.next), ("hash", allowed.hash), ("pass", allowed.pass)];
    let mut text = String::from("`reject: STATUS`, `use: CELL`");
    for (word, _) in words.iter().filter(|(_, allowed)| *allowed) {
        text.push_str(", `");
        text.push_str(word);
        text.push('`');
    }
    text
}
