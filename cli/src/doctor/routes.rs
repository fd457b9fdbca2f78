//! Routes: the route of each cell, the routes in front of it, and the route for requests without a decision.

mod conditions;
mod context;
mod host;
mod other_routes;
mod route;
mod settled_fields;

use serde_json::Value;

use super::destinations::Destinations;
use super::dump::Chain;
use super::finding::{Finding, Notes, Section, enumerate};
use super::message::{list, text};
pub(super) use context::FilterContext;
use host::Host;

/// Whether any route of a configuration matches on a header.
pub(super) fn mention(routes: &Value, header: &str) -> bool {
    list(routes, "virtual_hosts").iter().any(|host| Host::new(routes, host).mentions(header))
}

/// The names of the routes that have a matching setting for a filter.
pub(super) fn that_set(routes: &Value, filter: &str, is_meant: impl Fn(&Value) -> bool) -> Vec<String> {
    let hosts = list(routes, "virtual_hosts").iter();
    hosts.flat_map(|host| Host::new(routes, host).that_set(filter, &is_meant)).collect()
}

/// Examines the routes of a chain with the filter, and adds the cells' clusters to `destinations`. `elsewhere` is whether the
/// routes of any chain match on the header: other chains may redirect to HTTPS, for example.
pub(super) fn examine<'a>(
    chain: &Chain<'_>,
    routes: Option<&'a Value>,
    context: FilterContext<'_>,
    elsewhere: bool,
    destinations: &mut Destinations<'a>,
) -> Vec<Finding> {
    let mut notes = Notes::new(Section::Routes, &chain.place);
    let Some(routes) = routes else {
        let name = text(chain.manager, "rds.route_config_name");
        notes.error(
            format!("the routes `{name}` have not arrived: Envoy answers every request with 404"),
            "look at istiod's log, and check that a VirtualService or HTTPRoute names this gateway",
        );
        return notes.into_findings();
    };
    let hosts: Vec<Host<'a>> = list(routes, "virtual_hosts").iter().map(|host| Host::new(routes, host)).collect();
    let header = &context.config.routing_header;
    let (by_cell, others): (Vec<&Host<'_>>, Vec<&Host<'_>>) = hosts.iter().partition(|host| host.mentions(header));
    let inbound = text(chain.listener, "traffic_direction") == "INBOUND";
    match (by_cell.is_empty(), inbound, elsewhere) {
        (false, _, _) => {}
        (true, true, _) => notes.ok("inbound to the workload: it needs no routes by cell"),
        (true, false, true) => notes.ok(format!("no route matches on {header}")),
        (true, false, false) => notes.error(
            format!("no route matches on {header}: the filter's decisions have no effect"),
            "add a route for each cell on the exact value of the header (chart: routes.enabled)",
        ),
    }
    let mut findings = Vec::new();
    for host in &hosts {
        findings.extend(host.opt_outs(context));
    }
    for host in by_cell {
        findings.extend(host.examine(context, destinations));
    }
    if !others.is_empty() && findings.iter().any(|finding| finding.section == Section::Routes) {
        let names: Vec<&str> = others.iter().map(|host| host.name()).collect();
        notes.ok(format!("not routed by cell: {}", enumerate(&names)));
    }
    findings.extend(notes.into_findings());
    findings
}
