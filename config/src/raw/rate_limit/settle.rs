//! The settlement of a cost by the response, as written.

use cellgate_limiting::MAX_UNITS;

use super::super::RawField;
#[cfg(feature = "schema")]
use crate::header_name::MAX_NAME;
use crate::number::Int;
#[cfg(feature = "schema")]
use crate::raw::TOKEN;
#[cfg(feature = "schema")]
use crate::schema::one_of;
use crate::tree::{FromNode, NodeReader};

/// The number in the response that replaces `cost`, which is then the estimate that a request is charged at its admission.
#[derive(Debug, Default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Settle", deny_unknown_fields),
    schemars(extend("oneOf" = one_of(&["response_header", "response_trailer"])))
)]
pub(crate) struct RawSettle<'a> {
    /// A header of the response that holds the units.
    #[cfg_attr(feature = "schema", schemars(default, regex(pattern = TOKEN), length(max = MAX_NAME)))]
    pub(crate) response_header: RawField<&'a str>,
    /// A trailer of the response that holds the units.
    #[cfg_attr(feature = "schema", schemars(default, regex(pattern = TOKEN), length(max = MAX_NAME)))]
    pub(crate) response_trailer: RawField<&'a str>,
    /// The most units of a request. A higher number counts as this.
    pub(crate) at_most: RawField<Int<1, MAX_UNITS>>,
    /// The cost of a request whose response has a status of 5xx, or that has no response.
    #[cfg_attr(feature = "schema", schemars(default, extend("default" = "keep")))]
    pub(crate) on_failure: RawField<RawOnFailure>,
}

/// The cost of a request whose response has a status of 5xx, or that has no response.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "OnFailure", rename_all = "snake_case"))]
pub(crate) enum RawOnFailure {
    /// The estimate.
    Keep,
    /// Nothing.
    Release,
}

impl<'a> FromNode<'a> for RawOnFailure {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.variant(&["keep", "release"], 0, "`keep` or `release`", &mut |index, _| {
            [Self::Keep, Self::Release].get(index).copied()
        })
    }
}

read_fields!(RawSettle<'a> { "response_header" => response_header, "response_trailer" => response_trailer, "at_most" => at_most, "on_failure" => on_failure });
