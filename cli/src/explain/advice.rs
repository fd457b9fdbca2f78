//! The next command to run.

use super::access_entry::AccessEntry;
use super::fault::{FaultyPart, RequestFault};
use super::tier_decision::{FilterDecision, TierDecision};

/// The commands that help with an entry, each with what it shows.
pub(super) fn of(entry: &AccessEntry, faults: &[RequestFault]) -> Vec<String> {
    let filter = FilterDecision::of(entry);
    let is_shadow = filter.as_ref().is_some_and(|filter| filter.is_shadow);
    let filter = filter.filter(|filter| !filter.is_shadow);
    let service = TierDecision::of_service(entry);
    let is_deferred = filter.as_ref().is_some_and(FilterDecision::is_deferral);
    let last = service.or(filter.map(|filter| filter.decision));
    let mut advice = Vec::new();
    let mut add = |text: String| {
        if !advice.contains(&text) {
            advice.push(text);
        }
    };
    if let Some(refusal) = last.as_ref().filter(|last| last.is_refusal()) {
        add(match refusal.reason.as_str() {
            "rate_limited" => {
                "`cellgate limits show LIMIT VALUE…` shows what the client's key has in use, and the limit".to_owned()
            }
            "concurrency_limited" | "overloaded" | "limit_unknown" | "deadline_exceeded" => INSPECT.to_owned(),
            _ => "`cellgate decide --config FILE --curl -`, with the client's request as a curl command, shows each step of the \
                  decision"
                .to_owned(),
        });
    }
    for fault in faults {
        match fault.part {
            FaultyPart::Service => add(INSPECT.to_owned()),
            FaultyPart::Cell => add(cluster(entry)),
            FaultyPart::Routes | FaultyPart::Filter | FaultyPart::Proxy => add(DOCTOR.to_owned()),
            FaultyPart::Client => {}
        }
    }
    if is_deferred && last.is_none() {
        add(INSPECT.to_owned());
    }
    if last.is_none() && !is_deferred && !is_shadow && !is_inbound(entry) {
        add(DOCTOR.to_owned());
    }
    advice
}

const INSPECT: &str = "`cellgate inspect 127.0.0.1:9902`, behind `kubectl port-forward` to the service, shows its state and its last \
                       refusals";

const DOCTOR: &str = "`cellgate doctor --admin http://127.0.0.1:15000`, behind `kubectl port-forward` to the proxy, examines its filter, \
                      limits and routes";

/// Whether the entry is that of a cell's sidecar, which receives what a gateway has decided.
pub(super) fn is_inbound(entry: &AccessEntry) -> bool {
    entry.text("upstream_cluster").is_some_and(|cluster| cluster.starts_with("inbound|"))
}

fn cluster(entry: &AccessEntry) -> String {
    let (pod, cluster) = (entry.text("pod").unwrap_or("POD"), entry.text("upstream_cluster").unwrap_or("CLUSTER"));
    format!(
        "`istioctl proxy-config endpoints {pod} --cluster '{cluster}'` shows the endpoints of the cell and their health"
    )
}
