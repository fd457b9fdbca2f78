//! `docs/reasons.md` is generated from the reasons themselves. `UPDATE=1` writes it anew.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::path::PathBuf;

use cellgate_routing::{Answer, Reason};

const HEAD: &str = "\
# Reasons

Every decision has exactly one reason. It is the same word everywhere: a label in metrics, a field in access logs, the
`code` of the problem document that a rejected client gets, and a field of `policy` in the
[configuration](configuration.md). This page is generated from `routing/src/reason.rs`.

## The request has its cell

These have no policy: the request goes to the cell.

| Reason | What happened |
|---|---|
";

const FAILED: &str = "
## There is no key, or no cell that may have the request

Every reason may be answered by `{ reject: STATUS }` (400 to 599), `{ use: CELL }` or `{ use: default }`, and by the
words in the last column: `defer` hands the request from the filter to the ext-proc service, `next` tries the next
source, `hash` takes the key's slot, `pass` lets the request go on without a cell.

*At the last tier* is the answer where the policy says `defer` and nobody is left to defer to (always so in the
service), or says `next` and there is no other source.

| Reason | What happened | Default | At the last tier | Also allowed |
|---|---|---|---|---|
";

fn answer(answer: Answer) -> String {
    match answer {
        Answer::Reject(status) => format!("reject {status}"),
        Answer::Defer => "`defer`".into(),
        Answer::Pass => "`pass`".into(),
        other => panic!("a default that the page cannot show: {other:?}"),
    }
}

fn page() -> String {
    let mut page = String::from(HEAD);
    for reason in Reason::ALL.iter().filter(|reason| reason.is_placed()) {
        writeln!(page, "| `{}` | {} |", reason.label(), reason.text()).unwrap();
    }
    page.push_str(FAILED);
    for reason in Reason::ALL.iter().filter(|reason| !reason.is_placed()) {
        let allowed = reason.allowed();
        let keywords: Vec<_> = allowed.keywords().map(|keyword| format!("`{keyword}`")).collect();
        let (default, last) = (answer(reason.default_answer()), answer(reason.last_answer()));
        // It is what becomes of a deferral.
        let last = if default == last || !(allowed.defer || allowed.next) { "" } else { &last };
        writeln!(page, "| `{}` | {} | {default} | {last} | {} |", reason.label(), reason.text(), keywords.join(", "))
            .unwrap();
    }
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
    assert!(committed == page, "docs/reasons.md is not what the code says; UPDATE=1 writes it");
}
