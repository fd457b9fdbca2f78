//! Where in the document the scanner is, in terms of the query, and what it has found there.

use std::sync::Arc;

use super::pointer::Pointer;
use super::query::{JsonQuery, Node};
use super::stack::Container;
use crate::body::Candidate;
use crate::key::Duplicates;
use crate::reason::Reason;

/// The open containers that pointers go through, from the root inwards: the *live* ones.
///
/// A container is live if its parent is and a pointer goes on below it, so the live ones are the outermost ones, and
/// the scanner knows by their number whether the innermost open container is live. Nothing else is tracked.
#[derive(Debug)]
pub(super) struct Path {
    query: Arc<JsonQuery>,
    spots: Vec<Spot>,
    frames: [Frame; Pointer::MAX_TOKENS],
    depth: usize,
    /// The node of the value that comes next or is being read, if it has one.
    here: Option<usize>,
}

/// What is known about one node of the query.
#[derive(Clone, Debug, Default)]
struct Spot {
    /// Its name has come. This is never taken back: a node's object can only open again where the last duplicate counts,
    /// and there a name that has come in an earlier one replaces nothing that is held.
    is_seen: bool,
    held: Held,
}

#[derive(Clone, Debug, Default)]
enum Held {
    #[default]
    Missing,
    Found(Box<str>),
    Unusable(Reason),
}

/// A live container.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    node: usize,
    /// The current element's index, in an array.
    index: u64,
}

impl Path {
    pub(super) fn new(query: Arc<JsonQuery>) -> Self {
        let spots = vec![Spot::default(); query.nodes()];
        // A live container is reached by fewer tokens than its longest pointer has.
        let frames = [Frame::default(); Pointer::MAX_TOKENS];
        Self { query, spots, frames, depth: 0, here: Some(JsonQuery::ROOT) }
    }

    pub(super) fn query(&self) -> &JsonQuery {
        &self.query
    }

    /// How many containers are live.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the value that comes next has a node: with none, it is only validated.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.here.is_some()
    }

    /// A scalar begins: whether a pointer ends at it.
    pub(super) fn is_wanted(&self) -> bool {
        self.here.and_then(|here| self.query.node(here)).is_some_and(|node| node.is_end)
    }

    /// The scalar is complete.
    pub(super) fn hold(&mut self, key: Result<&str, Reason>) {
        let Some(spot) = self.here.take().and_then(|here| self.spots.get_mut(here)) else { return };
        spot.held = match key {
            Ok(key) => Held::Found(key.into()),
            Err(reason) => Held::Unusable(reason),
        };
    }

    /// A scalar that no pointer ends at is complete.
    pub(super) fn pass(&mut self) {
        self.here = None;
    }

    /// A container opens in the place that `here` says.
    pub(super) fn open(&mut self, container: Container) {
        let Some(here) = self.here else { return };
        if self.is_wanted() {
            self.hold(Err(match container {
                Container::Object => Reason::KeyObject,
                Container::Array => Reason::KeyArray,
            }));
        }
        self.here = None;
        let Some(node) = self.query.node(here) else { return };
        let is_live = match container {
            Container::Object => !node.children.is_empty(),
            Container::Array => node.has_elements(),
        };
        if !is_live {
            return;
        }
        let Some(frame) = self.frames.get_mut(self.depth) else { return };
        *frame = Frame { node: here, index: 0 };
        self.depth += 1;
        if container == Container::Array {
            self.here = node.element(0);
        }
    }

    /// The innermost live container closes.
    pub(super) fn close(&mut self) {
        self.here = None;
        self.depth = self.depth.saturating_sub(1);
    }

    /// The next element of the innermost live array follows.
    pub(super) fn next_element(&mut self) {
        let Some(frame) = self.depth.checked_sub(1).and_then(|top| self.frames.get_mut(top)) else { return };
        frame.index = frame.index.saturating_add(1);
        self.here = self.query.node(frame.node).and_then(|node| node.element(frame.index));
    }

    /// A member of the innermost live object follows; `name` is unescaped.
    pub(super) fn member(&mut self, name: &[u8]) {
        self.here = None;
        let Some(child) = self.top().and_then(|node| node.child(name)) else { return self.lookalike(name) };
        let Some(spot) = self.spots.get_mut(child) else { return };
        let is_duplicate = std::mem::replace(&mut spot.is_seen, true);
        match (is_duplicate, self.query.duplicates) {
            (false, _) => self.here = Some(child),
            // The first one counts, with all that it lacks.
            (true, Duplicates::First) => {}
            (true, Duplicates::Reject) => self.conflict(child, Reason::KeyDuplicated),
            (true, Duplicates::Last) => {
                self.replace_below(child, &Held::Missing);
                self.here = Some(child);
            }
        }
    }

    /// A member whose name is none that is looked for, and to parsers that fold case (Go's `encoding/json`, .NET's) may be
    /// one all the same: whatever it is and wherever it stands, they would read another document.
    #[inline]
    fn lookalike(&mut self, name: &[u8]) {
        if self.query.duplicates != Duplicates::Reject {
            return;
        }
        let Some(child) = self.top().and_then(|node| node.lookalike(name)) else { return };
        if let Some(spot) = self.spots.get_mut(child) {
            spot.is_seen = true;
        }
        self.conflict(child, Reason::KeyAmbiguous);
    }

    /// A node, and with it all below it, is ambiguous, for good. The first conflict is the one that is told.
    fn conflict(&mut self, node: usize, reason: Reason) {
        let held = self.spots.get(node).map(|spot| &spot.held);
        if !matches!(held, Some(Held::Unusable(reason)) if reason.is_conflict()) {
            self.replace_below(node, &Held::Unusable(reason));
        }
    }

    /// What the `index`th pointer has found.
    pub(super) fn candidate(&self, index: usize) -> Candidate<'_> {
        match self.query.end(index).and_then(|node| self.spots.get(node)).map(|spot| &spot.held) {
            Some(Held::Found(key)) => Candidate::Found(key),
            Some(Held::Unusable(reason)) => Candidate::Unusable(*reason),
            Some(Held::Missing) | None => Candidate::Missing,
        }
    }

    fn top(&self) -> Option<&Node> {
        let frame = self.frames.get(self.depth.checked_sub(1)?)?;
        self.query.node(frame.node)
    }

    /// Forgets what a node and everything below it held.
    fn replace_below(&mut self, node: usize, held: &Held) {
        for below in self.query.node(node).map(|node| node.subtree.as_slice()).unwrap_or_default() {
            if let Some(spot) = self.spots.get_mut(*below) {
                spot.held = held.clone();
            }
        }
    }
}
