//! The requests of a probe, and the expected outcome of each.

use std::collections::BTreeMap;

use cellgate_routing::source::{Place, Source};
use cellgate_routing::{CellId, Config, Decider, Outcome, Tier};
use serde_json::Value;

use super::keys;
use super::requests::RequestBuilder;
use crate::doctor::enumerate;
use cellgate_ext_proc::decide::Parts;

/// By how much a large body exceeds the filter's limit. It is Envoy's default buffer limit, so that no first chunk has the
/// whole body.
const EXCESS: u64 = 1 << 20;

/// All requests of a probe.
#[derive(Debug)]
pub(crate) struct ProbePlan {
    /// The routing header. Clients must not be able to set it.
    pub(super) routing_header: String,
    /// The names of all cells.
    pub(super) cells: Vec<String>,
    /// A request for each cell that can be reached.
    pub(super) reached: Vec<Reach>,
    /// The cells that cannot be reached, each with the reason.
    pub(super) unreached: Vec<String>,
    /// A request without a key, and its outcome by the policy.
    pub(super) without_key: Option<(Parts, Expected)>,
    /// A request whose body is above the filter's limit, for the first cell for which there is one.
    pub(super) large: Option<Reach>,
}

/// A request that must reach a cell.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) cell: String,
    /// The key and its source.
    pub(super) by: String,
    pub(super) parts: Parts,
}

/// The expected outcome of a request without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Cell(String),
    Status(u16),
    /// The policy passes it: the routes for requests without a decision apply.
    Undecided,
}

/// A key of `--key` cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    /// The configuration does not have this cell.
    #[error("--key {name}={key}: `{name}` is not a cell of the configuration: use one of {}", enumerate(.cells))]
    Cell {
        /// The cell of the option.
        name: String,
        /// The key.
        key: String,
        /// The cells of the configuration.
        cells: Vec<String>,
    },
    /// The configuration places the key in another cell, or in none.
    #[error("--key {cell}={key}: the configuration does not place this key in {cell}: {}", place(.actual))]
    Placed {
        /// The cell of the option.
        cell: String,
        /// The key.
        key: String,
        /// The cell in which the configuration places the key.
        actual: Option<String>,
    },
}

/// Makes the plan. `json` is the configuration as JSON, `host` is the host of the requests or a pattern of hosts, `headers` are
/// added to every request, and `given` has the keys to use for some cells.
///
/// # Errors
/// The configuration does not place a given key in its cell.
pub(crate) fn plan(
    config: Config,
    json: &Value,
    host: &str,
    headers: &[String],
    given: &BTreeMap<String, String>,
) -> Result<ProbePlan, BadKey> {
    let mut candidates = keys::candidates(&config, json);
    for (name, key) in given {
        let cell = config.cell_named(name.as_bytes()).ok_or_else(|| BadKey::Cell {
            name: name.clone(),
            key: key.clone(),
            cells: config.cells.iter().map(|cell| cell.to_string()).collect(),
        })?;
        let placed = config.placement.place(key).map(|(placed, _)| placed);
        if placed != Some(cell) {
            let actual = placed.map(|placed| config.cell_name(placed).to_owned());
            return Err(BadKey::Placed { cell: name.clone(), key: key.clone(), actual });
        }
        candidates.insert(cell, vec![key.clone()]);
    }
    let decider = Decider::new(config, Tier::Service);
    let builder = RequestBuilder::new(&decider, host, headers, json);
    let mut plan = ProbePlan {
        routing_header: decider.config().routing_header.to_string(),
        cells: decider.config().cells.iter().map(|cell| cell.to_string()).collect(),
        reached: Vec::new(),
        unreached: Vec::new(),
        without_key: without_key(&decider, &builder),
        large: None,
    };
    let size = large_body(&decider);
    for (index, name) in decider.config().cells.iter().enumerate() {
        let cell = CellId(u16::try_from(index).unwrap_or(u16::MAX));
        let Some(keys) = candidates.get(&cell) else {
            plan.unreached.push(format!("{name}: no key is placed in it: the cell is drained or unused"));
            continue;
        };
        match reach(&decider, &builder, cell, keys, None) {
            Some(found) => plan.reached.push(found),
            None => {
                plan.unreached.push(format!("{name}: no request can be made for any of its keys{}", tokens(&decider)))
            }
        }
        if plan.large.is_none()
            && let Some(size) = size
        {
            plan.large = reach(&decider, &builder, cell, keys, Some(size));
        }
    }
    Ok(plan)
}

/// The first request that the decision core routes to the cell, by the first source that can hold one of its keys. With a
/// size, the body has about that size and ends with the key.
fn reach(
    decider: &Decider,
    builder: &RequestBuilder<'_>,
    cell: CellId,
    keys: &[String],
    size: Option<usize>,
) -> Option<Reach> {
    for source in &decider.config().sources {
        for key in keys {
            let parts = match size {
                None => builder.with_key(source, key),
                Some(size) => builder.with_late_key(source, key, size),
            };
            let Some(parts) = parts else { continue };
            if builder.outcome(&parts) == Some(Outcome::Cell(cell)) {
                let name = decider.config().cell_name(cell).to_owned();
                return Some(Reach { cell: name, by: format!("{key:?} in {source}"), parts });
            }
        }
    }
    None
}

/// Why some sources have no request.
fn tokens(decider: &Decider) -> &'static str {
    let is_claim = |source: &Source| matches!(source.place, Place::Claim(_));
    if decider.config().sources.iter().any(is_claim) { ": the probe has no token for a claim" } else { "" }
}

fn place(actual: &Option<String>) -> String {
    match actual {
        Some(cell) => format!("it places it in {cell}"),
        None => "it places it in no cell".to_owned(),
    }
}

fn without_key(decider: &Decider, builder: &RequestBuilder<'_>) -> Option<(Parts, Expected)> {
    let parts = builder.without_key(decider.config().sources.first()?)?;
    let expected = match builder.outcome(&parts)? {
        Outcome::Cell(cell) => Expected::Cell(decider.config().cell_name(cell).to_owned()),
        Outcome::Reject(status) => Expected::Status(status),
        // The service never defers.
        Outcome::Pass | Outcome::Defer => Expected::Undecided,
    };
    Some((parts, expected))
}

/// The size of a body above the filter's limit and below the service's.
fn large_body(decider: &Decider) -> Option<usize> {
    let limits = decider.config().limits;
    let most = limits.stream_bytes.saturating_sub(4096);
    let size = (limits.inspect_bytes + EXCESS).min(most);
    (size > limits.inspect_bytes).then(|| usize::try_from(size).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(config: &Value, given: &[(&str, &str)]) -> Result<ProbePlan, BadKey> {
        let text = config.to_string();
        let parsed = cellgate_config::from_json(&text, "test").unwrap_or_else(|error| panic!("{error}"));
        let given = given.iter().map(|(cell, key)| ((*cell).to_owned(), (*key).to_owned())).collect();
        plan(parsed, config, "probe.internal", &[], &given)
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
    fn each_cell_is_reached_by_a_key_that_is_placed_in_it() {
        let plan = planned(&config(), &[]).unwrap();
        let reached: Vec<(&str, &str)> = plan.reached.iter().map(|reach| (&*reach.cell, &*reach.by)).collect();
        assert_eq!(reached, [("a", "\"cellgate-probe-0\" in json /tenant/id"), ("b", "\"acme\" in json /tenant/id")]);
        assert_eq!(plan.unreached, ["c: no key is placed in it: the cell is drained or unused"]);
        assert_eq!(plan.without_key.unwrap().1, Expected::Status(400));
        let large = plan.large.unwrap();
        assert!(large.parts.body.unwrap().len() > 32 * 1024 + (1 << 20));
    }

    #[test]
    fn a_given_key_must_be_placed_in_its_cell() {
        let plan = planned(&config(), &[("b", "acme")]).unwrap();
        assert_eq!(plan.reached[1].by, "\"acme\" in json /tenant/id");
        let unknown = planned(&config(), &[("z", "acme")]).unwrap_err().to_string();
        assert_eq!(unknown, "--key z=acme: `z` is not a cell of the configuration: use one of a, b, c");
        let elsewhere = BadKey::Placed { cell: "a".into(), key: "acme".into(), actual: Some("b".into()) };
        assert_eq!(planned(&config(), &[("a", "acme")]).unwrap_err(), elsewhere);
    }

    #[test]
    fn the_policy_decides_about_requests_without_a_key() {
        let mut config = config();
        config["policy"] = json!({"key_missing": {"use": "c"}});
        assert_eq!(planned(&config, &[]).unwrap().without_key.unwrap().1, Expected::Cell("c".into()));
        config["policy"] = json!({"key_missing": "pass"});
        assert_eq!(planned(&config, &[]).unwrap().without_key.unwrap().1, Expected::Undecided);
    }

    #[test]
    fn a_claim_is_skipped_because_the_probe_has_no_token() {
        let mut config = config();
        config["key"] = json!([{"claim": "/org"}, {"header": "x-tenant"}]);
        assert_eq!(planned(&config, &[]).unwrap().reached[0].by, "\"cellgate-probe-0\" in header x-tenant");
        config["key"] = json!([{"claim": "/org"}]);
        let plan = planned(&config, &[]).unwrap();
        assert!(plan.reached.is_empty());
        assert_eq!(
            plan.unreached[0],
            "a: no request can be made for any of its keys: the probe has no token for a claim"
        );
        assert_eq!(plan.without_key.unwrap().1, Expected::Status(400));
    }

    #[test]
    fn without_a_source_in_the_body_there_is_no_large_request() {
        let mut config = config();
        config["key"] = json!([{"header": "x-tenant"}]);
        let plan = planned(&config, &[]).unwrap();
        assert!(plan.large.is_none());
        assert_eq!(plan.reached[0].by, "\"cellgate-probe-0\" in header x-tenant");
    }
}
