//! The meaning of the tags: nesting, namespaces, and which values the sources see.

use std::sync::Arc;

use super::attributes::Attributes;
use super::characters::split_name;
use super::names::OpenNames;
use super::namespaces::Namespaces;
use super::query::ElementQuery;
use super::search::ElementSearch;
use super::syntax_fault::{SyntaxFault, malformed};
use crate::body::Candidate;
use crate::reason::Reason;

/// The open elements and the current tag.
///
/// Memory: the names of the open elements and of the current attributes, the declarations in scope, and the sources'
/// readers. Each has a limit.
#[derive(Debug)]
pub(super) struct Elements {
    depth_limit: usize,
    open: OpenNames,
    namespaces: Namespaces,
    search: ElementSearch,
    /// The name of the current start tag.
    name: String,
    attributes: Attributes,
    /// The prefix that the current attribute declares, and its namespace so far.
    declared: Option<(String, String)>,
}

impl Elements {
    pub(super) fn new(query: Arc<ElementQuery>) -> Self {
        Self {
            depth_limit: query.depth,
            open: OpenNames::default(),
            namespaces: Namespaces::default(),
            search: ElementSearch::new(query),
            name: String::new(),
            attributes: Attributes::default(),
            declared: None,
        }
    }

    /// Whether the document is before or behind its root element.
    pub(super) fn is_outside(&self) -> bool {
        self.open.len() == 0
    }

    /// The name of a start tag is complete.
    pub(super) fn begin_tag(&mut self, name: &str) -> Result<(), SyntaxFault> {
        if self.open.len() >= self.depth_limit {
            return Err(SyntaxFault { reason: Reason::BodyTooDeep, expected: "expected fewer levels of elements" });
        }
        if split_name(name).is_none() {
            return Err(BAD_COLON);
        }
        self.name.clear();
        self.name.push_str(name);
        self.attributes.clear();
        Ok(())
    }

    /// The name of an attribute is complete.
    pub(super) fn begin_attribute(&mut self, name: &str) -> Result<(), SyntaxFault> {
        let (prefix, local) = split_name(name).ok_or(BAD_COLON)?;
        self.attributes.add(name)?;
        self.declared = match (prefix, local) {
            ("", "xmlns") => Some((String::new(), String::new())),
            ("xmlns", _) => Some((local.to_owned(), String::new())),
            _ => None,
        };
        if self.declared.is_none() {
            self.search.begin_attribute(self.attributes.len().saturating_sub(1), local);
        }
        Ok(())
    }

    /// The next piece of the value of the current attribute.
    pub(super) fn push_attribute(&mut self, piece: &str) {
        match &mut self.declared {
            None => self.search.push_attribute(self.attributes.len().saturating_sub(1), piece),
            // One character more shows that the name is too long.
            Some((_, name)) => {
                piece.chars().for_each(|next| {
                    if name.len() <= Namespaces::MAX_NAME {
                        name.push(next)
                    }
                });
            }
        }
    }

    /// The value of the current attribute is complete.
    pub(super) fn end_attribute(&mut self) -> Result<(), SyntaxFault> {
        match self.declared.take() {
            Some((prefix, name)) => self.namespaces.declare(self.open.len() + 1, &prefix, &name),
            None => Ok(()),
        }
    }

    /// A start tag is complete.
    pub(super) fn end_tag(&mut self) -> Result<(), SyntaxFault> {
        let (prefix, local) = split_name(&self.name).ok_or(BAD_COLON)?;
        let namespace = self.namespaces.resolve(prefix)?;
        self.attributes.check(&self.namespaces)?;
        self.search.open(namespace, local, &self.attributes, &self.namespaces);
        self.open.push(&self.name);
        Ok(())
    }

    /// The next piece of character data.
    pub(super) fn push_text(&mut self, piece: &str) {
        self.search.push_text(piece);
    }

    /// A comment, a processing instruction, or the edge of a CDATA section comes.
    pub(super) fn interrupt_text(&mut self) {
        self.search.interrupt_text();
    }

    /// The name of an end tag is complete.
    pub(super) fn check_end(&self, name: &str) -> Result<(), SyntaxFault> {
        if self.open.last() == Some(name) { Ok(()) } else { Err(malformed("expected the end of the open element")) }
    }

    /// The innermost element ends.
    pub(super) fn close(&mut self) {
        self.search.close();
        self.namespaces.close(self.open.len());
        self.open.pop();
    }

    pub(super) fn candidate(&self, index: usize) -> Candidate<'_> {
        self.search.candidate(index)
    }
}

const BAD_COLON: SyntaxFault = malformed("expected at most one colon in a name, between two names");
