//! What MessagePack and CBOR have besides the types of JSON: byte strings, and names that are not text.

use super::QueryPath;
use crate::key::Duplicates;
use crate::reason::Reason;

impl QueryPath {
    /// A byte string comes in pieces ([`QueryPath::push_text`], [`QueryPath::end_text`]). It may hold a document, and is
    /// no key itself.
    pub(crate) fn begin_bytes(&mut self) {
        self.begin_text();
        self.is_bytes = true;
    }

    /// The name that comes in pieces is complete, and is not text.
    pub(crate) fn end_other_name(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.other_name(text.bytes());
        self.text = text;
    }

    /// A member of the innermost live object follows whose name is not text. Some parsers make this text of it.
    pub(crate) fn other_name(&mut self, text: &[u8]) {
        self.here = None;
        self.lookalike(text);
    }

    /// A member of the innermost live object follows whose name is a number that parsers write in different ways.
    pub(crate) fn float_name(&mut self) {
        self.possible_names(may_be_float);
    }

    /// A member of the innermost live object follows that may have any name.
    pub(crate) fn unknown_name(&mut self) {
        self.possible_names(|_| true);
    }

    fn possible_names(&mut self, is_possible: impl Fn(&str) -> bool) {
        self.here = None;
        if self.query.duplicates != Duplicates::Reject {
            return;
        }
        let Some(node) = self.query.node(self.innermost) else { return };
        for child in node.children.iter().filter(|child| is_possible(&child.name)) {
            self.values.conflict(&self.query, child.node, Reason::KeyAmbiguous);
        }
    }
}

/// Whether a text may be that of a number which is no integer of 53 bits: `1.5`, `1e21`, `NaN`, `-Infinity`.
fn may_be_float(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+', '.']);
    let is_integer = text.len() < 16 && text.bytes().all(|byte| byte.is_ascii_digit());
    (text.starts_with(|first: char| first.is_ascii_digit()) && !is_integer)
        || ["nan", "inf", "infinity"].iter().any(|name| text.eq_ignore_ascii_case(name))
}
