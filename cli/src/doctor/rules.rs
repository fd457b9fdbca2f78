//! Which DestinationRule is in force for a cell's cluster. Of several rules for one host Istio takes the oldest one's traffic
//! policy, so another team's may stand where the chart's is expected: the chart has one for each cell, called `RELEASE-CELL`.

use std::collections::BTreeMap;

use super::circuit_breakers::CircuitBreakers;
use super::destinations::Destinations;
use super::dump::Dump;
use super::finding::Notes;
use super::message::has;
use super::origin::Origin;

/// What the names of the cells' rules have in common.
#[derive(Debug, Default)]
pub(super) struct Rules<'a> {
    /// Their release, if some cell has a rule of such a name.
    release: Option<&'a str>,
}

/// The rule of one cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct InForce<'a> {
    cell: &'a str,
    rule: Option<Origin<'a>>,
}

impl<'a> Rules<'a> {
    /// Looks at the rules of all cells.
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

    /// Says where another rule than the one that is expected is in force, or none.
    pub(super) fn examine(&self, in_force: InForce<'_>, cluster: &serde_json::Value, notes: &mut Notes) {
        let Some(release) = self.release else { return };
        let expected = format!("{release}-{}", in_force.cell);
        let breakers = CircuitBreakers::of(cluster);
        let lacks: Vec<&str> = [
            (has(cluster, "outlier_detection"), "outlierDetection"),
            (breakers.is_some_and(|breakers| breakers.has_limits()), "connectionPool"),
            (breakers.is_some_and(|breakers| breakers.has_retry_budget), "retryBudget"),
        ]
        .into_iter()
        .filter_map(|(is_there, part)| (!is_there).then_some(part))
        .collect();
        let lacks = if lacks.is_empty() { String::new() } else { format!(", and sets no {}", lacks.join(", ")) };
        match in_force.rule {
            Some(rule) if rule.name == expected => {}
            Some(rule) => notes.warning(
                format!(
                    "{rule} is in force instead of {expected}{lacks}: of several rules for a host Istio takes the oldest"
                ),
                format!("move what it sets into {expected} (chart: cells.{}), and delete {rule}", in_force.cell),
            ),
            None => notes.warning(
                format!("no DestinationRule is in force for it, and other cells have one, as {expected} would be"),
                format!("look whether {expected} exists, is for this host, and is exported to the gateway (exportTo)"),
            ),
        }
    }
}

impl<'a> InForce<'a> {
    pub(super) fn of(cell: &'a str, cluster: &'a serde_json::Value) -> Self {
        Self { cell, rule: Origin::of_cluster(cluster) }
    }

    /// What follows a fault that the rule could have prevented.
    pub(super) fn fault(&self, part: &str) -> String {
        self.rule.map(|rule| format!("; {rule} is in force, and sets no {part}")).unwrap_or_default()
    }

    /// What follows a good setting, where it is not the cell's own rule that one has to know of.
    pub(super) fn credit(&self) -> String {
        let other = self.rule.filter(|rule| release_of(*rule, self.cell).is_none());
        other.map(|rule| format!(" ({rule})")).unwrap_or_default()
    }

    /// How to set a part of the traffic policy.
    pub(super) fn fix(&self, part: &str) -> String {
        match self.rule {
            None => format!("set {part} in the cell's DestinationRule (chart: traffic.{part})"),
            Some(rule) if release_of(rule, self.cell).is_some() => {
                format!("set {part} in {rule} (chart: traffic.{part})")
            }
            Some(rule) => format!(
                "set {part} in {rule}, or delete it, once what it sets is in the cell's own rule (chart: cells.{})",
                self.cell
            ),
        }
    }
}

/// The release whose rule it is, by its name.
fn release_of<'a>(rule: Origin<'a>, cell: &str) -> Option<&'a str> {
    rule.name.strip_suffix(cell)?.strip_suffix('-').filter(|release| !release.is_empty())
}
