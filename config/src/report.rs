//! The problems found while a configuration is built, and their places in the text.

use super::path::{Step, append, item_segment, name_segment};
use super::problems::Problems;
use super::raw::RawField;
use super::tree::TreeNode;

/// Collects the problems of a document.
pub(super) struct Report<'a> {
    root: &'a TreeNode,
    problems: Problems,
    /// The offsets of the maps that have unknown fields, in ascending order.
    incomplete: Vec<usize>,
}

impl<'a> Report<'a> {
    /// A report that has the problems of the shape already.
    pub(super) fn new(root: &'a TreeNode, problems: Problems, incomplete: Vec<usize>) -> Self {
        Self { root, problems, incomplete }
    }

    /// Notes a problem at a path. If the document lacks the last steps, the position is that of their parent.
    ///
    /// The message is built only for a problem that may be listed: a large file can have very many.
    pub(super) fn problem(&mut self, path: &[Step<'_>], message: impl FnOnce() -> String) {
        let mut message = Some(message);
        self.note(path, &mut || message.take().map(|message| message()).unwrap_or_default());
    }

    /// Out of line and the same for all messages, so that each of the many calls is small in the filter.
    #[cold]
    #[inline(never)]
    fn note(&mut self, path: &[Step<'_>], message: &mut dyn FnMut() -> String) {
        let Self { root, problems, .. } = self;
        problems.note(offset(root, path), || text(root, path), message);
    }

    /// The value of a required field. Notes its absence; a refused value has its own problem.
    pub(super) fn required<'r, T>(&mut self, field: &'r RawField<T>, path: &[Step<'_>]) -> Option<&'r T> {
        if field.is_absent() {
            self.problem(path, || "this required field is missing".into());
        }
        field.given()
    }

    /// Whether the map at a path has an unknown field, which may stand for one that is absent.
    pub(super) fn is_incomplete(&self, path: &[Step<'_>]) -> bool {
        self.incomplete.binary_search(&offset(self.root, path)).is_ok()
    }

    /// Whether there is no problem so far.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// All problems.
    pub(super) fn into_problems(self) -> Problems {
        self.problems
    }
}

fn offset(root: &TreeNode, path: &[Step<'_>]) -> usize {
    let (mut node, mut offset) = (root, root.at);
    for step in path {
        let Some(child) = node.child(*step) else { break };
        offset = if matches!(step, Step::Name(_)) { child.at } else { child.node.at };
        node = child.node;
    }
    offset
}

fn text(root: &TreeNode, path: &[Step<'_>]) -> String {
    let (mut node, mut text) = (Some(root), String::new());
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
