//! The DestinationRule that is in force for a cell's cluster. The chart has a rule for each cell, named `RELEASE-CELL`. Istio uses
//! the traffic policy of the oldest rule for a host, so another team's rule may replace it.

use std::collections::BTreeMap;

use super::circuit_breakers::CircuitBreakers;
use super::destinations::Destinations;
use super::dump::Dump;
use super::finding::Notes;
use super::message::has;
use super::origin::Origin;

/// The DestinationRules of the cells, by the common part of their names.
#[derive(Debug, Default)]
pub(super) struct DestinationRules<'a> {
    /// The release, if some cell has a rule named `RELEASE-CELL`.
    release: Option<&'a str>,
}

/// The rule that is in force for a cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleInForce<'a> {
    cell: &'a str,
    rule: Option<Origin<'a>>,
}

impl<'a> DestinationRules<'a> {
    /// Finds the release of the cells' rules.
    pub(super) fn of(dump: &'a Dump, destinations: &Destinations<'a>) -> Self {
        let mut releases: BTreeMap<&str, usize> = BTreeMap::new();
        for (cell, clusters) in destinations {
            for cluster in clusters.iter().filter_map(|name| dump.clusters.get(*name)) {
                let release = Origin::of_cluster(cluster).and_then(|rule| release_of(rule, cell));
                release.into_iter().for_each(|release| *releases.entry(release).or_default() += 1);
            }
        }
        Self { release: releases.into_iter().max_by_key(|(_, count)| *count).map(|(release, _)| release) }
    }

    /// Reports a cluster whose rule in force is not the expected one.
    pub(super) fn examine(&self, in_force: RuleInForce<'_>, cluster: &serde_json::Value, notes: &mut Notes) {
        let Some(release) = self.release else { return };
        let expected = format!("{release}-{}", in_force.cell);
        let breakers = CircuitBreakers::of(cluster);
        let missing: Vec<&str> = [
            (has(cluster, "outlier_detection"), "outlierDetection"),
            (breakers.is_some_and(|breakers| breakers.has_limits()), "connectionPool"),
            (breakers.is_some_and(|breakers| breakers.has_retry_budget), "retryBudget"),
        ]
        .into_iter()
        .filter_map(|(is_there, part)| (!is_there).then_some(part))
        .collect();
        let missing = if missing.is_empty() { String::new() } else { format!(", and sets no {}", missing.join(", ")) };
        match in_force.rule {
            Some(rule) if rule.name == expected => {}
            Some(rule) => notes.warning(
                format!(
                    "{rule} is in force instead of {expected}{missing}: Istio uses the oldest of several rules for a host"
                ),
                format!("move its settings into {expected} (chart: cells.{}), and delete {rule}", in_force.cell),
            ),
            None => notes.warning(
                format!("no DestinationRule is in force for it, and other cells have one, as {expected} would be"),
                format!("check that {expected} exists, is for this host, and is exported to the gateway (exportTo)"),
            ),
        }
    }
}

impl<'a> RuleInForce<'a> {
    pub(super) fn of(cell: &'a str, cluster: &'a serde_json::Value) -> Self {
        Self { cell, rule: Origin::of_cluster(cluster) }
    }

    /// The end of a finding about a setting that is missing in the rule.
    pub(super) fn fault(&self, part: &str) -> String {
        self.rule.map(|rule| format!("; {rule} is in force, and sets no {part}")).unwrap_or_default()
    }

    /// The end of a finding about a good setting that another rule than the cell's own has.
    pub(super) fn credit(&self) -> String {
        let other = self.rule.filter(|rule| release_of(*rule, self.cell).is_none());
        other.map(|rule| format!(" ({rule})")).unwrap_or_default()
    }

    /// The fix: how to set a part of the traffic policy.
    pub(super) fn fix(&self, part: &str) -> String {
        match self.rule {
            None => format!("set {part} in the cell's DestinationRule (chart: traffic.{part})"),
            Some(rule) if release_of(rule, self.cell).is_some() => {
                format!("set {part} in {rule} (chart: traffic.{part})")
            }
            Some(rule) => format!(
                "set {part} in {rule}, or delete it after moving its settings to the cell's own rule (chart: cells.{})",
                self.cell
            ),
        }
    }
}

/// The release of a rule, by the rule's name.
fn release_of<'a>(rule: Origin<'a>, cell: &str) -> Option<&'a str> {
    rule.name.strip_suffix(cell)?.strip_suffix('-').filter(|release| !release.is_empty())
}
