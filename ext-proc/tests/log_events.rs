//! Every log line of the service has an event of the catalogue, and docs/logs.md describes each. `UPDATE=1` writes its table.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cellgate_ext_proc::logging::CATALOGUE;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const START: &str = "<!-- The table is generated from ext-proc/src/logging/catalogue.rs. -->\n";
const END: &str = "<!-- The end of the table. -->\n";
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// The fields that a line may have beside those of its event.
const COMMON: [&str; 4] = ["event", "request_id", "trace_id", "span_id"];

/// The fields that the line itself has.
const RESERVED: [&str; 4] = ["timestamp", "level", "message", "target"];

/// A call of a macro of `tracing`.
struct Call {
    place: String,
    level: &'static str,
    event: Option<String>,
    fields: BTreeSet<String>,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The code of the service and of the store of rate limits, without tests and comments.
fn code() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["ext-proc/src", "limit-store/src"] {
        sources(&Path::new(ROOT).join(folder), &mut files);
    }
    let code = files.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        (path.display().to_string(), lines.collect::<Vec<_>>().join("\n"))
    });
    code.collect()
}

/// The arguments of a call, which begin behind its parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
    let mut arguments = vec![String::new()];
    for character in text.chars() {
        match character {
            _ if in_text => in_text = escaped || character != '"',
            '"' => in_text = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return arguments.iter().map(|text| text.trim().to_owned()).collect(),
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        arguments.last_mut().unwrap().push(character);
    }
    panic!("no end: {text}");
}

fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    for (file, text) in code() {
        for level in LEVELS {
            for (start, _) in text.match_indices(&format!("tracing::{level}!(")) {
                let rest = &text[start..];
                let mut call = Call {
                    place: format!("{file}: {}", rest.lines().take(3).collect::<String>()),
                    level,
                    event: None,
                    fields: BTreeSet::new(),
                };
                for argument in arguments(rest.split_once('(').unwrap().1) {
                    if argument.is_empty() || argument.starts_with('"') {
                        continue;
                    }
                    let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
                    let name = name.trim().trim_start_matches(['%', '?']).to_owned();
                    if name == "event" {
                        call.event =
                            value.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(str::to_owned);
                    }
                    call.fields.insert(name);
                }
                calls.push(call);
            }
        }
    }
    calls
}

#[test]
fn every_line_has_an_event_of_the_catalogue_and_its_fields() {
    let calls = calls();
    assert!(calls.len() > 25, "{} calls: are they written in another way?", calls.len());
    let mut levels = BTreeMap::<&str, BTreeSet<&str>>::new();
    for Call { place, level, event, fields } in &calls {
        let event = event.as_deref().unwrap_or_else(|| panic!("without event = \"…\": {place}"));
        let known = CATALOGUE.iter().find(|known| known.name == event);
        let known = known.unwrap_or_else(|| panic!("`{event}` is not in ext-proc/src/logging/catalogue.rs: {place}"));
        levels.entry(known.name).or_default().insert(level);
        let listed: BTreeSet<_> = known.fields.iter().map(|field| field.trim_end_matches('?')).collect();
        for field in fields {
            assert!(!RESERVED.contains(&field.as_str()), "`{field}` is a field of every line: {place}");
            let is_known = COMMON.contains(&field.as_str()) || listed.contains(field.as_str());
            assert!(is_known, "the catalogue has no field `{field}` of `{event}`: {place}");
        }
        for field in known.fields.iter().filter(|field| !field.ends_with('?')) {
            assert!(fields.contains(*field), "`{event}` without `{field}`: {place}");
        }
    }
    for event in CATALOGUE.iter().filter(|event| event.name != "library") {
        let found = levels.get(event.name).unwrap_or_else(|| panic!("nothing logs `{}`", event.name));
        assert_eq!(*found, event.levels.iter().copied().collect(), "the levels of `{}`", event.name);
    }
}

#[test]
fn nothing_is_written_beside_the_log() {
    for (file, text) in code() {
        for way in ["println!", "print!(", "stderr()", "stdout()", "dbg!"] {
            let is_log = file.ends_with("src/logging.rs");
            assert!(is_log || !text.contains(way), "{file}: {way}");
        }
    }
}

#[test]
fn the_catalogue_is_sorted_and_each_name_is_there_once() {
    let names: Vec<_> = CATALOGUE.iter().map(|event| event.name).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    for event in CATALOGUE {
        assert!(event.levels.iter().all(|level| LEVELS.contains(level)), "{}", event.name);
        assert!(event.meaning.ends_with('.'), "{}", event.name);
        let is_bad = event.levels.iter().any(|level| matches!(*level, "error" | "warn"));
        let has_remedy = !event.remedy.is_empty() || event.name == "sighup_failed";
        assert!(!is_bad || has_remedy, "`{}` says nothing about what to do", event.name);
    }
}

#[test]
fn the_documentation_has_every_event() {
    let path = Path::new(ROOT).join("docs/logs.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(START).expect("no start of the table");
    let (found, after) = rest.split_once(END).expect("no end of the table");
    let mut table = "\n| `event` | level | fields | meaning | what to do |\n|---|---|---|---|---|\n".to_owned();
    for event in CATALOGUE {
        let fields: Vec<_> = event.fields.iter().map(|field| format!("`{}`", field.trim_end_matches('?'))).collect();
        let (levels, fields) = (event.levels.join(", "), fields.join(", "));
        let _ = writeln!(table, "| `{}` | {levels} | {fields} | {} | {} |", event.name, event.meaning, event.remedy);
    }
    table.push('\n');
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{START}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "run `make generate`");
    }
}
