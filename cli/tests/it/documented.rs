//! The documentation of the command line names every option, variable and exit code.

use crate::support::run;

const CLI: &str = include_str!("../../../docs/cli.md");

#[test]
fn every_option_and_variable_is_documented() {
    let commands: [(&[&str], usize); 9] = [
        (&["serve"], 40),
        (&["decide"], 9),
        (&["doctor"], 9),
        (&["probe"], 9),
        (&["explain"], 1),
        (&["inspect"], 4),
        (&["limits", "show"], 6),
        (&["limits", "reset"], 6),
        (&["log-level"], 6),
    ];
    for (command, options) in commands {
        let (_, help, _) = run(&[command, &["--help"]].concat());
        let words = help.split(|character: char| !(character.is_ascii_alphanumeric() || "-_".contains(character)));
        let named: Vec<_> =
            words.filter(|word| ["--", "CELLGATE_", "OTEL_"].iter().any(|start| word.starts_with(start))).collect();
        assert!(named.len() >= options, "{help}");
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
