//! The rate limits of descriptors as written.

use super::rate_limit::RawWhenStoreFails;
#[cfg(feature = "schema")]
use super::rate_limit::schema;
use super::{RawField, RawTable};
#[cfg(feature = "schema")]
use crate::bounds::MAX_DESCRIPTOR_TEXT;
use crate::tree::{FromNode, NodeReader};
#[cfg(feature = "schema")]
use cellgate_routing::MAX_KEY_PARTS;

/// A limit on how many calls of Envoy's `RateLimitService` with the same descriptor are admitted in a time.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DescriptorLimit", deny_unknown_fields))]
pub(in super::super) struct RawDescriptorLimit<'a> {
    /// A unique name, also among `rate_limits`, for metrics and response fields. A change forgets what was used.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9_-]{1,64}$")))]
    pub(in super::super) name: RawField<&'a str>,
    /// The domain of the calls: `domain` of Envoy's filter.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_DESCRIPTOR_TEXT)))]
    pub(in super::super) domain: RawField<&'a str>,
    /// All entries of the descriptor in their order. Descriptors with the same values share one allowance.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_KEY_PARTS)))]
    pub(in super::super) descriptor: RawField<Vec<RawField<RawDescriptorPart<'a>>>>,
    /// The limit of every descriptor that nothing else gives one, such as `100/min` or `100/min;burst=20`. By default such
    /// descriptors have no limit.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limit"))]
    pub(in super::super) limit: RawField<&'a str>,
    /// Limits that many values have, by the name of the plan.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limits"))]
    pub(in super::super) plans: RawField<RawTable<'a, &'a str>>,
    /// The plans of values of the only entry.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) plan_of: RawField<RawTable<'a, &'a str>>,
    /// The limits of single values of the only entry. They come before plans.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limits"))]
    pub(in super::super) overrides: RawField<RawTable<'a, &'a str>>,
    /// The highest rate and burst of a limit that the descriptor carries (Envoy's limit override). By default such limits are
    /// ignored.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limit"))]
    pub(in super::super) override_at_most: RawField<&'a str>,
    /// Admit or refuse every such descriptor, and count none.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) always: RawField<RawAlways>,
    /// Measure, and never refuse.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<bool>::default_value"))]
    pub(in super::super) shadow: RawField<bool>,
    /// The answer while the store of the limits fails.
    #[cfg_attr(feature = "schema", schemars(default, extend("default" = "local")))]
    pub(in super::super) when_store_fails: RawField<RawWhenStoreFails>,
}

/// An entry of a descriptor.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DescriptorEntry", deny_unknown_fields))]
pub(in super::super) struct RawDescriptorPart<'a> {
    /// The key of the entry.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_DESCRIPTOR_TEXT)))]
    pub(in super::super) key: RawField<&'a str>,
    /// Only this value, or the values with the prefix before a final `*`. By default every value.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1, max = MAX_DESCRIPTOR_TEXT)))]
    pub(in super::super) value: RawField<&'a str>,
    /// Whether all values with the prefix share one allowance. By default each has its own.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<bool>::default_value"))]
    pub(in super::super) shared: RawField<bool>,
}

/// The answer to every descriptor.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Always", rename_all = "snake_case"))]
pub(in super::super) enum RawAlways {
    /// Admit.
    Allow,
    /// Refuse.
    Deny,
}

impl<'a> FromNode<'a> for RawAlways {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.variant(&["allow", "deny"], 0, "`allow` or `deny`", &mut |index, _| {
            [Self::Allow, Self::Deny].get(index).copied()
        })
    }
}

read_fields!(RawDescriptorLimit<'a> { "name" => name, "domain" => domain, "descriptor" => descriptor, "limit" => limit, "plans" => plans, "plan_of" => plan_of, "overrides" => overrides, "override_at_most" => override_at_most, "always" => always, "shadow" => shadow, "when_store_fails" => when_store_fails });
read_fields!(RawDescriptorPart<'a> { "key" => key, "value" => value, "shared" => shared });
