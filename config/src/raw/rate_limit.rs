//! The rate limits as written.

mod cost;
mod key_part;
mod limit_scope;
mod provenance;
mod settle;

pub(in super::super) use cost::RawCost;
pub(in super::super) use key_part::{RawKeyPart, RawKeyWord};
pub(in super::super) use limit_scope::RawLimitScope;
pub(in super::super) use provenance::RawCarriedLimit;
use provenance::RawClaim;
pub(in super::super) use settle::{RawOnFailure, RawSettle};

use super::{RawField, RawTable};
use crate::tree::{FromNode, NodeReader};
#[cfg(feature = "schema")]
use cellgate_routing::MAX_KEY_PARTS;

/// A limit on how many requests with the same key are admitted in a time.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "RateLimit", deny_unknown_fields))]
pub(in super::super) struct RawRateLimit<'a> {
    /// A unique name, for metrics, response fields and logs. A change forgets what was used.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9_-]{1,64}$")))]
    pub(in super::super) name: RawField<&'a str>,
    /// The parts of the key. Requests with the same values share one allowance; without parts, all requests share one.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_KEY_PARTS)))]
    pub(in super::super) key: RawField<Vec<RawField<RawKeyPart<'a>>>>,
    /// The limit of every key that nothing else gives one, such as `100/min` or `100/min;burst=20`. By default such keys have
    /// no limit.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limit"))]
    pub(in super::super) limit: RawField<&'a str>,
    /// Limits that many keys have, by the name of the plan.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limits"))]
    pub(in super::super) plans: RawField<RawTable<'a, &'a str>>,
    /// The plans of keys: values of the only part of `key`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) plan_of: RawField<RawTable<'a, &'a str>>,
    /// The claim that names the plan of a request, if `plan_of` has none for its key.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) plan_from: RawField<RawClaim<'a>>,
    /// The limits of single keys: values of the only part of `key`. They come before plans.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::limits"))]
    pub(in super::super) overrides: RawField<RawTable<'a, &'a str>>,
    /// The claim that holds the limit of a request, and the limit that bounds it.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) limit_from: RawField<RawCarriedLimit<'a>>,
    /// The requests that this limit counts, of those that Cellgate decides. All by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) applies_to: RawField<RawLimitScope<'a>>,
    /// The units that a request uses. 1 by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) cost: RawField<RawCost<'a>>,
    /// The number in the response that replaces the cost. By default no response does.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in super::super) settle: RawField<RawSettle<'a>>,
    /// Measure, and never refuse.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<bool>::default_value"))]
    pub(in super::super) shadow: RawField<bool>,
    /// Let filters spend units that the service has charged for them in advance, so that most requests need no call. Needs
    /// `sync`.
    #[cfg_attr(feature = "schema", schemars(default = "RawField::<bool>::default_value"))]
    pub(in super::super) lease: RawField<bool>,
    /// The answer while the store of the limits fails.
    #[cfg_attr(feature = "schema", schemars(default, extend("default" = "local")))]
    pub(in super::super) when_store_fails: RawField<RawWhenStoreFails>,
}

/// The answer while the store of the limits fails.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "WhenStoreFails", rename_all = "snake_case"))]
pub(in super::super) enum RawWhenStoreFails {
    /// Admit, and do not count.
    Allow,
    /// Refuse with 503.
    Deny,
    /// Each instance of the service counts alone, by its share of the limit.
    Local,
}

impl<'a> FromNode<'a> for RawWhenStoreFails {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.variant(&["allow", "deny", "local"], 0, "`allow`, `deny` or `local`", &mut |index, _| {
            [Self::Allow, Self::Deny, Self::Local].get(index).copied()
        })
    }
}

read_fields!(RawRateLimit<'a> { "name" => name, "key" => key, "limit" => limit, "plans" => plans, "plan_of" => plan_of, "plan_from" => plan_from, "overrides" => overrides, "limit_from" => limit_from, "applies_to" => applies_to, "cost" => cost, "settle" => settle, "shadow" => shadow, "lease" => lease, "when_store_fails" => when_store_fails });

#[cfg(feature = "schema")]
pub(super) mod schema {
    use schemars::{Schema, SchemaGenerator, json_schema};

    /// A limit as text.
    pub(in super::super) fn limit(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+/[0-9]*(ms|s|second|min|minute|h|hour|d|day|week)(;burst=[0-9]+)?$",
            "maxLength": cellgate_limiting::MAX_LIMIT_TEXT,
        })
    }

    /// Limits by name.
    pub(in super::super) fn limits(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": limit(generator),
            "propertyNames": { "minLength": 1 },
        })
    }
}
