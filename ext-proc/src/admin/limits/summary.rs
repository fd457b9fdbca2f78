//! A limit as `/limits` shows it.

use std::collections::BTreeMap;

use cellgate_limiting::{Enforcement, Limit, WhenStoreFails};
use cellgate_routing::{RateLimit, source::Source};

use crate::limits::LimitSummary;

/// The summary of a limit. It has no key of `plan_of` and `overrides`. `outstanding` has the leased units by limit.
pub(super) fn of(limit: &RateLimit, outstanding: &BTreeMap<String, u64>) -> LimitSummary {
    let count = |is_own: bool| limit.plans.listed().filter(|(_, own)| *own == is_own).count() as u64;
    LimitSummary {
        name: limit.name.to_string(),
        key: limit.key.iter().map(ToString::to_string).collect(),
        limit: limit.plans.default_limit().as_ref().map(Limit::to_string),
        plans: limit.plans.plans().map(|(name, limit)| (name.to_owned(), limit.to_string())).collect(),
        keys_with_plan: count(false),
        overrides: count(true),
        plan_from: limit.plan_from.as_ref().map(Source::to_string),
        limit_from: limit.limit_from.as_ref().map(|carried| carried.source.to_string()),
        at_most: limit.limit_from.as_ref().map(|carried| carried.at_most.to_string()),
        cost: limit.cost.to_string(),
        shadow: limit.enforcement == Enforcement::Shadow,
        when_store_fails: match limit.when_store_fails {
            WhenStoreFails::Allow => "allow",
            WhenStoreFails::Deny => "deny",
            WhenStoreFails::Local => "local",
        }
        .to_owned(),
        outstanding: limit.is_leased.then(|| outstanding.get(&*limit.name).copied().unwrap_or(0)),
    }
}
