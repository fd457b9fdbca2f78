//! The documentation names what there is, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use cellgate_ext_proc::metrics::Metrics;
use cellgate_routing::{Decision, Outcome, Reason};

use crate::support::run;

const CLI: &str = include_str!("../../../docs/cli.md");
const OBSERVE: &str = include_str!("../../../docs/observe.md");

#[test]
fn every_option_and_variable_is_documented() {
    for command in ["serve", "decide", "doctor", "probe"] {
        let (_, help, _) = run(&[command, "--help"]);
        let words = help.split(|character: char| !(character.is_ascii_alphanumeric() || "-_".contains(character)));
        let named: Vec<_> = words.filter(|word| word.starts_with("--") || word.starts_with("CELLGATE_")).collect();
        assert!(named.len() > 8, "{help}");
        for word in named.into_iter().filter(|word| *word != "--help" && *word != "--") {
            assert!(CLI.contains(word), "docs/cli.md does not name {word}");
        }
    }
}

#[test]
fn every_exit_code_is_documented() {
    let (_, help, _) = run(&["--help"]);
    let codes = help.split_once("Exit codes:").unwrap().1;
    for line in codes.lines().filter(|line| !line.trim().is_empty()) {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(CLI.contains(&row), "docs/cli.md has no row: {row}");
    }
}

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let metrics = Metrics::new().unwrap();
    let decision = Decision { outcome: Outcome::Reject(400), reason: Reason::KeyDuplicated };
    metrics.decided(decision, Duration::ZERO);
    metrics.conflict(decision);
    metrics.reloaded(true);
    metrics.config_in_force("one");
    let text = String::from_utf8(metrics.render(0).unwrap()).unwrap();
    let actual = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let documented =
        OBSERVE.lines().filter_map(|line| line.strip_prefix("| `")).filter(|row| row.starts_with("cellgate_"));
    let documented = documented.filter_map(|row| row.split(['{', '`']).next());
    assert_eq!(documented.collect::<BTreeSet<_>>(), actual.collect::<BTreeSet<_>>());
}
