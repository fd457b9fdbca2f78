//! `cellgate doctor`: examines the configuration of a gateway, and reports faults with their fixes.
//!
//! [`fetch()`] reads a configuration dump from Envoy's admin port, from istiod or from a file. [`examine`] returns the findings.
//! [`text`] and [`json`] format them.
//!
//! | module | examines |
//! |---|---|
//! | `claims` | the order of jwt_authn and the filter, if a source or a rate limit reads a claim |
//! | `filter` | the filter's presence, place in the chain and configuration |
//! | `limits` | Envoy's limits beside Cellgate's, idle timeouts |
//! | `routes` | the route of each cell; `routes/other_routes`: routes of other teams that take a cell's requests |
//! | `clusters`, `circuit_breakers` | endpoints, encryption, outlier detection, circuit breakers |
//! | `rules` | the DestinationRule that applies to each cell |
//! | `leases` | the cluster from which the filter leases units of rate limits, and its calls |
//! | `rate_limits` | what the service needs to count requests; replicas that count alone |
//! | `service`, `deferral`, `processors` | the ext_proc filters of deferrals, and other processors |
//! | `updates` | refused updates, crashes of the filter, counters of requests |

mod circuit_breakers;
mod claims;
mod clusters;
mod deferral;
mod destinations;
mod dump;
mod fetch;
mod filter;
mod finding;
mod leases;
mod limits;
mod message;
mod origin;
mod processors;
mod rate_limits;
mod report;
mod routes;
mod rules;
mod service;
#[cfg(test)]
mod tests;
mod updates;

use std::collections::BTreeSet;

use cellgate_routing::Config;

pub(crate) use dump::Dump;
pub(crate) use fetch::{FetchError, Source, fetch};
pub(crate) use finding::{Finding, Level, Section};
pub(crate) use report::sum;
pub(crate) use report::{json, text};
pub(crate) use updates::Stats;

use destinations::Destinations;
use dump::{Chain, HttpFilter};
pub(crate) use finding::enumerate;

use finding::{Notes, merge};
use routes::FilterContext;
use rules::DestinationRules;

/// Examines a gateway by its dump and, if there are any, its statistics.
#[must_use]
pub(crate) fn examine(dump: &Dump, stats: Option<&Stats>) -> Vec<Finding> {
    let chains = dump.chains();
    let (with, without): (Vec<_>, Vec<_>) =
        chains.iter().map(|chain| (chain, filter::find(dump, chain.manager))).partition(|(_, filter)| filter.is_some());
    let mut findings = Vec::new();
    let mut configured = Vec::new();
    for (chain, filter) in with.iter().filter_map(|(chain, filter)| Some((*chain, filter.as_ref()?))) {
        let config = in_chain(dump, chain, filter, &mut findings);
        configured.extend(config.map(|config| (chain, filter.name, config)));
    }
    // A filter in shadow mode needs no routes.
    let routing = configured.iter().filter(|(_, _, config)| !config.shadow);
    let routed: Vec<_> = routing
        .map(|(chain, filter, config)| {
            let service = service::name(dump, chain.manager);
            (*chain, dump.routes_of(chain.manager), FilterContext { filter, service, config })
        })
        .collect();
    let by_cell = routed.iter().any(|(_, routes, context)| {
        routes.is_some_and(|routes| routes::mention(routes, &context.config.routing_header))
    });
    let mut destinations = Destinations::new();
    for (chain, routes, context) in routed {
        findings.extend(routes::examine(chain, routes, context, by_cell, &mut destinations));
    }
    let headers: BTreeSet<&str> = configured.iter().map(|(_, _, config)| &*config.routing_header).collect();
    findings.extend(elsewhere(dump, &without, with.is_empty(), &headers));
    let rules = DestinationRules::of(dump, &destinations);
    for (cell, clusters) in &destinations {
        for cluster in clusters {
            findings.extend(clusters::examine(dump, &rules, cell, cluster).into_findings());
        }
    }
    findings.extend(updates::examine(dump, stats));
    merge(findings)
}

/// Examines the filter, the limits and the service of one chain.
fn in_chain(dump: &Dump, chain: &Chain<'_>, filter: &HttpFilter<'_>, findings: &mut Vec<Finding>) -> Option<Config> {
    let [mut of_filter, mut of_limits] =
        [Section::Filter, Section::Limits].map(|section| Notes::new(section, &chain.place));
    let config = filter::examine(dump, chain, filter, &mut of_filter);
    limits::examine(chain, dump.routes_of(chain.manager), config.as_ref(), &mut of_limits);
    findings.extend([of_filter, of_limits].into_iter().flat_map(Notes::into_findings));
    if !config.as_ref().is_some_and(|config| config.shadow) {
        findings.extend(service::examine(dump, chain, filter.name, config.as_ref()));
    }
    config
}

/// Examines chains without the filter. They are faults if no chain has it, or if their routes match on the routing header.
fn elsewhere(
    dump: &Dump,
    chains: &[(&Chain<'_>, Option<HttpFilter<'_>>)],
    nowhere: bool,
    headers: &BTreeSet<&str>,
) -> Vec<Finding> {
    let mut notes = Notes::new(Section::Filter, "");
    let names: Vec<&str> = chains.iter().map(|(chain, _)| &*chain.place).collect();
    if nowhere {
        match (names.is_empty(), dump.warming.is_empty()) {
            (true, false) => notes.error(
                "there is no HTTP listener yet: Envoy requests listeners when its clusters are ready",
                "look at the waiting resources under Updates",
            ),
            (true, true) => notes.error(
                "there is no HTTP listener",
                "check the Gateway: its selector must match this proxy, and a route must use it",
            ),
            (false, _) => notes.error(
                format!("the filter is in none of the chains: {}", enumerate(&names)),
                "look at the EnvoyFilter: its namespace, selector or targetRefs, and istiod's log (chart: filter.attach)",
            ),
        }
        return notes.into_findings();
    }
    let mut findings = Vec::new();
    for (chain, _) in chains {
        let routes = dump.routes_of(chain.manager);
        let mentioned = |header: &&&str| routes.is_some_and(|routes| routes::mention(routes, header));
        let header = headers.iter().find(mentioned);
        if let Some(header) = header {
            let mut notes = Notes::new(Section::Filter, &chain.place);
            notes.error(
                format!("routes match on {header}, and the filter is not in the chain: clients choose their cell"),
                "attach the filter to this listener too (chart: filter.attach)",
            );
            findings.extend(notes.into_findings());
        }
    }
    if findings.is_empty() && !names.is_empty() {
        notes.ok(format!("not in {}, whose routes do not match on the routing header", enumerate(&names)));
    }
    findings.extend(notes.into_findings());
    findings
}
