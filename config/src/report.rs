//! The problems found while a configuration is built, and their places in the text.

use super::path::{Step, append, item_segment, name_segment};
use super::problems::Problems;
use super::raw::RawField;
use super::tree::{Findings, IncompleteMaps, TreeChild, TreeNode};

/// Collects the problems of a document.
pub(super) struct Report<'a> {
    root: &'a TreeNode<'a>,
    problems: Problems,
    incomplete: IncompleteMaps<'a>,
}

impl<'a> Report<'a> {
    /// A report that has the problems of the shape already.
    pub(super) fn new(root: &'a TreeNode<'a>, Findings { problems, incomplete }: Findings<'a>) -> Self {
        Self { root, problems, incomplete: incomplete.sorted() }
    }

    /// Notes a problem at a path. If the document lacks the last steps, the position is that of their parent.
    ///
    /// The message is built only for a problem that may be listed: a large file can have very many.
    ///
    /// Out of line and the same for all messages, so that each of the many calls is small in the filter.
    #[cold]
    #[inline(never)]
    pub(super) fn problem(&mut self, path: &[Step<'_>], message: &dyn Fn() -> String) {
        let Self { root, problems, incomplete } = self;
        problems.note(offset(root, path, incomplete), &|| text(root, path, incomplete), message);
    }

    /// The value of a required field. Notes its absence; a refused value has its own problem.
    pub(super) fn required<'r, T>(&mut self, field: &'r RawField<T>, path: &[Step<'_>]) -> Option<&'r T> {
        if field.is_absent() {
            self.problem(path, &|| "this required field is missing".into());
        }
        field.given()
    }

    /// Whether the map at a path has an unknown field, which may stand for one that is absent.
    pub(super) fn is_incomplete(&self, path: &[Step<'_>]) -> bool {
        let (mut node, incomplete) = (self.root, &self.incomplete);
        for step in path {
            let Some(child) = child(node, *step, incomplete) else { return false };
            node = child.node;
        }
        incomplete.known_fields(node).is_some()
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

/// The value one step down.
fn child<'a>(node: &'a TreeNode<'a>, step: Step<'_>, incomplete: &IncompleteMaps<'a>) -> Option<TreeChild<'a>> {
    match (step, incomplete.known_fields(node)) {
        (Step::Field(name), Some(known)) => known.iter().find(|entry| entry.name == name).map(|entry| entry.child()),
        _ => node.child(step),
    }
}

fn offset<'a>(root: &'a TreeNode<'a>, path: &[Step<'_>], incomplete: &IncompleteMaps<'a>) -> usize {
    let (mut node, mut offset) = (root, root.at);
    for step in path {
        let Some(child) = child(node, *step, incomplete) else { break };
        offset = if matches!(step, Step::Name(_)) { child.at } else { child.node.at };
        node = child.node;
    }
    offset
}

fn text<'a>(root: &'a TreeNode<'a>, path: &[Step<'_>], incomplete: &IncompleteMaps<'a>) -> String {
    let (mut node, mut text) = (Some(root), String::new());
    for step in path {
        let child = node.and_then(|node| child(node, *step, incomplete));
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
