//! What is wrong with a configuration, and where.

use std::fmt;

use super::tree::{Node, Place, Value};

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
        prefix(&mut self.path, &name_segment(name));
        self
    }

    /// The fault is in the item of this index.
    pub(super) fn item(mut self, index: usize) -> Self {
        prefix(&mut self.path, &item_segment(index));
        self
    }
}

/// One step of a path through a configuration.
///
/// An entry of a table goes by its number, as a search for its name would cost as much as the table is long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// A field's value. Structs have few fields.
    Of(&'a str),
    /// The value of a table's entry.
    Entry(usize),
    /// The name of a table's entry: the last step.
    Name(usize),
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
    ///
    /// The message is made only for a problem that may be shown: a large file can have very many.
    pub(super) fn problem(&mut self, path: &[Step<'_>], message: impl FnOnce() -> String) {
        let at = self.offset(path);
        if self.has_room(at) {
            self.keep(at, path, message());
        }
    }

    /// Whether a problem at this offset is among the first so far. If not, it is only counted.
    fn has_room(&mut self, at: usize) -> bool {
        let room = self.found.len() < MAX_PROBLEMS || self.found.last().is_some_and(|(last, ..)| at < *last);
        self.hidden += usize::from(!room);
        room
    }

    fn keep(&mut self, at: usize, path: &[Step<'_>], message: String) {
        let index = self.found.partition_point(|(other, ..)| *other <= at);
        self.found.insert(index, (at, self.text(path), message));
        if self.found.len() > MAX_PROBLEMS {
            self.found.pop();
            self.hidden += 1;
        }
    }

    fn offset(&self, path: &[Step<'_>]) -> usize {
        let (mut node, mut at) = (self.root, self.root.at);
        for step in path {
            let Some(found) = child(node, *step) else { break };
            at = if matches!(step, Step::Name(_)) { found.at } else { found.node.at };
            node = found.node;
        }
        at
    }

    fn text(&self, path: &[Step<'_>]) -> String {
        let (mut node, mut text) = (Some(self.root), String::new());
        for step in path {
            let found = node.and_then(|node| child(node, *step));
            node = found.as_ref().map(|found| found.node);
            let segment = match *step {
                Step::Of(name) => name_segment(name),
                Step::Entry(_) | Step::Name(_) => name_segment(found.map_or("", |found| found.name)),
                Step::Item(index) => item_segment(index),
            };
            if !text.is_empty() && !segment.starts_with('[') {
                text.push('.');
            }
            text.push_str(&segment);
        }
        text
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

/// A value one step down; for an entry, with its name and where that stands.
struct Child<'a> {
    at: usize,
    name: &'a str,
    node: &'a Node,
}

fn child<'a>(parent: &'a Node, step: Step<'_>) -> Option<Child<'a>> {
    let entry = match (&parent.value, step) {
        (Value::List(items), Step::Item(index)) => {
            return items.get(index).map(|node| Child { at: node.at, name: "", node });
        }
        (Value::Map(entries), Step::Of(name)) => entries.iter().find(|entry| &*entry.name == name),
        (Value::Map(entries), Step::Entry(index) | Step::Name(index)) => entries.get(index),
        _ => None,
    }?;
    Some(Child { at: entry.at, name: &entry.name, node: &entry.node })
}

/// Puts a part before the rest of a path.
fn prefix(path: &mut String, segment: &str) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    path.insert_str(0, segment);
}

/// A field's name as a part of a path: `acme`, or `["a.b"]`.
fn name_segment(name: &str) -> String {
    let plain = (1..=SHOWN).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    if plain { name.to_owned() } else { format!("[{}]", quote(name)) }
}

/// A list's index as a part of a path.
fn item_segment(index: usize) -> String {
    format!("[{index}]")
}

/// The most characters of a text that an error shows.
const SHOWN: usize = 64;

/// A text in quotes on one line, at most [`SHOWN`] characters of it.
pub(super) fn quote(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: usize) -> Node {
        Node { at: 0, value: Value::List((1..=items).map(|at| Node { at, value: Value::Null }).collect()) }
    }

    /// The offsets shown, the number not shown, and how many messages were made.
    fn report(order: impl Iterator<Item = usize>) -> (Vec<usize>, usize, usize) {
        let root = list(50_000);
        let (mut report, mut made) = (Report::new(&root), 0);
        for index in order {
            report.problem(&[Step::Item(index)], || {
                made += 1;
                String::from("wrong")
            });
        }
        (report.found.iter().map(|(at, ..)| *at).collect(), report.hidden, made)
    }

    #[test]
    fn a_message_is_made_only_for_a_problem_that_may_be_shown() {
        let first: Vec<_> = (1..=MAX_PROBLEMS).collect();
        assert_eq!(report(0..50_000), (first.clone(), 50_000 - MAX_PROBLEMS, MAX_PROBLEMS));
        // Two sections in the other order: each has as many messages, at most.
        let sections = (25_000..50_000).chain(0..25_000);
        assert_eq!(report(sections), (first.clone(), 50_000 - MAX_PROBLEMS, 2 * MAX_PROBLEMS));
        assert_eq!(report((0..100).rev()), (first, 100 - MAX_PROBLEMS, 100));
    }

    #[test]
    fn long_names_are_cut_off_in_paths() {
        assert_eq!(name_segment("key-1"), "key-1");
        assert_eq!(name_segment(""), "[\"\"]");
        assert_eq!(name_segment(&"x".repeat(1 << 20)).len(), SHOWN + "[\"…\"]".len());
    }
}
