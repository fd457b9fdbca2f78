//! Warnings of leases that save no call.

use cellgate_limiting::Limit;
use cellgate_routing::{CellId, Config, CostRule, LimitKeyPart, RateLimit, Scope};

use super::rate_limits;

/// The smallest burst of which a filter ever gets a unit: it gets at most a quarter of what is left.
const SMALLEST_BURST: u32 = 4;

/// The warnings about one leased limit.
pub(super) fn of_lease(path: &str, index: usize, limit: &RateLimit, config: &Config) -> Vec<String> {
    if !limit.is_leased {
        return Vec::new();
    }
    let warnings = [of_burst(limit), of_body(limit), of_neighbours(index, limit, config)];
    warnings.into_iter().flatten().map(|warning| format!("{path}.lease: {warning}")).collect()
}

/// A service to lease from, and no limit that is leased.
pub(super) fn of_sync(config: &Config) -> Option<String> {
    let is_idle = config.sync.is_some() && !config.rate_limits.iter().any(|limit| limit.is_leased);
    is_idle.then(|| {
        "sync: no limit has `lease: true`, so filters lease nothing: add it to a limit, or remove `sync`".to_owned()
    })
}

/// Bursts that are too small for the cost of a request, or for any lease.
fn of_burst(limit: &RateLimit) -> Option<String> {
    let carried = limit.limit_from.as_ref().map(|carried| carried.at_most);
    let largest = limit.plans.limits().chain(carried).map(Limit::burst).max()?;
    let half = u64::from(largest / 2);
    match limit.cost {
        _ if largest < SMALLEST_BURST => Some(format!(
            "a filter gets at most a quarter of the units that are left, and the largest burst of this limit is {largest}, so \
             nothing is ever leased: remove `lease`, or raise the burst to {SMALLEST_BURST} at least"
        )),
        CostRule::Fixed(cost) if cost > half => Some(format!(
            "a request costs {cost} units, and at most half of a burst is leased, {half} units, so every request goes to the \
             service: remove `lease`, lower `cost`, or raise the burst to {} at least",
            cost.saturating_mul(2)
        )),
        _ => None,
    }
}

/// Values that only the service reads.
fn of_body(limit: &RateLimit) -> Option<String> {
    let in_body = rate_limits::sources(limit).filter(|(_, source)| source.format().is_some());
    let fields: Vec<_> = in_body.map(|(field, _)| format!("`{field}`")).collect();
    (!fields.is_empty()).then(|| {
        format!(
            "the service reads {} from the body, so no request with a body is admitted by a lease: remove `lease`, or read the \
             value from the head",
            fields.join(" and ")
        )
    })
}

/// Limits without leases that count every request of this one. No concurrency limit has leases.
fn of_neighbours(index: usize, limit: &RateLimit, config: &Config) -> Option<String> {
    let others = config.rate_limits.iter().enumerate();
    let judged = others.filter(|(other, rule)| {
        let has_limit = rule.plans.default_limit().is_some();
        *other != index && !rule.is_leased && has_limit && counts_all_of((&rule.key, &rule.scope, &rule.cells), limit)
    });
    let in_flight = config.concurrency_limits.iter().enumerate();
    let in_flight: Vec<_> =
        in_flight.filter(|(_, rule)| counts_all_of((&rule.key, &rule.scope, &rule.cells), limit)).collect();
    let has_concurrency = !in_flight.is_empty();
    let rates = judged.map(|(other, rule)| ("rate_limits", other, &rule.name));
    let all = rates.chain(in_flight.into_iter().map(|(other, rule)| ("concurrency_limits", other, &rule.name)));
    let names: Vec<_> = all.map(|(list, other, name)| format!("`{list}[{other}]` (\"{name}\")")).collect();
    let is_one = names.len() == 1;
    let verb = if is_one { "counts" } else { "count" };
    let remedy = match (has_concurrency, is_one) {
        (true, _) => "remove `lease` here",
        (false, true) => "lease it too, or remove `lease` here",
        (false, false) => "lease them too, or remove `lease` here",
    };
    (!names.is_empty()).then(|| {
        format!(
            "{} {verb} the same requests without a lease, so every request goes to the service: {remedy}",
            names.join(" and ")
        )
    })
}

/// Whether a limit with this key, scope and cells counts each request that another one counts.
fn counts_all_of((key, scope, cells): (&[LimitKeyPart], &Scope, &[CellId]), other: &RateLimit) -> bool {
    let is_present = |part: &LimitKeyPart| match part {
        LimitKeyPart::Method | LimitKeyPart::ClientAddress => true,
        LimitKeyPart::Path { otherwise: Some(_), .. } | LimitKeyPart::Value { otherwise: Some(_), .. } => true,
        // A request with a routing key goes to a cell.
        LimitKeyPart::Cell => {
            let has_cell = |part: &LimitKeyPart| matches!(part, LimitKeyPart::Cell | LimitKeyPart::RoutingKey);
            !other.cells.is_empty() || other.key.iter().any(has_cell)
        }
        LimitKeyPart::RoutingKey | LimitKeyPart::Peer | LimitKeyPart::Path { .. } | LimitKeyPart::Value { .. } => {
            other.key.contains(part)
        }
    };
    key.iter().all(is_present) && has_all_of(scope, &other.scope) && has_cells(cells, &other.cells)
}

/// Whether a scope has each request of another one. `false` if it is not certain.
fn has_all_of(scope: &Scope, other: &Scope) -> bool {
    fn covers<T: PartialEq>(own: &[T], other: &[T], fits: fn(&T, &T) -> bool) -> bool {
        own.is_empty() || !other.is_empty() && other.iter().all(|other| own.iter().any(|own| fits(own, other)))
    }
    let excepts_nothing_more = {
        let listed = |own: &[Box<str>], other: &[Box<str>]| own.iter().all(|own| other.contains(own));
        listed(&scope.except.methods, &other.except.methods) && listed(&scope.except.paths, &other.except.paths)
    };
    covers(&scope.hosts, &other.hosts, |own, other| own == other)
        && covers(&scope.methods, &other.methods, |own, other| own == other)
        && covers(&scope.paths, &other.paths, |own, other| other.starts_with(&**own))
        && excepts_nothing_more
}

fn has_cells(own: &[CellId], other: &[CellId]) -> bool {
    own.is_empty() || !other.is_empty() && other.iter().all(|cell| own.contains(cell))
}

#[cfg(test)]
mod tests;
