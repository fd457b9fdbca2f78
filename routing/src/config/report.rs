//! The problems found while a configuration is built, and their places in the text.

use super::error::{ConfigError, Problem};
use super::path::{Step, append, item_segment, name_segment};
use super::text::Position;
use super::tree::TreeNode;

/// The most problems that an error lists.
const MAX_PROBLEMS: usize = 20;

/// Collects the problems of a document.
pub(super) struct Report<'a> {
    root: &'a TreeNode,
    /// The first problems of the text, at most [`MAX_PROBLEMS`], in its order.
    first: Vec<Noted>,
    /// How many more there are.
    more: usize,
}

/// A problem whose line and column are not counted yet.
struct Noted {
    offset: usize,
    path: String,
    message: String,
}

impl<'a> Report<'a> {
    pub(super) fn new(root: &'a TreeNode) -> Self {
        Self { root, first: Vec::new(), more: 0 }
    }

    /// Notes a problem at a path. If the document lacks the last steps, the position is that of their parent.
    ///
    /// The message is built only for a problem that may be listed: a large file can have very many.
    pub(super) fn problem(&mut self, path: &[Step<'_>], message: impl FnOnce() -> String) {
        let offset = self.offset(path);
        if self.may_list(offset) {
            self.insert(Noted { offset, path: self.text(path), message: message() });
        }
    }

    /// Whether a problem at this offset is among the first so far. If not, it is only counted.
    fn may_list(&mut self, offset: usize) -> bool {
        let may_list = self.first.len() < MAX_PROBLEMS || self.first.last().is_some_and(|last| offset < last.offset);
        self.more += usize::from(!may_list);
        may_list
    }

    fn insert(&mut self, noted: Noted) {
        let index = self.first.partition_point(|other| other.offset <= noted.offset);
        self.first.insert(index, noted);
        if self.first.len() > MAX_PROBLEMS {
            self.first.pop();
            self.more += 1;
        }
    }

    fn offset(&self, path: &[Step<'_>]) -> usize {
        let (mut node, mut offset) = (self.root, self.root.at);
        for step in path {
            let Some(child) = node.child(*step) else { break };
            offset = if matches!(step, Step::Name(_)) { child.at } else { child.node.at };
            node = child.node;
        }
        offset
    }

    fn text(&self, path: &[Step<'_>]) -> String {
        let (mut node, mut text) = (Some(self.root), String::new());
        for step in path {
            let child = node.and_then(|node| node.child(*step));
            node = child.as_ref().map(|child| child.node);
            let segment = match *step {
                Step::Field(name) => name_segment(name),
                Step::Entry(_) | Step::Name(_) => name_segment(child.map_or("", |child| child.name)),
                Step::Item(index) => item_segment(index),
            };
            append(&mut text, &segment);
        }
        text
    }

    /// Whether there is no problem so far.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The value, or the problems if there are any.
    pub(super) fn finish<T>(self, value: T, text: &str, file: &str) -> Result<T, ConfigError> {
        if self.first.is_empty() {
            return Ok(value);
        }
        let mut problems: Vec<_> = self
            .first
            .into_iter()
            .map(|Noted { offset, path, message }| {
                let (line, column) = Position::Offset(offset).line_and_column(text);
                Problem { line, column, path, message }
            })
            .collect();
        if let Some(last) = problems.last_mut().filter(|_| self.more > 0) {
            last.message.push_str(&format!(" (and {} more problems)", self.more));
        }
        Err(ConfigError::new(file, problems))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Value;
    use super::*;

    fn list(items: usize) -> TreeNode {
        TreeNode { at: 0, value: Value::List((1..=items).map(|at| TreeNode { at, value: Value::Null }).collect()) }
    }

    /// The listed offsets, the number of other problems, and how many messages were built.
    fn report(order: impl Iterator<Item = usize>) -> (Vec<usize>, usize, usize) {
        let root = list(50_000);
        let (mut report, mut built) = (Report::new(&root), 0);
        for index in order {
            report.problem(&[Step::Item(index)], || {
                built += 1;
                String::from("wrong")
            });
        }
        (report.first.iter().map(|noted| noted.offset).collect(), report.more, built)
    }

    #[test]
    fn a_message_is_built_only_for_a_problem_that_may_be_listed() {
        let first: Vec<_> = (1..=MAX_PROBLEMS).collect();
        assert_eq!(report(0..50_000), (first.clone(), 50_000 - MAX_PROBLEMS, MAX_PROBLEMS));
        // Two sections in the other order: at most MAX_PROBLEMS messages for each.
        let sections = (25_000..50_000).chain(0..25_000);
        assert_eq!(report(sections), (first.clone(), 50_000 - MAX_PROBLEMS, 2 * MAX_PROBLEMS));
        assert_eq!(report((0..100).rev()), (first, 100 - MAX_PROBLEMS, 100));
    }
}
