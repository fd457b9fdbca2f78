//! The policy table: each answer allowed for its reason.

use super::super::error::{Report, Step, quote};
use super::super::raw::{RawAnswer, RawPolicy};
use super::super::suggest::hint;
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
        let name = [Step::Of("policy"), Step::Name(index)];
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
                let path = [Step::Of("policy"), Step::Entry(index)];
                if let Some(answer) = answer(reason, raw, path, cells, default, report) {
                    policy.set(reason, answer);
                }
            }
        }
    }
    policy
}

fn answer(
    reason: Reason,
    raw: &RawAnswer,
    path: [Step<'_>; 2],
    cells: &Cells<'_>,
    default: Option<&str>,
    report: &mut Report<'_>,
) -> Option<Answer> {
    let allowed = reason.allowed();
    let (answer, is_allowed) = match raw {
        RawAnswer::Reject(status) => (Answer::Reject(u16::try_from(status.0).ok()?), true),
        RawAnswer::Use(name) => {
            let [policy, entry] = path;
            let path = [policy, entry, Step::Of("use")];
            let name = match (&**name, default) {
                (DEFAULT, None) => {
                    report.problem(&path, || "`use: default` needs `placement.default`".into());
                    return None;
                }
                // An unknown default is a problem of its own, reported where it stands.
                (DEFAULT, Some(default)) if cells.get(default).is_none() => return None,
                (DEFAULT, Some(default)) => default,
                (name, _) => name,
            };
            return cells.find(name, &path, report).map(Answer::Use);
        }
        RawAnswer::Defer => (Answer::Defer, allowed.defer),
        RawAnswer::Next => (Answer::Next, allowed.next),
        RawAnswer::Hash => (Answer::Hash, allowed.hash),
        RawAnswer::Pass => (Answer::Pass, allowed.pass),
    };
    if !is_allowed {
        report.problem(&path, || format!("expected one of {}", allowed_answers(reason)));
    }
    is_allowed.then_some(answer)
}

/// The answers a reason allows, for a person.
fn allowed_answers(reason: Reason) -> String {
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
