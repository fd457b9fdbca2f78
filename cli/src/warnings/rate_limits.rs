//! Warnings of rate limits that can never apply, that contradict each other, or that leave requests out.

use std::net::IpAddr;

use cellgate_limiting::{Enforcement, Limit};
use cellgate_routing::source::Source;
use cellgate_routing::{Case, CellId, Config, CostRule, LimitKeyPart, PolicyAction, RateLimit, Reason, Scope};

use super::{leases, settlements};

/// The warnings about all limits, in their order.
pub(super) fn of_rate_limits(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.shadow && !config.rate_limits.is_empty() {
        warnings.push("rate_limits: `shadow: true` counts no request, so no limit applies".to_owned());
    }
    let reachable = Reachable::of(config);
    for (index, limit) in config.rate_limits.iter().enumerate() {
        let path = format!("rate_limits[{index}]");
        for (source_path, source) in sources(limit) {
            warnings.extend(super::of_place(&format!("{path}.{source_path}"), &source.place, "counts"));
        }
        warnings.extend(without_limit(&path, limit));
        warnings.extend(of_plans(&path, limit));
        warnings.extend(of_keys(&path, limit, config));
        warnings.extend(of_addresses(&path, limit));
        warnings.extend(of_scope(&path, &limit.scope, config));
        warnings.extend(reachable.warnings(&path, &limit.cells));
        warnings.extend(of_cost(&path, limit));
        warnings.extend(settlements::of_settlement(&path, limit, config));
        warnings.extend(never_reached(&path, index, limit, config));
        warnings.extend(leases::of_lease(&path, index, limit, config));
    }
    warnings
}

/// The warnings about all concurrency limits, in their order.
pub(super) fn of_concurrency_limits(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.shadow && !config.concurrency_limits.is_empty() {
        warnings.push("concurrency_limits: `shadow: true` counts no request, so no limit applies".to_owned());
    }
    let reachable = Reachable::of(config);
    for (index, limit) in config.concurrency_limits.iter().enumerate() {
        let path = format!("concurrency_limits[{index}]");
        for (source_path, source) in key_sources(&limit.key) {
            warnings.extend(super::of_place(&format!("{path}.{source_path}"), &source.place, "counts"));
        }
        warnings.extend(of_scope(&path, &limit.scope, config));
        warnings.extend(reachable.warnings(&path, &limit.cells));
    }
    warnings
}

/// The values that a limit reads, each with its path. They do not include claims that hold a plan or a limit.
pub(super) fn sources(limit: &RateLimit) -> impl Iterator<Item = (String, &Source)> {
    let in_cost = match &limit.cost {
        CostRule::Number { source, .. } => Some(("cost".to_owned(), source)),
        CostRule::Fixed(_) | CostRule::ContentLength { .. } => None,
    };
    key_sources(&limit.key).chain(in_cost)
}

/// The values of a key, each with its path.
pub(super) fn key_sources(key: &[LimitKeyPart]) -> impl Iterator<Item = (String, &Source)> {
    key.iter().enumerate().filter_map(|(index, part)| match part {
        LimitKeyPart::Value { source, .. } => Some((format!("key[{index}]"), source)),
        _ => None,
    })
}

/// A limit that some requests do not have.
fn without_limit(path: &str, limit: &RateLimit) -> Option<String> {
    let others = match (&limit.limit_from, &limit.plan_from) {
        _ if limit.plans.default_limit().is_some() => return None,
        (Some(_), _) => "requests whose claim holds no limit",
        (None, Some(_)) => "requests whose claim names no plan of this limit",
        (None, None) => "requests with a key that has no plan and no override",
    };
    Some(format!("{path}: {others} are not counted: add `limit` if they should be"))
}

fn of_plans(path: &str, limit: &RateLimit) -> Vec<String> {
    let mut warnings = Vec::new();
    if limit.plan_from.is_none() {
        warnings.extend(limit.plans.unassigned().map(|plan| {
            format!("{path}.plans: no key has the plan \"{plan}\": add it to `plan_of`, add `plan_from`, or remove it")
        }));
    }
    let mut own: Vec<_> = limit.plans.listed().filter(|(_, is_own)| *is_own).map(|(key, _)| key).collect();
    own.sort_unstable();
    let planned = limit.plans.listed().filter(|(_, is_own)| !is_own).map(|(key, _)| key);
    let mut twice = planned.filter(|key| own.binary_search(key).is_ok());
    if let Some(key) = twice.next() {
        let more = super::and_more(twice.count());
        warnings.push(format!(
            "{path}.plan_of: \"{key}\" is in `overrides` too, which comes first: remove one of them{more}"
        ));
    }
    warnings
}

/// Keys that match no request, because every key is in lower case.
fn of_keys(path: &str, limit: &RateLimit, config: &Config) -> Option<String> {
    let is_lower = |source: &Source| source.rule.case == Case::Lower;
    let all_lower = match limit.key.as_slice() {
        [LimitKeyPart::RoutingKey] => config.sources.iter().all(is_lower),
        [LimitKeyPart::Value { source, otherwise }] => is_lower(source) && otherwise.is_none(),
        _ => false,
    };
    let has_upper = |key: &&str| all_lower && key.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut upper = limit.plans.listed().filter(|(key, _)| has_upper(key));
    let (key, is_own) = upper.next()?;
    let table = if is_own { "overrides" } else { "plan_of" };
    let more = super::and_more(upper.count());
    let lower = key.to_ascii_lowercase();
    Some(format!(
        "{path}.{table}: \"{key}\" matches no key, because the key has `case: lower`: write \"{lower}\"{more}"
    ))
}

/// Keys that are no client's address, in the one form in which addresses are compared. A path is that of a socket.
fn of_addresses(path: &str, limit: &RateLimit) -> Vec<String> {
    let warning = |(key, is_own): (&str, bool)| {
        let table = if is_own { "overrides" } else { "plan_of" };
        let remedy = match key.parse::<IpAddr>() {
            Ok(address) if address.to_string() == key => return None,
            Err(_) if key.starts_with('/') => return None,
            Ok(address) => format!("write \"{address}\""),
            Err(_) => "write an IP address without a port, such as \"192.0.2.1\" or \"2001:db8::1\"".to_owned(),
        };
        Some(format!("{path}.{table}: \"{key}\" matches no client, because addresses are compared as text: {remedy}"))
    };
    let is_address = limit.key == [LimitKeyPart::ClientAddress];
    limit.plans.listed().filter(|_| is_address).filter_map(warning).collect()
}

/// A scope that has no request in common with that of the configuration. Hosts are not compared.
fn of_scope(path: &str, own: &Scope, config: &Config) -> Vec<String> {
    let all = &config.scope;
    let overlap = |own: &[Box<str>], all: &[Box<str>], fits: fn(&str, &str) -> bool| {
        own.is_empty() || all.is_empty() || own.iter().any(|own| all.iter().any(|all| fits(own, all)))
    };
    let is_method = |own: &str, all: &str| own == all;
    let is_path = |own: &str, all: &str| own.starts_with(all) || all.starts_with(own);
    let fields = [
        ("methods", overlap(&own.methods, &all.methods, is_method)),
        ("paths", overlap(&own.paths, &all.paths, is_path)),
    ];
    let outside = fields.into_iter().filter(|(_, overlap)| !overlap);
    outside
        .map(|(field, _)| {
            format!(
                "{path}.applies_to.{field}: all are outside `applies_to.{field}` of the configuration, so this limit counts no \
                 request: correct one of the lists"
            )
        })
        .collect()
}

/// The cells that requests can go to.
struct Reachable<'c> {
    config: &'c Config,
    /// In ascending order.
    cells: Vec<CellId>,
    /// Whether slots place keys.
    by_slot: bool,
}

impl<'c> Reachable<'c> {
    fn of(config: &'c Config) -> Self {
        // No key and no prefix has a control character, so this one goes where keys go that no table names.
        const UNNAMED: &str = "\u{0}";
        let placement = &config.placement;
        let place = |key: &str| placement.place(key);
        let answers = || Reason::ALL.iter().map(|reason| config.policy.answer(*reason));
        let unnamed = place(UNNAMED);
        let by_slot =
            matches!(unnamed, Some((_, Reason::Slot))) || answers().any(|answer| answer == PolicyAction::Hash);
        let mut cells: Vec<CellId> = unnamed.map(|(cell, _)| cell).into_iter().collect();
        if by_slot {
            cells.extend(placement.slots().owners());
        }
        cells.extend(answers().filter_map(|answer| match answer {
            PolicyAction::Use(cell) => Some(cell),
            _ => None,
        }));
        for (table, keys) in placement.tables() {
            let suffix = if table == "prefixes" { UNNAMED } else { "" };
            cells.extend(keys.iter().filter_map(|key| place(&format!("{key}{suffix}")).map(|(cell, _)| cell)));
        }
        cells.sort_unstable();
        cells.dedup();
        Self { config, cells, by_slot }
    }

    /// The listed cells that no request goes to, or that are drained.
    fn warnings(&self, path: &str, cells: &[CellId]) -> Vec<String> {
        let owners = self.config.placement.slots().owners();
        let is_drained = |cell: &CellId| self.by_slot && !owners.contains(cell);
        let warning = |(index, cell): (usize, &CellId)| {
            let why = if self.cells.binary_search(cell).is_err() {
                "no key and no policy sends a request there, so this limit counts none: remove the cell from the list"
            } else if is_drained(cell) {
                "the cell is drained, so this limit counts only what overrides, exact keys, prefixes or the policy send \
                 there: remove the cell from the list once it is empty"
            } else {
                return None;
            };
            Some(format!("{path}.applies_to.cells[{index}]: \"{}\": {why}", self.config.cell_name(*cell)))
        };
        cells.iter().enumerate().filter_map(warning).collect()
    }
}

/// Requests whose cost is over a burst, which are never admitted. A fixed cost like that is refused.
fn of_cost(path: &str, limit: &RateLimit) -> Option<String> {
    let (otherwise, what) = match &limit.cost {
        CostRule::Fixed(_) => return None,
        CostRule::ContentLength { otherwise, .. } => (*otherwise, "with a body of unknown length"),
        CostRule::Number { otherwise, .. } => (*otherwise, "without a number"),
    };
    let carried = limit.limit_from.as_ref().map(|carried| carried.at_most);
    let smallest = limit.plans.limits().chain(carried).map(Limit::burst).min()?;
    (otherwise > u64::from(smallest)).then(|| {
        format!(
            "{path}.cost.otherwise: a request {what} costs {otherwise} units and the smallest burst of this limit is {smallest}, \
             so it is never admitted there: lower `otherwise`, or raise the burst"
        )
    })
}

/// A limit that never refuses, because another one with the same key and requests refuses first.
fn never_reached(path: &str, index: usize, limit: &RateLimit, config: &Config) -> Option<String> {
    let only_limit = |limit: &RateLimit| {
        let is_only = limit.limit_from.is_none() && limit.plans.limits().count() == 1;
        limit.plans.default_limit().filter(|_| is_only)
    };
    let own = only_limit(limit)?;
    let is_same = |other: &RateLimit| {
        (&other.key, &other.scope, &other.cost, &other.settlement)
            == (&limit.key, &limit.scope, &limit.cost, &limit.settlement)
            && same_cells(&other.cells, &limit.cells)
            && (other.enforcement, other.when_store_fails) == (Enforcement::Enforce, limit.when_store_fails)
    };
    let refuses_first = |(other_index, other): &(usize, &RateLimit)| {
        let is_lower = only_limit(other).is_some_and(|lower| {
            let is_higher = lower.rate().exceeds(own.rate()) || lower.burst() > own.burst();
            let is_equal = !own.rate().exceeds(lower.rate()) && lower.burst() == own.burst();
            // Of two equal limits, the second is superfluous.
            !is_higher && (!is_equal || *other_index < index)
        });
        *other_index != index && is_lower && is_same(other)
    };
    let (other, first) = config.rate_limits.iter().enumerate().find(refuses_first)?;
    Some(format!(
        "{path}: this limit is never reached, because `rate_limits[{other}]` (\"{}\") has the same key and requests, and its rate \
         and burst are not higher: remove one of them, or lower this one",
        first.name
    ))
}

fn same_cells(one: &[CellId], other: &[CellId]) -> bool {
    one.len() == other.len() && one.iter().all(|cell| other.contains(cell))
}

#[cfg(test)]
mod tests;
