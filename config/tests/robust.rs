//! Any text is a configuration or has a list of problems with positions. None panics, hangs or overflows the stack.

use cellgate_config::ConfigError;
use cellgate_routing::Config;
use proptest::prelude::*;

/// With few slots, which take less time to build.
fn typical() -> String {
    include_str!("../../examples/typical.yaml").replace("  slots:\n", "  slots:\n    count: 16\n")
}

/// With few slots.
fn rate_limits() -> String {
    include_str!("../../examples/rate-limits.yaml").replace("slots: {}", "slots: { count: 16 }")
}

const FORM: &str = include_str!("../../examples/form.json");

/// Checks that an error has one line per problem, and positions within the text and in its order.
fn check_error(text: &str, result: Result<Config, ConfigError>) -> Result<(), TestCaseError> {
    if let Err(error) = result {
        prop_assert!(!error.problems().is_empty());
        prop_assert_eq!(error.to_string().lines().count(), error.problems().len(), "{}", error);
        let places: Vec<_> = error.problems().iter().map(|problem| (problem.line, problem.column)).collect();
        prop_assert!(places.is_sorted(), "{}", error);
        let lines = text.lines().count() + 1;
        for problem in error.problems() {
            prop_assert!((1..=lines).contains(&problem.line), "{} of {}", error, lines);
            prop_assert!((1..=text.len() + 2).contains(&problem.column), "{}", error);
        }
    }
    Ok(())
}

fn both(text: &str) -> Result<(), TestCaseError> {
    check_error(text, cellgate_config::from_json(text, "any.json"))?;
    check_error(text, cellgate_config::from_yaml(text, "any.yaml"))
}

/// A fragment with a meaning somewhere in a configuration.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\[\\]{}:,&*!|>\"'# \n\t-]{1,4}",
        "[a-z_]{1,12}",
        "-?[0-9]{1,25}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
        prop::sample::select(vec![
            "null",
            "true",
            "~",
            ".inf",
            "<<: *a",
            "&a",
            "*a",
            "---\n",
            "\u{feff}",
            "\\ud800",
            "default",
            "cell-z",
            "routing_key",
            "100/min;burst=20",
            "1/ms",
            "at_most",
            "64KiB",
            "key_missing",
            "\u{0}",
            "é",
            "\"\"",
            "!!binary",
            "? ",
            "%YAML 1.1\n",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

fn mutate(text: &str, edits: Vec<(prop::sample::Index, usize, String)>) -> String {
    let mut text = text.to_owned();
    for (index, removed, inserted) in edits {
        let floor = |index: usize| (0..=index).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        let start = floor(index.index(text.len() + 1));
        let end = floor((start + removed).min(text.len())).max(start);
        text.replace_range(start..end, &inserted);
    }
    text
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..24, fragment()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_text_is_handled(text: String) {
        both(&text)?;
    }

    #[test]
    fn any_fragments_are_handled(fragments in prop::collection::vec(fragment(), 0..40)) {
        both(&fragments.concat())?;
    }

    #[test]
    fn mutated_yaml_is_handled(edits in edits()) {
        both(&mutate(&typical(), edits))?;
    }

    #[test]
    fn mutated_rate_limits_are_handled(edits in edits()) {
        both(&mutate(&rate_limits(), edits))?;
    }

    #[test]
    fn mutated_json_is_handled(edits in edits()) {
        both(&mutate(FORM, edits))?;
    }

    #[test]
    fn rendering_keeps_the_meaning_of_rate_limits(edits in edits()) {
        let text = mutate(&rate_limits(), edits);
        if let (Ok(before), Ok(json)) = (cellgate_config::from_yaml(&text, "a.yaml"), cellgate_config::to_json(&text, "a.yaml")) {
            let after = cellgate_config::from_json(&json, "a.json").unwrap();
            prop_assert_eq!(before.rate_limits, after.rate_limits);
        }
    }

    /// The JSON form of a valid YAML configuration is valid and has the same meaning.
    #[test]
    fn rendering_keeps_the_meaning(edits in edits(), key in "[a-z0-9-]{1,12}") {
        let text = mutate(&typical(), edits);
        if let (Ok(before), Ok(json)) = (cellgate_config::from_yaml(&text, "a.yaml"), cellgate_config::to_json(&text, "a.yaml")) {
            let after = cellgate_config::from_json(&json, "a.json").unwrap();
            prop_assert_eq!(&before.cells, &after.cells);
            prop_assert_eq!(&before.sources, &after.sources);
            prop_assert_eq!(&before.policy, &after.policy);
            prop_assert_eq!(before.limits, after.limits);
            prop_assert_eq!(before.placement.place(&key), after.placement.place(&key));
        }
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("- ", ""), ("? ", ""), ("!!seq [", "]")] {
        for text in [open.repeat(100_000), format!("{}1{}", open.repeat(100_000), close.repeat(100_000))] {
            assert!(cellgate_config::from_json(&text, "deep.json").is_err());
            assert!(cellgate_config::from_yaml(&text, "deep.yaml").is_err());
        }
    }
}

#[test]
fn aliases_are_refused_before_they_expand() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in ('b'..='z').zip('a'..='y') {
        text.push_str(&format!("{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"));
    }
    let error = cellgate_config::from_yaml(&text, "bomb.yaml").unwrap_err();
    assert!(error.to_string().contains(": anchors and aliases are not supported"), "{error}");
}

#[test]
fn a_large_table_is_read() {
    let entries: Vec<_> = (0..20_000).map(|number| format!("    tenant-{number}: cell-{}\n", number % 2)).collect();
    let text = format!(
        "routing_header: x-cell\ncells: [cell-0, cell-1]\nkey: [{{ json: /t }}]\nplacement:\n  exact:\n{}",
        entries.concat()
    );
    let config = cellgate_config::from_yaml(&text, "large.yaml").unwrap();
    assert_eq!(config.placement.place("tenant-19999").unwrap().0.0, 1);
    let json = cellgate_config::to_json(&text, "large.yaml").unwrap();
    assert_eq!(cellgate_config::from_json(&json, "large.json").unwrap().placement.place("tenant-4").unwrap().0.0, 0);
}

/// The time for a mistake does not depend on their number: one that is not listed needs no search and no message, and the
/// text is read once. Otherwise this test takes minutes.
#[test]
fn a_large_number_of_mistakes_is_refused() {
    const WRONG: usize = 50_000;
    let cells: Vec<_> = (0..1024).map(|number| format!("\"cell-{number:058}\"")).collect();
    let entries = |name: &str, value: &str| -> String {
        (0..WRONG).map(|number| format!(",\n\"{name}_{number:058}\":{value}")).collect::<String>()[1..].to_owned()
    };
    let unknown = format!("\"cell-{}x\"", "0".repeat(57));
    let placement = format!("\"placement\":{{\"default\":\"cell-{:058}\"}}", 0);
    let limits =
        |fields: &str| format!("{placement},\"rate_limits\":[{{\"name\":\"a\",\"key\":[\"routing_key\"],{fields}}}]");
    let items = |item: &str| vec![item; WRONG].join(",\n");
    let head = format!("\"routing_header\":\"x\",\"cells\":[{}],\"key\":[{{\"json\":\"/t\"}}]", cells.join(","));
    for (rest, wrong) in [
        (format!("\"placement\":{{\"exact\":{{{}}}}}", entries("wrong", &unknown)), WRONG),
        (format!("\"placement\":{{\"overrides\":{{{}}}}}", entries("wrong", &unknown)), WRONG),
        (format!("\"placement\":{{\"slots\":{{\"weights\":{{{}}}}}}}", entries("wrong", "1")), WRONG),
        (format!("{placement},\"policy\":{{{}}}", entries("wrong", "{\"reject\":400}")), WRONG),
        (limits(&format!("\"limit\":\"1/s\",\"overrides\":{{{}}}", entries("wrong", "\"1\""))), WRONG),
        (limits(&format!("\"plans\":{{{}}},\"plan_from\":{{\"claim\":\"/p\"}}", entries("wrong", "\"1\""))), WRONG),
        (
            limits(&format!(
                "\"plans\":{{{}}},\"plan_of\":{{{}}}",
                entries("plan", "\"1/s\""),
                entries("key", &format!("\"plan_{:058}x\"", 0))
            )),
            WRONG,
        ),
        (limits(&format!("\"limit\":\"1/s\",\"applies_to\":{{\"cells\":[{}]}}", items(&unknown))), WRONG),
        // Wrong types.
        (format!("\"placement\":{{\"exact\":{{{}}}}}", entries("right", "1")), WRONG),
        (format!("{placement},\"policy\":{{{}}}", entries("key_missing", "[]")), 2 * WRONG),
        (format!("{placement},\"applies_to\":{{\"hosts\":[{}]}}", items("1")), WRONG + 1),
        // Unknown fields, some of them before a table of mistakes.
        (format!("{placement},{}", entries("wrong", "1")), WRONG),
        (format!("{},\"placement\":{{\"exact\":{{{}}}}}", entries("a", "1"), entries("b", &unknown)), 2 * WRONG),
        (format!("{placement},\"decided_by\":{{{}}}", entries("wrong", "1")), WRONG + 1),
        // Names that occur twice.
        (format!("{placement},\"policy\":{{{}}}", items("\"key_missing\":\"pass\"")), WRONG - 1),
        (format!("{placement},\"limits\":{{\"depth\":1}},{}", items("\"limits\":{\"depth\":1}")), 2 * WRONG),
    ] {
        let text = format!("{{{head},{rest}}}");
        let error = cellgate_config::from_json(&text, "wrong.json").unwrap_err();
        assert_eq!(error.problems().len(), 20);
        assert!(error.to_string().ends_with(&format!("(and {} more problems)", wrong - 20)), "{error}");
    }
}
