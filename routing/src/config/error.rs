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

    pub(super) fn one(file: &str, text: &str, fault: Fault) -> Self {
        let Fault { place, path, message } = fault;
        let (line, column) = place.unwrap_or(Place::Offset(0)).line_and_column(text);
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

/// The first thing that is wrong with a text or with its shape, on its way up to the root.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    /// `None` until a value on the way knows.
    pub(super) place: Option<Place>,
    /// The path below the value that was asked last.
    pub(super) path: String,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { place: None, path: String::new(), message: message.into() }
    }

    /// Places the fault, unless a deeper value has.
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.place.get_or_insert(Place::Offset(offset));
        self
    }

    /// The fault is in the entry of this name.
    pub(super) fn of(mut self, name: &str) -> Self {
        prefix_name(&mut self.path, name);
        self
    }

    /// The fault is in the item of this index.
    pub(super) fn item(mut self, index: usize) -> Self {
        prefix_item(&mut self.path, index);
        self
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
    /// By offset, at most [`MAX_PROBLEMS`].
    found: Vec<(usize, String, String)>,
    hidden: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(root: &'a Node) -> Self {
        Self { root, found: Vec::new(), hidden: 0 }
    }

    /// Notes a problem at a path. Steps that the document does not have are named, and placed at their parent.
    pub(super) fn problem(&mut self, path: &[Step<'_>], message: String) {
        let (mut node, mut at) = (Some(self.root), self.root.at);
        for step in path {
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
        let mut text = String::new();
        for step in path.iter().rev() {
            match *step {
                Step::Of(name) | Step::Name(name) => prefix_name(&mut text, name),
                Step::Item(index) => prefix_item(&mut text, index),
            }
        }
        let index = self.found.partition_point(|(other, ..)| *other <= at);
        self.found.insert(index, (at, text, message));
        if self.found.len() > MAX_PROBLEMS {
            self.found.pop();
            self.hidden += 1;
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The value, unless there were problems.
    pub(super) fn finish<T>(self, value: T, file: &str, text: &str) -> Result<T, ConfigError> {
        if self.found.is_empty() {
            return Ok(value);
        }
        let mut problems: Vec<_> = self
            .found
            .into_iter()
            .map(|(at, path, message)| {
                let (line, column) = Place::Offset(at).line_and_column(text);
                Problem { line, column, path, message }
            })
            .collect();
        if let Some(last) = problems.last_mut().filter(|_| self.hidden > 0) {
            last.message.push_str(&format!(" (and {} more problems)", self.hidden));
        }
        Err(ConfigError { file: file.into(), problems })
    }
}

fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| &*entry.name == name)
}

/// Puts a field's name before the rest of a path.
pub(super) fn prefix_name(path: &mut String, name: &str) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    if plain {
        path.insert_str(0, name);
    } else {
        path.insert_str(0, &format!("[{}]", quote(name)));
    }
}

/// Puts a list index before the rest of a path.
pub(super) fn prefix_item(path: &mut String, index: usize) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    path.insert_str(0, &format!("[{index}]"));
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

/// A float for an error message. Through serde_json, whose formatter the filter contains anyway: the standard library's
/// would be 16 KB more.
pub(super) fn float(value: f64) -> String {
    serde_json::to_string(&value).unwrap_or_default()
}
