//! Envoy's statistics: refused updates, crashes of the filter, and counters of requests.

use std::collections::BTreeMap;

use cellgate_routing::Outcome;
use serde_json::Value;

use super::dump::Dump;
use super::finding::{Finding, Notes, Section};
use super::leases;
use super::message::{list, number, text};

/// Counters and gauges by name.
#[derive(Debug, Default)]
pub(crate) struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// Reads `/stats?format=json`. Histograms are left out.
    #[must_use]
    pub(crate) fn read(document: &Value) -> Self {
        let all = list(document, "stats").iter();
        Self(all.filter_map(|stat| Some((text(stat, "name").to_owned(), number(stat, "value")?))).collect())
    }

    fn matching(&self, matches: impl Fn(&str) -> bool) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().filter(move |(name, value)| **value > 0 && matches(name)).map(|(name, value)| (&**name, *value))
    }

    pub(super) fn sum(&self, prefix: &str) -> u64 {
        self.matching(|name| name.starts_with(prefix)).map(|(_, value)| value).sum()
    }
}

/// Reports refused updates, by the dump and by the statistics.
pub(super) fn examine(dump: &Dump, stats: Option<&Stats>) -> Vec<Finding> {
    let mut notes = Notes::new(Section::Updates, "");
    for (what, details) in &dump.refused {
        notes.error(
            format!("Envoy refuses its new {what}, and keeps the old one if it has one: {details}"),
            "correct the cause in the message; Envoy's log has the whole message",
        );
    }
    let waiting = dump.warming.iter().flat_map(|what| {
        let mut notes = Notes::new(Section::Updates, what);
        notes.warning(
            "is waiting for a certificate, routes or the filter's configuration",
            "look at Envoy's log and, in a mesh, at the proxy's agent, which serves its certificates",
        );
        notes.into_findings()
    });
    let Some(stats) = stats else {
        notes.unknown(
            "this source does not show whether Envoy accepted its updates",
            "use the gateway's own admin port: --admin",
        );
        return waiting.chain(notes.into_findings()).collect();
    };
    const REFUSALS: [&str; 3] = [".update_rejected", ".config_fail", ".config_conflict"];
    let refused = stats.matching(|name| REFUSALS.iter().any(|end| name.ends_with(end)));
    for (name, count) in refused {
        notes.warning(
            format!("{name} is {count}: Envoy has refused updates since it started"),
            "if it rises, look for `rejected` in Envoy's log: Envoy keeps its previous configuration",
        );
    }
    for (name, count) in stats.matching(|name| name.starts_with("wasm.") && name.contains("cellgate.vm_reload_")) {
        notes.warning(
            format!("{name} is {count}: the filter has crashed"),
            "report it with the line of Envoy's log that says `panicked at`",
        );
    }
    leases::failures(stats, &mut notes);
    let fetches = stats.sum("wasm.remote_load_fetch_failures");
    if fetches > 0 {
        notes.warning(
            format!("Envoy could not fetch a wasm module {fetches} times"),
            "check that the gateway can reach the module's URL, and that its sha256 is right",
        );
    }
    let mut findings: Vec<Finding> = waiting.chain(notes.into_findings()).collect();
    if findings.is_empty() {
        let mut notes = Notes::new(Section::Updates, "");
        notes.ok("Envoy has refused no update since it started");
        findings = notes.into_findings();
    }
    findings.extend(traffic(stats));
    findings
}

/// Reports the filter's counters.
fn traffic(stats: &Stats) -> Vec<Finding> {
    let mut notes = Notes::new(Section::Traffic, "");
    let decisions = |outcome: &str| stats.sum(&format!("wasmcustom.cellgate.decisions.{outcome}."));
    let [cell, reject, defer, pass] = Outcome::LABELS.map(decisions);
    notes
        .ok(format!("the filter has sent {cell} requests to cells, refused {reject}, deferred {defer}, passed {pass}"));
    let stripped = stats.sum("wasmcustom.cellgate.stripped_headers");
    if stripped > 0 {
        notes.ok(format!("{stripped} reserved headers were removed from clients' requests"));
    }
    let abandoned = stats.sum("wasmcustom.cellgate.abandoned");
    if abandoned > 0 {
        notes.ok(format!("{abandoned} requests ended undecided: clients disconnected, or Envoy answered first"));
    }
    leases::traffic(stats, &mut notes);
    notes.into_findings()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;
    use serde_json::json;

    fn findings(stats: Value) -> Vec<Finding> {
        examine(&Dump::default(), Some(&Stats::read(&stats)))
    }

    #[test]
    fn refused_updates_and_crashes_are_warnings() {
        let findings = findings(json!({"stats": [
            {"name": "listener_manager.lds.update_rejected", "value": 2},
            {"name": "cluster_manager.cds.update_rejected", "value": 0},
            {"name": "wasm.cellgate.vm_reload_success", "value": 1},
            {"histograms": {}},
        ]}));
        let warnings: Vec<&str> =
            findings.iter().filter(|finding| finding.level == Level::Warning).map(|finding| &*finding.what).collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("listener_manager.lds.update_rejected is 2"));
        assert!(warnings[1].contains("crashed"));
    }

    #[test]
    fn decisions_are_summed_by_outcome() {
        let findings = findings(json!({"stats": [
            {"name": "wasmcustom.cellgate.decisions.cell.slot", "value": 3},
            {"name": "wasmcustom.cellgate.decisions.cell.exact", "value": 4},
            {"name": "wasmcustom.cellgate.decisions.reject.key_missing", "value": 1},
        ]}));
        assert_eq!(findings[0].what, "Envoy has refused no update since it started");
        assert_eq!(findings[1].what, "the filter has sent 7 requests to cells, refused 1, deferred 0, passed 0");
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn failed_calls_for_leases_are_a_warning() {
        let findings = findings(json!({"stats": [
            {"name": "wasmcustom.cellgate.leases.spent", "value": 90},
            {"name": "wasmcustom.cellgate.leases.missed", "value": 7},
            {"name": "wasmcustom.cellgate.syncs", "value": 5},
            {"name": "wasmcustom.cellgate.sync_failures", "value": 2},
        ]}));
        let shown: Vec<_> = findings.iter().map(|finding| (finding.level, &*finding.what)).collect();
        assert_eq!(
            shown,
            [
                (Level::Warning, "2 calls for leases of rate limits have failed since Envoy started"),
                (Level::Ok, "the filter has sent 0 requests to cells, refused 0, deferred 0, passed 0"),
                (
                    Level::Ok,
                    "the filter has admitted 90 requests with leased units; 7 went to the service, because units were lacking"
                ),
            ]
        );
    }

    /// It was silent: the calls succeed, and nothing is leased.
    #[test]
    fn limits_that_differ_in_the_two_tiers_are_a_warning() {
        let warnings = |syncs: u64, withdrawn: u64| -> Vec<(String, String)> {
            let findings = findings(json!({"stats": [
                {"name": "wasmcustom.cellgate.syncs", "value": syncs},
                {"name": "wasmcustom.cellgate.syncs_withdrawn", "value": withdrawn},
            ]}));
            let warnings = findings.into_iter().filter(|finding| finding.level == Level::Warning);
            warnings.map(|finding| (finding.what, finding.fix.unwrap_or_default())).collect()
        };
        // Each change of the limits withdraws a few.
        assert_eq!(warnings(100, 50), []);
        assert_eq!(warnings(0, 0), []);
        let [(what, fix)] = warnings(100, 51).try_into().unwrap();
        assert_eq!(
            what,
            "51 answers to 100 calls for leases took the units back: the service has other rate limits than the filter"
        );
        assert!(fix.contains("`cellgate inspect`"), "{fix}");
    }
}
