//! `docs/reasons.md` is generated from the reasons. `UPDATE=1` writes it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::path::PathBuf;

use cellgate_routing::{PolicyAction, Reason};

const HEAD: &str = "\
# Reasons

This page is for operators who read a reason in metrics, logs or a refusal, or who configure a
policy.

Every decision has exactly one reason, with the same name everywhere: a label in metrics, a field
in access logs, the `code` of the problem document of a refusal, and a field of `policy` in the
[configuration](configuration.md). This page is generated from `routing/src/reason.rs`.

## The request has a cell

The request goes to the cell. These reasons have no policy.

| Reason | Meaning |
|---|---|
";

const HANDED_OVER: &str = "
## The filter hands the request over

The filter has chosen a cell, and the service has the last word. These reasons have no policy.

| Reason | Meaning |
|---|---|
";

const FAILED: &str = "
## The request has no key or no cell

A policy may have one of these actions for every reason: `{ reject: STATUS }` (400 to 599),
`{ use: CELL }` or `{ use: default }`. The last column lists further actions. `defer` lets the
ext-proc service decide. `next` tries the next source. `hash` sends the request to the cell of the
key's slot. `pass` forwards the request without a cell. `accept` reads the body as if it did not
have this fault.

The service is the last tier and cannot defer. *At the last tier* is its action if the policy is
`defer`. It is also the action of both tiers if the policy is `next` and no other source holds a
key.

| Reason | Meaning | Default | At the last tier | Also allowed |
|---|---|---|---|---|
";

const TAIL: &str = "
To accept a key that is named twice (`key_duplicated`), choose the one that counts:
[`duplicates: first` or `last`](configuration.md#duplicates).
";

fn action(action: PolicyAction) -> String {
    match action {
        PolicyAction::Reject(status) => format!("reject {status}"),
        PolicyAction::Defer => "`defer`".into(),
        PolicyAction::Pass => "`pass`".into(),
        PolicyAction::Accept => "`accept`".into(),
        other => panic!("a default that the page cannot show: {other:?}"),
    }
}

fn page() -> String {
    let mut page = String::from(HEAD);
    for reason in Reason::ALL.iter().filter(|reason| reason.is_placed()) {
        writeln!(page, "| `{}` | {} |", reason.label(), reason.text()).unwrap();
    }
    page.push_str(HANDED_OVER);
    for reason in Reason::ALL.iter().filter(|reason| !reason.is_placed() && !reason.has_policy()) {
        writeln!(page, "| `{}` | {} |", reason.label(), reason.text()).unwrap();
    }
    page.push_str(FAILED);
    for reason in Reason::ALL.iter().filter(|reason| reason.has_policy()) {
        let allowed = reason.allowed();
        let keywords: Vec<_> = allowed.keywords().map(|keyword| format!("`{keyword}`")).collect();
        let (default, last) = (action(reason.default_answer()), action(reason.last_answer()));
        // Only `defer` and `next` lead to the action of the last tier.
        let last = if default == last || !(allowed.defer || allowed.next) { "" } else { &last };
        writeln!(page, "| `{}` | {} | {default} | {last} | {} |", reason.label(), reason.text(), keywords.join(", "))
            .unwrap();
    }
    page.push_str(TAIL);
    page
}

#[test]
fn the_page_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == page, "docs/reasons.md is not current; UPDATE=1 writes it");
}
