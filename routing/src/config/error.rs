//! What is wrong with a configuration, and where.

use std::fmt;

use super::tree::{Entry, Node, Place, Value};

/// A configuration was refused: one problem or more, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    file: Box<str>,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The field, such as `placement.overrides.acme` or `key[0].header`. Empty for the whole document.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
}

/// The most problems that are reported.
const MAX_PROBLEMS: usize = 20;

impl ConfigError {
    /// The file's name, as given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, at least one, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn one(file: &str, text: &str, place: Place, path: String, message: String) -> Self {
        let (line, column) = place.line_and_column(text);
        Self { file: file.into(), problems: vec![Problem { line, column, path, message }] }
    }
}

/// One line for each problem: `FILE:LINE:COLUMN: PATH: MESSAGE`.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let Problem { line, column, path, message } = problem;
            let newline = if index == 0 { "" } else { "\n" };
            let colon = if path.is_empty() { "" } else { ": " };
            write!(f, "{newline}{}:{line}:{column}: {path}{colon}{message}", self.file)?;
        }
        Ok(())
    }
}

/// One step of a path through a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// An entry's value.
    Of(&'a str),
    /// An entry's name: the last step.
    Name(&'a str),
    /// A list's item.
    Item(usize),
}

/// Collects what is wrong with a document, and finds the places.
pub(super) struct Report<'a> {
    root: &'a Node,
    found: Vec<(usize, String, String)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(root: &'a Node) -> Self {
        Self { root, found: Vec::new() }
    }

    /// Notes a problem at a path. Steps that the document does not have are named, and placed at their parent.
    pub(super) fn problem(&mut self, path: &[Step<'_>], message: String) {
        let (mut node, mut at) = (Some(self.root), self.root.at);
        let mut text = String::new();
        for step in path {
            match *step {
                Step::Of(name) | Step::Name(name) => push_name(&mut text, name),
                Step::Item(index) => push_item(&mut text, index),
            }
            let Some(parent) = node else { continue };
            node = match (&parent.value, *step) {
                (Value::Map(entries), Step::Of(name)) => find(entries, name).map(|entry| &entry.node),
                (Value::Map(entries), Step::Name(name)) => {
                    at = find(entries, name).map_or(at, |entry| entry.at);
                    None
                }
                (Value::List(items), Step::Item(index)) => items.get(index),
                _ => None,
            };
            at = node.map_or(at, |node| node.at);
        }
        self.found.push((at, text, message));
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The value, unless there were problems.
    pub(super) fn finish<T>(mut self, value: T, file: &str, text: &str) -> Result<T, ConfigError> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|(at, ..)| *at);
        let hidden = self.found.len().saturating_sub(MAX_PROBLEMS);
        self.found.truncate(MAX_PROBLEMS);
        let mut problems: Vec<_> = self
            .found
            .into_iter()
            .map(|(at, path, message)| {
                let (line, column) = Place::Offset(at).line_and_column(text);
                Problem { line, column, path, message }
            })
            .collect();
        if let Some(last) = problems.last_mut().filter(|_| hidden > 0) {
            last.message.push_str(&format!(" (and {hidden} more problems)"));
        }
        Err(ConfigError { file: file.into(), problems })
    }
}

fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| &*entry.name == name)
}

/// Appends a field's name to a path.
pub(super) fn push_name(path: &mut String, name: &str) {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    match (plain, path.is_empty()) {
        (true, true) => path.push_str(name),
        (true, false) => {
            path.push('.');
            path.push_str(name);
        }
        (false, _) => {
            path.push('[');
            path.push_str(&quote(name));
            path.push(']');
        }
    }
}

/// Appends a list index to a path.
pub(super) fn push_item(path: &mut String, index: usize) {
    path.push('[');
    path.push_str(&index.to_string());
    path.push(']');
}

/// A text in quotes on one line, at most 64 characters of it.
pub(super) fn quote(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown = String::from("\"");
    for (index, character) in text.chars().enumerate() {
        if index == SHOWN {
            shown.push('…');
            break;
        }
        match character {
            '"' | '\\' => shown.extend(['\\', character]),
            '\n' => shown.push_str("\\n"),
            character if character.is_control() => shown.push('\u{fffd}'),
            character => shown.push(character),
        }
    }
    shown.push('"');
    shown
}
