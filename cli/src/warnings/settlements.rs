//! Warnings of settlements that change nothing, or that cannot be meant.

use cellgate_limiting::Limit;
use cellgate_routing::{Config, CostRule, RateLimit, ResponsePlace, Settlement};

/// The warnings about the settlement of one limit.
pub(super) fn of_settlement(path: &str, limit: &RateLimit, config: &Config) -> Vec<String> {
    let Some(settlement) = &limit.settlement else {
        return Vec::new();
    };
    let warnings = [of_burst(limit, settlement), of_estimate(limit, settlement), of_place(settlement, config)];
    warnings.into_iter().flatten().map(|warning| format!("{path}.{warning}")).collect()
}

/// A number that no burst can hold.
fn of_burst(limit: &RateLimit, settlement: &Settlement) -> Option<String> {
    let largest = largest_burst(limit)?;
    (settlement.at_most > u64::from(largest)).then(|| {
        format!(
            "settle.at_most: the largest burst of this limit is {largest}, and at most the whole burst is in use after a \
             response, so numbers up to {} have no further effect: lower `at_most`, or raise the burst",
            settlement.at_most
        )
    })
}

/// A fixed cost that is no estimate of the number.
fn of_estimate(limit: &RateLimit, settlement: &Settlement) -> Option<String> {
    let CostRule::Fixed(cost) = limit.cost else { return None };
    if cost > settlement.at_most {
        return Some(format!(
            "settle.at_most: it is below `cost`, {cost} units, so every number lowers the cost of its request: raise `at_most` to \
             the highest number that a response may have, or lower `cost`"
        ));
    }
    let largest = largest_burst(limit)?;
    (cost == 1 && settlement.at_most > 1).then(|| {
        format!(
            "cost: the estimate is one unit, so up to {largest} requests of a key begin before the first response has a number, \
             and a number refunds one unit at most: set `cost` near the usual number"
        )
    })
}

/// The field in which the filter's decision goes to the cells.
fn of_place(settlement: &Settlement, config: &Config) -> Option<String> {
    let (field, name) = match &settlement.place {
        ResponsePlace::Header(name) => ("response_header", name),
        ResponsePlace::Trailer(name) => ("response_trailer", name),
    };
    (*name == config.routing_header).then(|| {
        format!(
            "settle.{field}: \"{name}\" is the routing header, which holds a cell and no number: name another field"
        )
    })
}

fn largest_burst(limit: &RateLimit) -> Option<u32> {
    let carried = limit.limit_from.as_ref().map(|carried| carried.at_most);
    limit.plans.limits().chain(carried).map(Limit::burst).max()
}

#[cfg(test)]
mod tests {
    use super::super::rate_limits::of_rate_limits;

    /// The beginnings of the warnings, up to the first comma.
    fn warnings_of(limits: &str) -> Vec<String> {
        let text = format!(
            "routing_header: x-cell\ncells: [a]\nkey: [{{ json: /t }}]\nplacement: {{ default: a }}\nrate_limits: [{limits}]"
        );
        let warnings = of_rate_limits(&cellgate_config::from_yaml(&text, "a.yaml").unwrap());
        warnings.iter().map(|warning| warning.split(", ").next().unwrap().to_owned()).collect()
    }

    fn warnings_of_settlement(limit: &str, settle: &str) -> Vec<String> {
        warnings_of(&format!("{{ name: n, key: [routing_key], {limit}, settle: {{ {settle} }} }}"))
    }

    #[test]
    fn a_usual_settlement_has_no_warning() {
        for limit in [
            "limit: 1000000/h, cost: 500",
            "limit: 100/h, cost: 100, plans: { pro: 1000/h }, plan_of: { acme: pro }",
            "limit: 1000/h, cost: { header: x-max, at_most: 100, otherwise: 1 }",
        ] {
            assert_eq!(warnings_of_settlement(limit, "response_header: x-used, at_most: 600"), [""; 0], "{limit}");
        }
        assert_eq!(warnings_of_settlement("limit: 100/h", "response_header: x-used, at_most: 1"), [""; 0]);
    }

    #[test]
    fn a_number_above_every_burst_has_no_effect() {
        assert_eq!(
            warnings_of_settlement("limit: 100/s, cost: 10", "response_header: x-used, at_most: 101"),
            ["rate_limits[0].settle.at_most: the largest burst of this limit is 100"]
        );
        let plans = "limit: 100/h, cost: 10, plans: { pro: 1000/h }, plan_of: { acme: pro }";
        assert_eq!(
            warnings_of_settlement(plans, "response_header: x-used, at_most: 1001"),
            ["rate_limits[0].settle.at_most: the largest burst of this limit is 1000"]
        );
    }

    #[test]
    fn an_estimate_must_be_one() {
        assert_eq!(
            warnings_of_settlement("limit: 1000/h, cost: 500", "response_header: x-used, at_most: 499"),
            ["rate_limits[0].settle.at_most: it is below `cost`"]
        );
        assert_eq!(
            warnings_of_settlement("limit: 1000/h", "response_header: x-used, at_most: 499"),
            ["rate_limits[0].cost: the estimate is one unit"]
        );
    }

    #[test]
    fn the_routing_header_holds_no_number() {
        for field in ["response_header", "response_trailer"] {
            assert_eq!(
                warnings_of_settlement("limit: 1000/h, cost: 5", &format!("{field}: X-Cell, at_most: 499")),
                [format!("rate_limits[0].settle.{field}: \"x-cell\" is the routing header")]
            );
        }
    }

    /// Regression: limits that differ in their settlement count different units.
    #[test]
    fn limits_with_different_settlements_are_not_the_same() {
        let requests = "{ name: requests, key: [routing_key], limit: 1000/h, cost: 10 }";
        let tokens = |at_most| {
            let settle = format!("{{ response_header: x-used, at_most: {at_most} }}");
            format!("{{ name: tokens-{at_most}, key: [routing_key], limit: 1000/h, cost: 10, settle: {settle} }}")
        };
        assert_eq!(warnings_of(&format!("{requests}, {}, {}", tokens(20), tokens(30))), [""; 0]);
        let twice = tokens(20).replace("tokens-", "again-");
        assert_eq!(warnings_of(&format!("{}, {twice}", tokens(20))), ["rate_limits[1]: this limit is never reached"]);
    }
}
