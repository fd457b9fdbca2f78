//! Which limits a configuration leases. A table, since a report can have 1,024 keys and a rule 100,000 limits.

use std::collections::HashSet;

use cellgate_limiting::{Limit, LimitId};
use cellgate_routing::{Config, RateLimit};

/// The limits of a configuration, in its order.
#[derive(Debug)]
pub(super) struct LeasedLimits {
    /// The fingerprint of the rate limits.
    pub(super) configuration: u64,
    rules: Vec<LeasedRule>,
}

#[derive(Debug)]
struct LeasedRule {
    name: Box<str>,
    is_leased: bool,
    /// All limits that the rule gives. Empty if it is not leased.
    limits: HashSet<Limit>,
    /// The highest limit that a request can carry.
    at_most: Option<Limit>,
}

impl LeasedLimits {
    pub(super) fn of(config: &Config) -> Self {
        let rules = config.rate_limits.iter().map(LeasedRule::of).collect();
        Self { configuration: config.rate_limits_fingerprint, rules }
    }

    /// Whether the rule at this place is leased and can give this limit. A filter that lies about the limit gets no grant.
    pub(super) fn has(&self, id: LimitId, limit: Limit) -> bool {
        self.rules.get(usize::from(id.0)).is_some_and(|rule| rule.can_give(limit))
    }

    /// The name of the limit at this place. `other` if there is none: its units are of an earlier configuration.
    pub(super) fn name(&self, id: LimitId) -> &str {
        self.rules.get(usize::from(id.0)).map_or("other", |rule| &*rule.name)
    }

    /// The names of the limits that are leased.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.is_leased).map(|rule| &*rule.name)
    }
}

impl LeasedRule {
    fn of(rule: &RateLimit) -> Self {
        let limits = if rule.is_leased { rule.plans.limits().collect() } else { HashSet::new() };
        let at_most = rule.limit_from.as_ref().map(|carried| carried.at_most);
        Self { name: rule.name.clone(), is_leased: rule.is_leased, limits, at_most }
    }

    fn can_give(&self, limit: Limit) -> bool {
        let is_carried = || self.at_most.is_some_and(|at_most| limit.at_most(at_most) == limit);
        self.is_leased && (self.limits.contains(&limit) || is_carried())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
routing_header: x-cell
cells: [a]
key: [{ header: x-tenant-id }]
placement: { default: a }
claims: { metadata_key: jwt }
sync: { cluster: service }
rate_limits:
  - { name: exact, key: [routing_key], limit: 10/s }
  - { name: leased, key: [routing_key], limit: 10/s, plans: { pro: 20/s }, plan_of: { acme: pro }, overrides: { globex: 30/s }, lease: true }
  - { name: carried, key: [routing_key], limit_from: { claim: /limit, at_most: 100/s;burst=50 }, lease: true }
"#;

    #[test]
    fn a_rule_leases_the_limits_that_it_can_give() {
        let config = cellgate_config::from_yaml(CONFIG, "test.yaml").unwrap();
        let limits = LeasedLimits::of(&config);
        for (id, limit, expected) in [
            (0, "10/s", false),
            (1, "10/s", true),
            (1, "20/s", true),
            (1, "30/s", true),
            (1, "40/s", false),
            (1, "10/s;burst=20", false),
            (2, "100/s;burst=50", true),
            (2, "1/h", true),
            (2, "100/s;burst=51", false),
            (2, "101/s;burst=50", false),
            (3, "10/s", false),
        ] {
            assert_eq!(limits.has(LimitId(id), limit.parse().unwrap()), expected, "{id} {limit}");
        }
        assert_eq!(limits.names().collect::<Vec<_>>(), ["leased", "carried"]);
        assert_eq!((limits.name(LimitId(0)), limits.name(LimitId(3))), ("exact", "other"));
    }
}
