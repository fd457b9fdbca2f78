//! Which requests are sent, and what must become of each.

use std::collections::BTreeMap;

use cellgate_routing::{CellId, Config, Outcome, Router, Tier};
use serde_json::Value;

use super::keys;
use super::requests::Maker;
use crate::decide::Parts;

/// By how much a large body exceeds what the filter may hold: Envoy's own default limit, so that no first chunk has all
/// of it.
const EXCESS: u64 = 1 << 20;

/// Everything to send.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The header that clients must not be able to set.
    pub(super) routing_header: String,
    /// All cells' names.
    pub(super) cells: Vec<String>,
    /// For each cell that can be reached, how.
    pub(super) reached: Vec<Reach>,
    /// Those that cannot, and why.
    pub(super) unreached: Vec<String>,
    /// A request without a key, and what the policy says of it.
    pub(super) without_key: Option<(Parts, Expected)>,
    /// A request larger than the filter may hold, for the first cell it can be made for.
    pub(super) large: Option<Reach>,
}

/// A request that must reach a cell.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) cell: String,
    /// The key and where it stands.
    pub(super) by: String,
    pub(super) parts: Parts,
}

/// What must become of a request without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Cell(String),
    Status(u16),
    /// The policy lets it pass: it gets what the routes have for requests without a decision.
    Undecided,
}

/// A key that was asked for by hand cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    /// It is for no cell.
    #[error("--key {0}: `{0}` is none of the configuration's cells")]
    Cell(String),
    /// It is placed elsewhere, or nowhere.
    #[error("--key {cell}={key}: this key is not placed in {cell}")]
    Placed {
        /// The cell.
        cell: String,
        /// The key.
        key: String,
    },
}

/// Makes the plan. `json` is the configuration as it was written; `headers` go with every request; `given` has keys by
/// cell that are used instead of those that would be found.
///
/// # Errors
/// A given key is not placed where it is said to be.
pub(crate) fn plan(
    config: Config,
    json: &Value,
    headers: &[String],
    given: &BTreeMap<String, String>,
) -> Result<Plan, BadKey> {
    let mut candidates = keys::candidates(&config, json);
    for (name, key) in given {
        let cell = config.cell_named(name.as_bytes()).ok_or_else(|| BadKey::Cell(name.clone()))?;
        if config.placement.place(key).is_none_or(|(placed, _)| placed != cell) {
            return Err(BadKey::Placed { cell: name.clone(), key: key.clone() });
        }
        candidates.insert(cell, vec![key.clone()]);
    }
    let router = Router::new(config, Tier::Service);
    let maker = Maker::new(&router, headers, json);
    let mut plan = Plan {
        routing_header: router.config().routing_header.to_string(),
        cells: router.config().cells.iter().map(|cell| cell.to_string()).collect(),
        reached: Vec::new(),
        unreached: Vec::new(),
        without_key: without_key(&router, &maker),
        large: None,
    };
    let size = large_body(&router);
    for (index, name) in router.config().cells.iter().enumerate() {
        let cell = CellId(u16::try_from(index).unwrap_or(u16::MAX));
        let Some(keys) = candidates.get(&cell) else {
            plan.unreached.push(format!("{name}: no key is placed there: it is drained or unused"));
            continue;
        };
        match reach(&router, &maker, cell, keys, None) {
            Some(found) => plan.reached.push(found),
            None => plan.unreached.push(format!("{name}: none of its keys can be written into a request by itself")),
        }
        if plan.large.is_none()
            && let Some(size) = size
        {
            plan.large = reach(&router, &maker, cell, keys, Some(size));
        }
    }
    Ok(plan)
}

/// The first request that the core sends to a cell, by the first source that can hold one of its keys. With a size, in
/// a body that is as large and ends with the key.
fn reach(router: &Router, maker: &Maker<'_>, cell: CellId, keys: &[String], size: Option<usize>) -> Option<Reach> {
    for source in &router.config().sources {
        for key in keys {
            let parts = match size {
                None => maker.with_key(source, key),
                Some(size) => maker.with_late_key(source, key, size),
            };
            let Some(parts) = parts else { continue };
            if maker.outcome(&parts) == Some(Outcome::Cell(cell)) {
                let name = router.config().cell_name(cell).to_owned();
                return Some(Reach { cell: name, by: format!("{key:?} in {source}"), parts });
            }
        }
    }
    None
}

fn without_key(router: &Router, maker: &Maker<'_>) -> Option<(Parts, Expected)> {
    let parts = maker.without_key(router.config().sources.first()?)?;
    let expected = match maker.outcome(&parts)? {
        Outcome::Cell(cell) => Expected::Cell(router.config().cell_name(cell).to_owned()),
        Outcome::Reject(status) => Expected::Status(status),
        // The service has nobody to defer to.
        Outcome::Pass | Outcome::Defer => Expected::Undecided,
    };
    Some((parts, expected))
}

/// How much to put before a late key: more than the filter may hold, and no more than the service may.
fn large_body(router: &Router) -> Option<usize> {
    let limits = router.config().limits;
    let most = limits.stream_bytes.saturating_sub(4096);
    let size = (limits.inspect_bytes + EXCESS).min(most);
    (size > limits.inspect_bytes).then(|| usize::try_from(size).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(config: &Value, given: &[(&str, &str)]) -> Result<Plan, BadKey> {
        let text = config.to_string();
        let parsed = Config::from_json(&text, "test").unwrap_or_else(|error| panic!("{error}"));
        let given = given.iter().map(|(cell, key)| ((*cell).to_owned(), (*key).to_owned())).collect();
        plan(parsed, config, &[], &given)
    }

    fn config() -> Value {
        json!({
            "routing_header": "x-cell",
            "cells": ["a", "b", "c"],
            "key": [{"json": "/tenant/id"}, {"header": "x-tenant"}],
            "placement": {"overrides": {"acme": "b"}, "slots": {"weights": {"a": 1, "b": 0, "c": 0}}},
        })
    }

    #[test]
    fn cells_are_reached_by_what_is_placed_there() {
        let plan = planned(&config(), &[]).unwrap();
        let reached: Vec<(&str, &str)> = plan.reached.iter().map(|reach| (&*reach.cell, &*reach.by)).collect();
        assert_eq!(reached, [("a", "\"cellgate-probe-0\" in json /tenant/id"), ("b", "\"acme\" in json /tenant/id")]);
        assert_eq!(plan.unreached, ["c: no key is placed there: it is drained or unused"]);
        assert_eq!(plan.without_key.unwrap().1, Expected::Status(421));
        let large = plan.large.unwrap();
        assert!(large.parts.body.unwrap().len() > 32 * 1024 + (1 << 20));
    }

    #[test]
    fn a_given_key_must_be_placed_in_its_cell() {
        let plan = planned(&config(), &[("b", "acme")]).unwrap();
        assert_eq!(plan.reached[1].by, "\"acme\" in json /tenant/id");
        assert_eq!(planned(&config(), &[("z", "acme")]).unwrap_err(), BadKey::Cell("z".into()));
        let elsewhere = BadKey::Placed { cell: "a".into(), key: "acme".into() };
        assert_eq!(planned(&config(), &[("a", "acme")]).unwrap_err(), elsewhere);
    }

    #[test]
    fn the_policy_answers_what_has_no_key() {
        let mut config = config();
        config["policy"] = json!({"key_missing": {"use": "c"}});
        assert_eq!(planned(&config, &[]).unwrap().without_key.unwrap().1, Expected::Cell("c".into()));
        config["policy"] = json!({"key_missing": "pass"});
        assert_eq!(planned(&config, &[]).unwrap().without_key.unwrap().1, Expected::Undecided);
    }

    #[test]
    fn without_a_source_in_the_body_there_is_no_large_one() {
        let mut config = config();
        config["key"] = json!([{"header": "x-tenant"}]);
        let plan = planned(&config, &[]).unwrap();
        assert!(plan.large.is_none());
        assert_eq!(plan.reached[0].by, "\"cellgate-probe-0\" in header x-tenant");
    }
}
