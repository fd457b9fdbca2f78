//! The position in the document in terms of the query's pointers.

mod binary;

use std::sync::Arc;

use super::Container;
use super::loose_name::LooseName;
use super::query::{DocumentQuery, QueryNode};
use super::text::CappedText;
use super::values::{LiveContainer, QueryValues};
use crate::body::Candidate;
use crate::key::{Duplicates, StoredKey};
use crate::reason::Reason;
use crate::value::{KeyRule, ValueReader};

/// Follows the pointers through a document. A scanner reports what it reads, in the document's order:
///
/// - A value that has no node ([`QueryPath::has_node`]) is not reported, nor is anything in it.
/// - A container with a node: [`QueryPath::open`]. If this increases [`QueryPath::depth`], the container is *live*:
///   [`QueryPath::member`] comes before each of its members, [`QueryPath::next_element`] before each of its elements but
///   the first, and [`QueryPath::close`] at its end. A container that is not live is only validated. A name may come in
///   pieces ([`QueryPath::begin_name`]). A member without a name that a pointer can have: [`QueryPath::leave_value`].
/// - A text with a node: [`QueryPath::text`], or [`QueryPath::begin_text`], [`QueryPath::push_text`] and
///   [`QueryPath::end_text`].
/// - Another scalar with a node: [`QueryPath::integer`] or [`QueryPath::unusable`]. If the value is not wanted
///   ([`QueryPath::is_wanted`]), [`QueryPath::leave_value`] is enough.
///
/// A container is live if its parent is live and a pointer goes on below it. The live containers are therefore the
/// outermost ones, and their number shows whether the innermost open container is live.
#[derive(Debug)]
pub(crate) struct QueryPath {
    query: Arc<DocumentQuery>,
    values: QueryValues,
    /// How many containers are live.
    depth: usize,
    /// The node of the innermost live container, if there is one.
    innermost: usize,
    /// The node of the value that comes next or is being read, if it has one.
    here: Option<usize>,
    /// A text or a name that comes in pieces.
    text: CappedText,
    /// Why the text that comes in pieces cannot be read.
    fault: Option<Reason>,
    /// The readers of the documents inside the text: one for each end at its node whose rule needs one.
    readers: Option<Box<[ValueReader]>>,
    /// Whether the text is a byte string: no key, but it may hold a document.
    is_bytes: bool,
}

impl QueryPath {
    pub(crate) fn new(query: Arc<DocumentQuery>) -> Self {
        Self {
            values: QueryValues::new(&query),
            depth: 0,
            innermost: DocumentQuery::ROOT,
            here: Some(DocumentQuery::ROOT),
            text: CappedText::default(),
            fault: None,
            readers: None,
            is_bytes: false,
            query,
        }
    }

    /// How many containers are live.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the value that comes next has a node. Without one, it is only validated.
    #[inline]
    pub(crate) fn has_node(&self) -> bool {
        self.here.is_some()
    }

    /// Whether a source's value comes next, or one that a condition depends on.
    pub(crate) fn is_wanted(&self) -> bool {
        self.here.and_then(|here| self.query.node(here)).is_some_and(QueryNode::is_wanted)
    }

    /// A scalar that is not wanted is complete.
    pub(crate) fn leave_value(&mut self) {
        self.here = None;
    }

    /// A text is complete, and comes in one piece, decoded.
    pub(crate) fn text(&mut self, text: &[u8]) {
        let Some(node) = self.here.take().and_then(|here| self.query.node(here)) else { return };
        self.values.store(&self.query, node, |rule| rule.read(text).into());
        if !node.conditions.is_empty() && self.is_member() {
            self.values.check(&self.query, node, Some(Ok(text)));
        }
    }

    /// An integer is complete. `digits` are its decimal digits.
    pub(crate) fn integer(&mut self, digits: &str) {
        let Some(node) = self.here.take().and_then(|here| self.query.node(here)) else { return };
        self.values.store(&self.query, node, |rule| rule.read(digits.as_bytes()).into());
        self.values.check(&self.query, node, None);
    }

    /// A scalar that cannot be a key is complete.
    pub(crate) fn unusable(&mut self, reason: Reason) {
        let Some(node) = self.here.take().and_then(|here| self.query.node(here)) else { return };
        self.values.store(&self.query, node, |_| StoredKey::Unusable(reason));
        self.values.check(&self.query, node, None);
    }

    /// A text comes in pieces.
    pub(crate) fn begin_text(&mut self) {
        let Some(node) = self.here.and_then(|here| self.query.node(here)) else { return };
        self.fault = None;
        self.is_bytes = false;
        self.text.restart(node.text_bytes, self.query.text_bytes);
        self.readers = None;
        let rules = || node.ends.iter().filter_map(|end| self.query.ends.get(*end)).map(|end| &end.rule);
        if rules().any(KeyRule::is_nested) {
            self.readers = Some(rules().filter(|rule| rule.is_nested()).map(KeyRule::reader).collect());
        }
    }

    /// The next piece of the text or name, decoded.
    pub(crate) fn push_text(&mut self, piece: &[u8]) {
        self.text.push_bytes(piece);
        for reader in self.readers.iter_mut().flatten() {
            reader.push(piece);
        }
    }

    /// The text that comes in pieces has no meaning that all parsers agree on.
    pub(crate) fn spoil_text(&mut self, reason: Reason) {
        self.fault = self.fault.or(Some(reason));
    }

    /// The text that comes in pieces is complete.
    pub(crate) fn end_text(&mut self) {
        let mut readers = self.readers.take().into_iter().flatten();
        let Some(node) = self.here.take().and_then(|here| self.query.node(here)) else { return };
        let text = self.fault.map_or(Ok(self.text.bytes()), Err);
        let is_bytes = self.is_bytes;
        self.values.store(&self.query, node, |rule| {
            let nested = if rule.is_nested() { readers.next() } else { None };
            match (text, nested) {
                (Err(reason), _) => StoredKey::Unusable(reason),
                (Ok(_), Some(reader)) => reader.finish(rule).into(),
                (Ok(_), None) if is_bytes => StoredKey::Unusable(Reason::KeyMalformed),
                (Ok(text), None) => rule.read(text).into(),
            }
        });
        if !node.conditions.is_empty() && self.is_member() {
            self.values.check(&self.query, node, if is_bytes { None } else { Some(text) });
        }
    }

    /// The value that comes next opens a container.
    pub(crate) fn open(&mut self, container: Container) {
        let Some((here, node)) = self.here.take().and_then(|here| Some((here, self.query.node(here)?))) else { return };
        if node.is_wanted() {
            let reason = match container {
                Container::Object => Reason::KeyObject,
                Container::Array => Reason::KeyArray,
            };
            self.values.store(&self.query, node, |_| StoredKey::Unusable(reason));
            self.values.check(&self.query, node, None);
        }
        let (container, first) = match (container, node.each) {
            (Container::Object, _) if node.children.is_empty() => return,
            (Container::Object, _) => (LiveContainer::Object, None),
            (Container::Array, Some(each)) => (LiveContainer::Each(each), Some(each)),
            (Container::Array, None) if node.has_indices() => (LiveContainer::Indexed(0), node.element(0)),
            (Container::Array, None) => return,
        };
        self.values.set_live(here, container);
        self.innermost = here;
        self.depth += 1;
        self.here = first;
    }

    /// The innermost live container closes.
    pub(crate) fn close(&mut self) {
        self.here = None;
        self.depth = self.depth.saturating_sub(1);
        if let Some(LiveContainer::Each(each)) = self.values.live(self.innermost) {
            self.values.end_element(&self.query, each);
        }
        self.innermost = self.query.node(self.innermost).map_or(DocumentQuery::ROOT, |node| node.parent);
    }

    /// The next element of the innermost live array follows.
    pub(crate) fn next_element(&mut self) {
        match self.values.live(self.innermost) {
            None | Some(LiveContainer::Object) => {}
            Some(LiveContainer::Indexed(index)) => {
                let next = index.saturating_add(1);
                self.values.set_live(self.innermost, LiveContainer::Indexed(next));
                self.here = self.query.node(self.innermost).and_then(|node| node.element(next));
            }
            Some(LiveContainer::Each(each)) => {
                self.values.end_element(&self.query, each);
                self.here = Some(each);
            }
        }
    }

    /// A member of the innermost live object follows; `name` is unescaped.
    pub(crate) fn member(&mut self, name: &[u8]) {
        self.here = None;
        let Some(child) = self.query.node(self.innermost).and_then(|node| node.child(name)) else {
            return self.lookalike(name);
        };
        let is_duplicate = self.values.name(child);
        if self.query.has_twins && self.query.duplicates == Duplicates::Reject && self.meets_twin(child) {
            return;
        }
        match (is_duplicate, self.query.duplicates) {
            (false, _) => self.here = Some(child),
            // The first member counts, even if the pointer leads to nothing in it.
            (true, Duplicates::First) => {}
            (true, Duplicates::Reject) => self.values.conflict(&self.query, child, Reason::KeyDuplicated),
            (true, Duplicates::Last) => {
                self.values.forget(&self.query, child);
                self.here = Some(child);
            }
        }
    }

    /// The name of the next member of the innermost live object comes in pieces ([`QueryPath::push_text`]).
    pub(crate) fn begin_name(&mut self) {
        self.here = None;
        self.text.restart(self.query.name_bytes, self.query.text_bytes);
    }

    /// The name that comes in pieces is complete: the member follows.
    pub(crate) fn end_name(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.member(text.bytes());
        self.text = text;
    }

    /// A member's name is not one that a pointer has. To loose parsers ([`LooseName`]) it may be the same, and they would
    /// read another document: the key is then ambiguous.
    #[inline]
    fn lookalike(&mut self, name: &[u8]) {
        if self.query.duplicates != Duplicates::Reject {
            return;
        }
        let name = LooseName::new(name, self.query.name_bytes);
        if let Some(child) = self.query.node(self.innermost).and_then(|node| node.lookalike(name)) {
            self.values.conflict(&self.query, child, Reason::KeyAmbiguous);
        }
    }

    /// A member has come. If one that a parser may take for it came before, both are ambiguous.
    #[cold]
    fn meets_twin(&mut self, child: usize) -> bool {
        let Some(node) = self.query.node(child) else { return false };
        let mut meets = false;
        for twin in &node.twins {
            if self.values.is_named(*twin) {
                self.values.conflict(&self.query, *twin, Reason::KeyAmbiguous);
                meets = true;
            }
        }
        if meets {
            self.values.conflict(&self.query, child, Reason::KeyAmbiguous);
        }
        meets
    }

    /// A record has ended, and another document may follow.
    pub(crate) fn end_record(&mut self) {
        self.values.end_element(&self.query, DocumentQuery::ROOT);
        self.depth = 0;
        self.here = Some(DocumentQuery::ROOT);
    }

    /// The value of the `index`th pointer so far.
    pub(crate) fn candidate(&self, index: usize) -> Candidate<'_> {
        self.values.candidate(&self.query, index)
    }

    /// Whether the value of the `index`th pointer can change only to a conflict.
    pub(crate) fn is_settled(&self, index: usize) -> bool {
        self.query.duplicates != Duplicates::Last && self.candidate(index) != Candidate::Missing
    }

    /// Whether the value that comes next is a member of an object. Only such a value can meet a condition: a selector's
    /// name may look like an index.
    fn is_member(&self) -> bool {
        self.depth > 0 && matches!(self.values.live(self.innermost), Some(LiveContainer::Object))
    }
}
