//! Fields whose value is one of a few names.

use cellgate_routing::source::EscapedSlashes;
use cellgate_routing::{Case, Duplicates};

use crate::tree::{FromNode, NodeReader};

/// The rule for a source that holds more than one value.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Duplicates", rename_all = "snake_case"))]
pub(in super::super) enum RawDuplicates {
    /// The reason is `key_duplicated`, even if the values are equal.
    #[default]
    Reject,
    /// The first value is the key.
    First,
    /// The last value is the key, as in most JSON parsers.
    Last,
}

/// The case of a key.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Case", rename_all = "snake_case"))]
pub(in super::super) enum RawCase {
    /// The case of the request.
    #[default]
    Exact,
    /// The ASCII letters of the key become lower case, so that `Acme` and `acme` are one key.
    Lower,
}

/// The meaning of an escaped slash or backslash (`%2F`, `%5C`) in a path.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "EscapedSlashes", rename_all = "snake_case"))]
pub(in super::super) enum RawEscapedSlashes {
    /// The reason is `key_malformed`, because servers differ on it.
    Reject,
    /// It is a character of its segment: for upstreams that split the path before they decode it.
    Keep,
}

impl<'a> FromNode<'a> for RawDuplicates {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let names = ["reject", "first", "last"];
        node.variant(&names, 0, "`reject`, `first` or `last`", &mut |index, _| {
            [Self::Reject, Self::First, Self::Last].get(index).copied()
        })
    }
}

impl<'a> FromNode<'a> for RawCase {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.variant(&["exact", "lower"], 0, "`exact` or `lower`", &mut |index, _| {
            [Self::Exact, Self::Lower].get(index).copied()
        })
    }
}

impl<'a> FromNode<'a> for RawEscapedSlashes {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.variant(&["reject", "keep"], 0, "`reject` or `keep`", &mut |index, _| {
            [Self::Reject, Self::Keep].get(index).copied()
        })
    }
}

impl From<RawDuplicates> for Duplicates {
    fn from(raw: RawDuplicates) -> Self {
        match raw {
            RawDuplicates::Reject => Self::Reject,
            RawDuplicates::First => Self::First,
            RawDuplicates::Last => Self::Last,
        }
    }
}

impl From<RawCase> for Case {
    fn from(raw: RawCase) -> Self {
        match raw {
            RawCase::Exact => Self::Exact,
            RawCase::Lower => Self::Lower,
        }
    }
}

impl From<RawEscapedSlashes> for EscapedSlashes {
    fn from(raw: RawEscapedSlashes) -> Self {
        match raw {
            RawEscapedSlashes::Reject => Self::Reject,
            RawEscapedSlashes::Keep => Self::Keep,
        }
    }
}
