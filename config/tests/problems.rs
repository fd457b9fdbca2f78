//! One run reports every mistake of a configuration, in the order of the text, and nothing that only follows from one.
//!
//! `fixtures/mistakes.txt` is a valid configuration in JSON, which is YAML too. Below a line, `! PATH ! LINE` is a wrong
//! form of it, and the path of its problem.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use cellgate_config::{ConfigError, Problem};
use cellgate_routing::Config;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

const FIXTURE: &str = include_str!("fixtures/mistakes.txt");

/// The most problems that an error lists.
const MAX_PROBLEMS: usize = 20;

/// A line of the configuration.
struct Line {
    right: &'static str,
    /// The path of the problem, and the line with it.
    wrong: Vec<(&'static str, &'static str)>,
}

fn lines() -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for text in FIXTURE.lines() {
        match text.strip_prefix("! ").and_then(|mistake| mistake.split_once(" ! ")) {
            Some(mistake) => lines.last_mut().unwrap().wrong.push(mistake),
            None => lines.push(Line { right: text, wrong: Vec::new() }),
        }
    }
    lines
}

/// The configuration with mistakes: the index of the line, and which of its wrong forms it gets.
fn text(lines: &[Line], mistakes: &[(usize, usize)]) -> String {
    let line = |(index, line): (usize, &Line)| match mistakes.iter().find(|(wrong, _)| *wrong == index) {
        Some((_, form)) => format!("{}\n", line.wrong[*form].1),
        None => format!("{}\n", line.right),
    };
    lines.iter().enumerate().map(line).collect()
}

/// The problems of a text, which are the same in both formats.
fn problems(text: &str) -> Vec<Problem> {
    let listed = |result: Result<Config, ConfigError>| match result {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    };
    let found = listed(cellgate_config::from_json(text, "any.json"));
    assert_eq!(found, listed(cellgate_config::from_yaml(text, "any.yaml")), "{text}");
    found
}

#[test]
fn each_mistake_alone_is_one_problem() {
    let lines = lines();
    assert_eq!(problems(&text(&lines, &[])), []);
    let mut mistakes = 0;
    for (index, line) in lines.iter().enumerate() {
        for (form, (path, wrong)) in line.wrong.iter().enumerate() {
            let found = problems(&text(&lines, &[(index, form)]));
            let places: Vec<_> = found.iter().map(|problem| (problem.line, &*problem.path)).collect();
            assert_eq!(places, [(index + 1, *path)], "{wrong}: {found:?}");
            mistakes += 1;
        }
    }
    assert!(mistakes >= 60, "{mistakes}");
}

/// Mistakes in different lines of the fixture.
fn mistakes() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let lines = lines();
    let wrong: Vec<(usize, usize)> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| (index, line.wrong.len()))
        .filter(|(_, forms)| *forms > 0)
        .collect();
    let chosen = subsequence(wrong, 1..=MAX_PROBLEMS);
    let form = |(chosen, forms): (Vec<(usize, usize)>, Vec<Index>)| -> Vec<(usize, usize)> {
        chosen.into_iter().zip(forms).map(|((index, count), form)| (index, form.index(count))).collect()
    };
    (chosen, prop::collection::vec(any::<Index>(), MAX_PROBLEMS)).prop_map(form)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Together, mistakes have the problems that each of them has alone.
    #[test]
    fn all_mistakes_are_reported_in_the_order_of_the_text(mistakes in mistakes()) {
        let lines = lines();
        let alone: Vec<_> = mistakes.iter().flat_map(|mistake| problems(&text(&lines, &[*mistake]))).collect();
        prop_assert_eq!(alone.len(), mistakes.len());
        prop_assert_eq!(problems(&text(&lines, &mistakes)), alone);
    }
}

#[test]
fn mistakes_beyond_the_limit_are_counted() {
    let lines = lines();
    let wrong = lines.iter().enumerate().filter(|(_, line)| !line.wrong.is_empty());
    let all: Vec<_> = wrong.map(|(index, _)| (index, 0)).collect();
    let found = problems(&text(&lines, &all));
    assert_eq!(found.len(), MAX_PROBLEMS);
    let more = format!("(and {} more problems)", all.len() - MAX_PROBLEMS);
    assert!(found.last().unwrap().message.ends_with(&more), "{found:?}");
}

/// The places of the problems of a YAML text: `LINE PATH`.
fn places(text: &str) -> Vec<String> {
    let error = cellgate_config::from_yaml(text, "any.yaml").unwrap_err();
    error.problems().iter().map(|problem| format!("{} {}", problem.line, problem.path)).collect()
}

/// A valid configuration but for the lines that replace the lines with the same first word, or are added.
fn with(lines: &[&str]) -> String {
    let word = |line: &str| line.split_once(':').map(|(word, _)| word.to_owned());
    let mut text = vec![
        "routing_header: x-cell",
        "cells: [cell-a, cell-b]",
        "key: [{ json: /tenant/id }]",
        "placement: { overrides: { acme: cell-b }, default: cell-a }",
        "policy: { key_missing: { use: cell-b }, key_empty: { use: default } }",
        "decided_by: { peers: [spiffe://a/b], cell: cell-a }",
    ];
    for line in lines {
        match text.iter_mut().find(|old| word(old) == word(line)) {
            Some(old) => *old = line,
            None => text.push(line),
        }
    }
    text.join("\n")
}

/// A wrong value refuses itself only, and problems that may vanish with it are not reported.
#[test]
fn problems_that_only_follow_are_not_reported() {
    let unknown = "placement: { overrides: { acme: cell-z }, exact: { a: cell-z }, default: cell-y }";
    let weights = |weights: &str| format!("placement: {{ slots: {{ weights: {weights} }}, default: cell-a }}");
    let long = format!("placement: {{ exact: {{ {}: cell-a }}, default: cell-a }}", "k".repeat(300));
    for (lines, expected) in [
        // All cells are known, so an unknown one is a problem of its own.
        (&[unknown][..], &["4 placement.overrides.acme", "4 placement.exact.a", "4 placement.default"][..]),
        (&["cells: cell-a", unknown], &["2 cells"]),
        (&["cells: [cell-a, 7]", unknown], &["2 cells[1]"]),
        (&["cells: [cell-a, 'cell b']", unknown], &["2 cells[1]"]),
        (&["cells: []", unknown], &["2 cells"]),
        (&["cells: ~", unknown, "limits: { depth: 0 }"], &["2 cells", "7 limits.depth"]),
        (&["routing_header: [x-cell]", "key: [{ header: x-tenant }]"], &["1 routing_header"]),
        (&["placement: ~"], &["4 placement"]),
        (&["placement: { default: 7 }"], &["4 placement.default"]),
        (&["placement: { defualt: cell-a }"], &["4 placement.defualt"]),
        (&["placement: { overrides: [acme], defualt: cell-a }"], &["4 placement.overrides", "4 placement.defualt"]),
        (&["placement: { rules: { acme: cell-a } }", "policy: {}"], &["4 placement.rules"]),
        (&["placement: { exact: { a: 7 } }", "policy: {}"], &["4 placement.exact.a"]),
        (&["placement: { slots: many }", "policy: { key_unplaced: hash }"], &["4 placement.slots"]),
        (&["placement: { slots: { count: many }, default: cell-a }"], &["4 placement.slots.count"]),
        (&[&weights("{ cell-a: 1, cel-b: 1 }")], &["4 placement.slots.weights.cel-b"]),
        (&[&weights("{ cell-a: 0, cell-b: x }")], &["4 placement.slots.weights.cell-b"]),
        (&[&weights("{ cell-a: 1 }")], &["4 placement.slots.weights"]),
        (&["key: [{ jsom: /a }]"], &["3 key[0].jsom"]),
        (&["key: [{ colour: red }]"], &["3 key[0].colour"]),
        (&["key: [{ json: 7 }]"], &["3 key[0].json"]),
        (&["key: [{ form: a, then: { jsom: /a } }]"], &["3 key[0].then.jsom"]),
        (&["key: [{ form: a, then: { json: a }, value: a }]"], &["3 key[0].then.json", "3 key[0].value"]),
        (&["key: [{ form: a, value: 7 }, { form: a, value: 8 }]"], &["3 key[0].value", "3 key[1].value"]),
        (&["limits: { inspect_bytes: 64k, stream_bytes: 1KiB }"], &["7 limits.inspect_bytes"]),
        (&["limits: { inspect_byte: 1KiB, stream_bytes: 1KiB }"], &["7 limits.inspect_byte"]),
        (&[&long, "limits: { key_bytes: '400' }"], &["7 limits.key_bytes"]),
        (&["decided_by: { peer: [spiffe://a/b] }"], &["6 decided_by.peer"]),
        (&["decided_by: { peers: [1] }"], &["6 decided_by.peers[0]"]),
        (&["content_types: { json: a/b, form: [application/json] }"], &["7 content_types.json"]),
        (&["content_types: { json: [application/json], form: 7 }"], &["7 content_types.form"]),
        // Maps of one name are read as one map. Of other values, none is read.
        (
            &["placement: { exact: { a: cell-z } }\nplacement: { default: cell-y }"],
            &["4 placement.exact.a", "5 placement", "5 placement.default"],
        ),
        (&["cells: [cell-a]\ncells: [cell-b]"], &["3 cells"]),
        (&["placement: { default: cell-a, exact: { a: cell-a, a: cell-z } }"], &["4 placement.exact.a"]),
    ] {
        assert_eq!(places(&with(lines)), expected, "{lines:?}");
    }
}

/// An unknown field hides an absent one only if it is probably the same.
#[test]
fn missing_fields_are_reported_beside_unknown_ones() {
    assert_eq!(places("colour: red\ncels: []\n"), ["1 colour", "1 routing_header", "1 key", "1 placement", "2 cels"]);
    assert_eq!(
        places("cells: [a]\ncels: []\ncell: []\n"),
        ["1 routing_header", "1 key", "1 placement", "2 cels", "3 cell"]
    );
}

/// The YAML parser gives only the last of these entries.
#[test]
fn every_duplicate_in_yaml_is_reported() {
    let text = "\
routing_header: x-cell
cells: [cell-a, cell-b]
key: [{ json: /tenant/id }]
placement:
  exact:
    7: cell-a
    b: cell-a
    7: cell-a
    b: cell-b
    0x10: cell-a
    'c': cell-z
    16: cell-a
    c: cell-a
    '7': cell-a
policy:
  key_missing: pass
  key_missing: pass
limits: { 7: 1, 7: 1 }
";
    let exact = |line: u32, key: &str| format!("{line} placement.exact.{key}");
    assert_eq!(
        places(text),
        [
            exact(8, "7"),
            exact(9, "b"),
            exact(12, "16"),
            exact(13, "c"),
            exact(14, "7"),
            "17 policy.key_missing".into(),
            "18 limits.7".into(),
            "18 limits.7".into(),
        ]
    );
}
